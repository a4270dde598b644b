package standalone_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// install puts the files of one authority in place of another's, each in one step.
func install(t *testing.T, dir string, from redistest.TLSFiles) evercache.TLSFiles {
	t.Helper()
	to := evercache.TLSFiles{CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	for _, f := range [][2]string{{from.CA, to.CA}, {from.Cert, to.Cert}, {from.Key, to.Key}} {
		data, err := os.ReadFile(f[0])
		if err != nil {
			t.Fatal(err)
		}
		write(t, f[1], data)
	}
	return to
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func told(c *evercache.Client, code string) bool {
	for _, f := range c.Health().Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

func TestCertificatesThatAreRenewedInTheirFilesAreUsedAtTheNextConnection(t *testing.T) {
	t.Parallel()
	before, after := redistest.Start(t, redistest.WithTLSClientCerts()), redistest.Start(t, redistest.WithTLSClientCerts())
	front, target := forwarded(t)
	target.Store(new(before.Addr()))
	files := install(t, t.TempDir(), before.TLSFiles())
	c, err := evercache.Open(context.Background(), evercache.Options{
		Addr: front, TLSFiles: files, DialTimeout: 2 * time.Second, CloseTimeout: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	testkit.Until(t, "connected", func() bool { return c.Health().Connected })

	whole, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []func(){
		func() { write(t, files.Key, whole[:len(whole)/2]) },
		func() {
			install(t, filepath.Dir(files.CA), after.TLSFiles())
			write(t, files.Key, whole)
			write(t, files.CA, pemOf(t, before.TLSFiles().CA))
		},
		func() { _ = os.Remove(files.Cert) },
	} {
		broken()
		before.Restart(redistest.KeepData)
		testkit.Until(t, "the last good files are used, and a finding tells", func() bool {
			return c.Health().Connected && told(c, "redis-tls-files")
		})
		install(t, filepath.Dir(files.CA), before.TLSFiles())
	}
	before.Kill()
	testkit.Until(t, "the server is missed", func() bool { return !c.Health().Connected })
	install(t, filepath.Dir(files.CA), after.TLSFiles())
	target.Store(new(after.Addr()))
	testkit.Until(t, "the renewed files are used", func() bool { return c.Health().Connected && !told(c, "redis-tls-files") })
	if !told(c, "redis-tls-expiring") {
		t.Error("no finding tells that the certificate is over within a day")
	}
	if all := c.Health().Certificates; len(all) != 1 || all[0].Peer != "redis" || time.Until(all[0].Expires) > 24*time.Hour || time.Until(all[0].Expires) < time.Minute {
		t.Errorf("the certificate is reported as %+v", all)
	}
}

// forwarded is an address behind which there is now one server, now another.
func forwarded(t *testing.T) (addr string, target *atomic.Pointer[string]) {
	t.Helper()
	target = new(atomic.Pointer[string])
	return testkit.Listen(t, func(in net.Conn) {
		out, err := net.Dial("tcp", *target.Load())
		if err != nil {
			return
		}
		testkit.Forward(in, out)
	}), target
}

func pemOf(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
