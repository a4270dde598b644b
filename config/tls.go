package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"strings"

	"github.com/evercache/evercache"
)

// redisTLS gives the TLS settings for Redis and for the sentinels; nil is off.
func (r *reader) redisTLS() (redis, sentinels *tls.Config) {
	on := r.url.tls || r.tls
	sentinelsOn := on
	if r.sentinelTLS != nil {
		sentinelsOn = *r.sentinelTLS
	}
	sentinelsOn = sentinelsOn && r.sentinelEnabled
	idle := r.checkTLSIsMeant(on || sentinelsOn)
	if idle {
		return nil, nil
	}
	conf := r.tlsConfig() // names what is wrong with the files, also where a fault hides whether TLS is on
	if on {
		redis = conf
	}
	if sentinelsOn {
		sentinels = conf.Clone()
	}
	return redis, sentinels
}

// tlsFiles are those that are read again at every connection. They have been read
// once, into conf: a wrong one stops the start.
func (r *reader) tlsFiles(conf *tls.Config) evercache.TLSFiles {
	if conf == nil {
		return evercache.TLSFiles{}
	}
	return evercache.TLSFiles{CA: r.tlsCAFile, Cert: r.tlsCertFile, Key: r.tlsKeyFile}
}

// checkTLSIsMeant catches files for TLS without TLS: a password would travel in
// plain text although somebody took care that it does not. It reports whether the
// files are not used, and no fault stands in their way.
func (r *reader) checkTLSIsMeant(on bool) (idle bool) {
	if r.bad["REDIS_TLS"] || r.bad["REDIS_URL"] {
		return false
	}
	explicit := r.set("REDIS_TLS")
	if r.set("REDIS_URL") && explicit && r.tls != r.url.tls {
		r.fault("REDIS_TLS", "contradicts REDIS_URL", "write rediss:// there for TLS, redis:// for none, and leave REDIS_TLS out")
		return false
	}
	files := r.setOf("REDIS_TLS_CA_FILE", "REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE", "REDIS_TLS_SERVER_NAME")
	switch {
	case on:
		return false
	case len(files) == 0:
		return true
	case explicit:
		r.findings = append(r.findings, tlsOff.finding(
			"REDIS_TLS is false; no effect have "+strings.Join(files, ", ")+".",
			"Set REDIS_TLS=true, or unset them.",
		))
		return true
	case r.sentinelsMayUseTLS():
	default:
		r.fault(files[0], "TLS is off, so it has no effect", "set REDIS_TLS=true (or write rediss:// in REDIS_URL); REDIS_TLS=false says that plain text is meant")
	}
	return false
}

// sentinelsMayUseTLS reports whether a fault hides if TLS is on for the sentinels.
func (r *reader) sentinelsMayUseTLS() bool {
	wanted := r.sentinelTLS != nil && *r.sentinelTLS
	return r.bad["REDIS_SENTINEL_TLS"] && (r.sentinelEnabled || r.bad["REDIS_SENTINEL_ENABLED"]) ||
		wanted && r.bad["REDIS_SENTINEL_ENABLED"]
}

func (r *reader) tlsConfig() *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.tlsServerName}
	if r.tlsCAFile != "" {
		conf.RootCAs = r.authorities("REDIS_TLS_CA_FILE", r.tlsCAFile)
	}
	if cert := r.keyPair("REDIS_TLS_CERT_FILE", r.tlsCertFile, "REDIS_TLS_KEY_FILE", r.tlsKeyFile); cert != nil {
		conf.Certificates = []tls.Certificate{*cert}
	}
	return conf
}

func (r *reader) authorities(name, path string) *x509.CertPool {
	data, ok := r.pem(name, path)
	if !ok {
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		r.fault(name, r.file(path)+" holds no certificate", "give a PEM file: -----BEGIN CERTIFICATE-----")
	}
	return pool
}

// keyPair reads a certificate and its key: both or neither.
func (r *reader) keyPair(certName, certPath, keyName, keyPath string) *tls.Certificate {
	if !r.set(certName) && !r.set(keyName) {
		return nil
	}
	cert, certOK := r.pemHalf(certName, certPath, keyName)
	key, keyOK := r.pemHalf(keyName, keyPath, certName)
	if !certOK || !keyOK {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		r.fault(certName, "certificate and key do not go together ("+strings.TrimPrefix(err.Error(), "tls: ")+")", "give the certificate that belongs to the key in "+keyName)
		return nil
	}
	return &pair
}

// pemHalf reads one file of a pair.
func (r *reader) pemHalf(name, path, other string) ([]byte, bool) {
	if path == "" {
		if !r.set(name) {
			r.fault(name, "is not set although "+other+" is", "set both or neither")
		}
		return nil, false
	}
	return r.pem(name, path)
}

func (r *reader) pem(name, path string) ([]byte, bool) {
	data, mode, err := r.files.read(path, maxPEMBytes)
	switch {
	case err != nil:
		r.fault(name, r.file(path)+" "+fileTrouble(err), "give the path of a PEM file that this process may read")
	case !bytes.Contains(data, []byte("-----BEGIN ")):
		r.fault(name, r.file(path)+" is empty or not PEM", "give a PEM file: -----BEGIN …")
	default:
		r.checkKeyMode(name, path, data, mode)
		return data, true
	}
	return nil, false
}
