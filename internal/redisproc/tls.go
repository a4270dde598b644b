package redisproc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certLife is longer than any test and too short to be of use to anybody who finds the files.
const certLife = 24 * time.Hour

// TLS is a certificate authority with one certificate for servers and one for clients, as PEM
// files (mode 0600). The server's names localhost, 127.0.0.1 and ::1 and is good for both ends of
// a connection, since a replica and a sentinel are clients of a server.
type TLS struct {
	CAFile                        string
	ServerCertFile, ServerKeyFile string
	ClientCertFile, ClientKeyFile string
	roots                         *x509.CertPool
	client                        tls.Certificate
}

// NewTLS writes the files to dir, which must exist.
func NewTLS(dir string) (*TLS, error) { return NewTLSFor(dir, certLife) }

// NewTLSFor is NewTLS with certificates that are valid for so long.
func NewTLSFor(dir string, life time.Duration) (*TLS, error) {
	ca, err := newAuthority(life)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	t := &TLS{
		CAFile:         filepath.Join(dir, "ca.crt"),
		ServerCertFile: filepath.Join(dir, "server.crt"), ServerKeyFile: filepath.Join(dir, "server.key"),
		ClientCertFile: filepath.Join(dir, "client.crt"), ClientKeyFile: filepath.Join(dir, "client.key"),
		roots: x509.NewCertPool(),
	}
	t.roots.AddCert(ca.cert)
	if err := writePEM(t.CAFile, "CERTIFICATE", ca.cert.Raw); err != nil {
		return nil, err
	}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if err := ca.issue(t.ServerCertFile, t.ServerKeyFile, "redis", both); err != nil {
		return nil, err
	}
	if err := ca.issue(t.ClientCertFile, t.ClientKeyFile, "client", both[1:]); err != nil {
		return nil, err
	}
	t.client, err = tls.LoadX509KeyPair(t.ClientCertFile, t.ClientKeyFile)
	return t, err
}

// ClientConfig is what a client needs, its certificate included. Each call returns a new one.
func (t *TLS) ClientConfig() *tls.Config {
	return &tls.Config{RootCAs: t.roots, Certificates: []tls.Certificate{t.client}, MinVersion: tls.VersionTLS12}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	life time.Duration // of what it signs
}

func newAuthority(life time.Duration) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template(1, "evercache test CA", life)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key, life}, err
}

// issue makes a key and a certificate for name and writes both.
func (a *authority) issue(certFile, keyFile, name string, usage []x509.ExtKeyUsage) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := template(time.Now().UnixNano(), name, a.life)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, usage
	t.DNSNames = []string{"localhost"}
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	cert, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", cert); err != nil {
		return err
	}
	return writePEM(keyFile, "PRIVATE KEY", der)
}

func template(serial int64, name string, life time.Duration) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // clocks of virtual machines step
		NotAfter:     now.Add(life),
	}
}

func writePEM(file, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return nil
}
