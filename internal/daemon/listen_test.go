package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNoCBCSuiteIsServed: Go offers them beside the others.
func TestNoCBCSuiteIsServed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	r := runDaemon(t, "EVERCACHE_TLS_CERT_FILE="+certFile, "EVERCACHE_TLS_KEY_FILE="+keyFile)
	for _, s := range tls.CipherSuites() {
		if !slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		c, err := tls.Dial("tcp", r.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{s.ID}})
		if err != nil {
			continue
		}
		_ = c.Close()
		if strings.Contains(s.Name, "_CBC_") {
			t.Errorf("%s is served", s.Name)
		}
	}
	if c, err := tls.Dial("tcp", r.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	} else {
		_ = c.Close()
	}
}

func TestTLSFollowsTheRenewalOfItsCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	r := runDaemon(t, "EVERCACHE_TLS_CERT_FILE="+certFile, "EVERCACHE_TLS_KEY_FILE="+keyFile)
	serial := func() int64 {
		t.Helper()
		c, err := tls.Dial("tcp", r.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial = %d, want 1", got)
	}
	if err := os.WriteFile(certFile, []byte("half of a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lookAgain + 50*time.Millisecond)
	if got := serial(); got != 1 {
		t.Errorf("serial with a broken file = %d, want 1", got)
	}
	writeCertificate(t, certFile, keyFile, 2)
	deadline := time.Now().Add(5 * time.Second)
	for serial() != 2 {
		if time.Now().After(deadline) {
			t.Fatal("the renewed certificate is not served after 5 s")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := strings.Count(r.logs.String(), "certificate cannot be used"); n != 1 {
		t.Errorf("%d warnings in the log, want 1:\n%s", n, r.logs)
	}

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	resp, err := client.Get("https://" + r.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok\n" || resp.ProtoMajor != 1 {
		t.Errorf("livez = %q, %v over %s", b, err, resp.Proto)
	}
}

// writeCertificate makes a self-signed key pair.
func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogFormat(t *testing.T) {
	for format, want := range map[string]string{"json": `{"time"`, "text": "time=", "auto": `{"time"`} {
		var b strings.Builder
		NewLogger(&b, slog.LevelInfo, format).Info("hello")
		if !strings.HasPrefix(b.String(), want) {
			t.Errorf("%s: %s", format, b.String())
		}
	}
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	NewLogger(file, slog.LevelInfo, "auto").Debug("hello")
	NewLogger(file, slog.LevelInfo, "auto").Info("hello")
	if b, err := os.ReadFile(file.Name()); err != nil || strings.Count(string(b), "\n") != 1 || b[0] != '{' {
		t.Errorf("auto on a file = %q, %v; want one line of JSON", b, err)
	}
}
