package redisproc

import (
	"errors"
	"os"
	"testing"
	"time"
)

const patience = 20 * time.Second // what must happen happens well before

// start starts a process that ends with the test.
func start(t *testing.T, o Options) *Process {
	t.Helper()
	needRedis(t)
	p, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, p)
	return p
}

func closeLater(t *testing.T, p *Process) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.Addr(), p.tail(tailLines))
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func needRedis(t *testing.T) {
	t.Helper()
	err := errors.Join(Available(Server), Available(Sentinel))
	switch {
	case err == nil:
	case os.Getenv("EVERCACHE_TEST_REQUIRE_REDIS") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

func ask(t *testing.T, p *Process, args ...string) any {
	t.Helper()
	v, err := p.Do(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTLS(t *testing.T) *TLS {
	t.Helper()
	certs, err := NewTLS(t.TempDir())
	must(t, err)
	return certs
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
