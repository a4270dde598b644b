package redisproc

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTLSServerAnswersThoseWhoMayAsk(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		require, present, works bool
	}{
		{"no certificate asked for", false, false, true},
		{"certificate not asked for but shown", false, true, true},
		{"certificate required and shown", true, true, true},
		{"certificate required and missing", true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, Options{TLS: newTLS(t), RequireClientCert: tt.require})
			config := p.TLS().ClientConfig()
			if !tt.present {
				config.Certificates = nil
			}
			if err := ping(p.Addr(), config); (err == nil) != tt.works {
				t.Errorf("PING over TLS = %v, works: want %v", err, tt.works)
			}
		})
	}
}

func TestCertificateNamesLoopback(t *testing.T) {
	p := start(t, Options{TLS: newTLS(t)})
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		config := p.TLS().ClientConfig()
		config.ServerName = name
		if err := ping(p.Addr(), config); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	stranger := newTLS(t).ClientConfig()
	if err := ping(p.Addr(), stranger); err == nil {
		t.Error("a client of another authority was content")
	}
}

func TestReplicaFollowsOverTLSWithClientCertificate(t *testing.T) {
	certs := newTLS(t)
	master := start(t, Options{TLS: certs, RequireClientCert: true, Password: "pw"})
	ask(t, master, "SET", "k", "v")
	replica := start(t, Options{TLS: certs, RequireClientCert: true, Password: "pw", ReplicaOf: master.Addr()})
	eventually(t, "the key at the replica", func() bool { return ask(t, replica, "GET", "k") == "v" })
}

func TestTLSFilesArePrivate(t *testing.T) {
	certs := newTLS(t)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(certs.CAFile), "*"))
	must(t, err)
	if len(files) != 5 {
		t.Errorf("files = %v, want 5", files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, info.Mode())
		}
	}
	if _, err := NewTLS(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("NewTLS in a missing directory = nil")
	}
}

// ping speaks to the server as an application would, with config as it is.
func ping(addr string, config *tls.Config) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(appendCommand(nil, []string{"PING"})); err != nil {
		return err
	}
	_, err = newReplyReader(conn).read()
	return err
}
