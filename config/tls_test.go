package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// certificate makes a certificate and its key, both PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// pki is a file for each thing a TLS setting can name.
func pki(t *testing.T) memory {
	cert, key := certificate(t)
	_, otherKey := certificate(t)
	return memory{"/ca": cert, "/cert": cert, "/key": "!" + key, "/open-key": key, "/other-key": "!" + otherKey, "/empty": "", "/text": "hello"}
}

func TestTLS(t *testing.T) {
	f := pki(t)
	cfg := acceptWith(t, f, "REDIS_TLS=yes", "REDIS_TLS_CA_FILE=/ca", "REDIS_TLS_CERT_FILE=/cert", "REDIS_TLS_KEY_FILE=/key", "REDIS_TLS_SERVER_NAME=redis.example")
	conf := cfg.Redis.TLS
	if conf == nil || conf.MinVersion != tls.VersionTLS12 || conf.RootCAs == nil || len(conf.Certificates) != 1 || conf.ServerName != "redis.example" {
		t.Errorf("TLS = %+v", conf)
	}
	expectCodes(t, cfg)

	if conf := accept(t, "REDIS_TLS=true").Redis.TLS; conf == nil || conf.RootCAs != nil || conf.InsecureSkipVerify {
		t.Errorf("TLS = %+v, want the system's authorities", conf)
	}
	if conf := accept(t).Redis.TLS; conf != nil {
		t.Errorf("TLS = %+v, want none", conf)
	}
	cfg = acceptWith(t, f, "EVERCACHE_TLS_CERT_FILE=/cert", "EVERCACHE_TLS_KEY_FILE=/open-key")
	if cfg.Server.TLSCertFile != "/cert" || cfg.Server.TLSKeyFile != "/open-key" {
		t.Errorf("TLSCertFile %q, TLSKeyFile %q", cfg.Server.TLSCertFile, cfg.Server.TLSKeyFile)
	}
	expectCodes(t, cfg, "config-secret-file-mode")
}

func TestSentinelTLSFollowsRedisTLS(t *testing.T) {
	for _, tt := range []struct {
		env              string
		redis, sentinels bool
	}{
		{"REDIS_TLS=true", true, true},
		{"REDIS_TLS=true REDIS_SENTINEL_TLS=false", true, false},
		{"REDIS_SENTINEL_TLS=true", false, true},
		{"REDIS_TLS=false", false, false},
	} {
		o := accept(t, append(strings.Fields(tt.env), sentinelOn, masterIs, three)...).Redis
		if (o.TLS != nil) != tt.redis || (o.SentinelTLS != nil) != tt.sentinels {
			t.Errorf("%s: TLS %v, SentinelTLS %v", tt.env, o.TLS != nil, o.SentinelTLS != nil)
		}
		if o.TLS != nil && o.TLS == o.SentinelTLS {
			t.Errorf("%s: one tls.Config for both", tt.env)
		}
	}
}

func TestTLSFaults(t *testing.T) {
	f := pki(t)
	for _, tt := range []struct {
		name, env string
		want      []string
	}{
		{"files without TLS", "REDIS_TLS_CA_FILE=/ca REDIS_TLS_SERVER_NAME=x", []string{
			"REDIS_TLS_CA_FILE: TLS is off, so it has no effect; set REDIS_TLS=true (or write rediss:// in REDIS_URL); REDIS_TLS=false says that plain text is meant",
		}},
		{"certificate without key", "REDIS_TLS=1 REDIS_TLS_CERT_FILE=/cert", []string{
			"REDIS_TLS_KEY_FILE: is not set although REDIS_TLS_CERT_FILE is; set both or neither",
		}},
		{"key without certificate", "EVERCACHE_TLS_KEY_FILE=/key", []string{
			"EVERCACHE_TLS_CERT_FILE: is not set although EVERCACHE_TLS_KEY_FILE is; set both or neither",
		}},
		{"files that are not there, empty or something else", "REDIS_TLS=1 REDIS_TLS_CA_FILE=/none REDIS_TLS_CERT_FILE=/empty REDIS_TLS_KEY_FILE=/text", []string{
			`REDIS_TLS_CA_FILE: "/none" does not exist; give the path of a PEM file that this process may read`,
			`REDIS_TLS_CERT_FILE: "/empty" is empty or not PEM; give a PEM file: -----BEGIN …`,
			`REDIS_TLS_KEY_FILE: "/text" is empty or not PEM; give a PEM file: -----BEGIN …`,
		}},
		{"a key as authority", "REDIS_TLS=1 REDIS_TLS_CA_FILE=/key", []string{
			`REDIS_TLS_CA_FILE: "/key" holds no certificate; give a PEM file: -----BEGIN CERTIFICATE-----`,
		}},
		{"the key of another certificate", "EVERCACHE_TLS_CERT_FILE=/cert EVERCACHE_TLS_KEY_FILE=/other-key", []string{
			"EVERCACHE_TLS_CERT_FILE: certificate and key do not go together (private key does not match public key); give the certificate that belongs to the key in EVERCACHE_TLS_KEY_FILE",
		}},
		{"a server name with a port", "REDIS_TLS=1 REDIS_TLS_SERVER_NAME=x:1", []string{
			`REDIS_TLS_SERVER_NAME: "x:1" is not a host; give a host name or an IP address, without a port`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectLines(t, refuseWith(t, f, strings.Fields(tt.env)...), tt.want...)
		})
	}
}

func TestTLSThatIsSwitchedOffIsAFinding(t *testing.T) {
	cfg := accept(t, "REDIS_TLS=no", "REDIS_TLS_CA_FILE=/none", "REDIS_TLS_SERVER_NAME=x")
	if f := find(t, cfg, "config-tls-off"); f.Detail != "REDIS_TLS is false; no effect have REDIS_TLS_CA_FILE, REDIS_TLS_SERVER_NAME." {
		t.Errorf("Detail = %q", f.Detail)
	}
}
