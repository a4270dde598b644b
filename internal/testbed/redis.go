// Package testbed is what tests beside the code share: servers that end with a test, and
// what is waited for. It does not know the root package, so that the tests of every layer
// can have it. What the black-box tests of test/ share is package testkit.
package testbed

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
)

// patience is how long a busy machine may take for what an idle one does at once.
const patience = 20 * time.Second

// Redis starts a server that ends with the test. A test that fails shows its log.
func Redis(t *testing.T, o redisproc.Options) *redisproc.Process {
	t.Helper()
	p, err := redisproc.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Log())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Proxy starts a proxy in front of a server.
func Proxy(t *testing.T, target string) *faultnet.Proxy {
	t.Helper()
	p, err := faultnet.New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Do sends a command to a server. An error ends the test.
func Do(t *testing.T, p *redisproc.Process, args ...string) any {
	t.Helper()
	reply, err := p.Do(t.Context(), args...)
	if err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
	return reply
}

// Kill ends a server with SIGKILL.
func Kill(t *testing.T, p *redisproc.Process) {
	t.Helper()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
}

// Restart starts a server that has ended.
func Restart(t *testing.T, p *redisproc.Process, data redisproc.Data) {
	t.Helper()
	if err := p.Restart(t.Context(), data); err != nil {
		t.Fatal(err)
	}
}

// Resume lets a server go on that was paused.
func Resume(t *testing.T, p *redisproc.Process) {
	t.Helper()
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
}

// WantStored fails the test unless a key has that value; "" is none.
func WantStored(t *testing.T, p *redisproc.Process, key, want string) {
	t.Helper()
	if got := Do(t, p, "GET", key); want == "" && got != nil || want != "" && fmt.Sprint(got) != want {
		t.Errorf("%s is %v in Redis, want %q", key, got, want)
	}
}

// WaitStored waits until a key has that value; "<nil>" is none.
func WaitStored(t *testing.T, p *redisproc.Process, key, want string) {
	t.Helper()
	var got any
	Until(t, patience, func() bool { got = Do(t, p, "GET", key); return fmt.Sprint(got) == want },
		func() string { return fmt.Sprintf("%s is %v in Redis, want %s", key, got, want) })
}
