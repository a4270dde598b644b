package remote

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testbed"
)

const (
	long     = 5 * time.Second  // a limit that no call of a healthy node comes near
	patience = 20 * time.Second // what must happen happens well before
)

// Short names for what the tests of all layers share.
var (
	startRedis = testbed.Redis
	startProxy = testbed.Proxy
	ask        = testbed.Do
)

// heartbeat is one that a loaded machine keeps.
var heartbeat = Heartbeat{Key: "~b:test", TTL: time.Hour, Every: 50 * time.Millisecond, Timeout: 3 * time.Second, Slow: 2 * time.Second}

func config(addr string) Config { return Config{Addr: addr, DialTimeout: long} }

// dial returns a verified node that ends with the test; obs may be nil.
func dial(t *testing.T, addr string, obs Observer) *Node {
	t.Helper()
	return dialWith(t, config(addr), obs)
}

func dialWith(t *testing.T, c Config, obs Observer) *Node {
	t.Helper()
	if obs == nil {
		obs = observer(func(string, time.Duration, Kind) {})
	}
	n, err := Dial(t.Context(), c, heartbeat, obs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Abandon)
	return n
}

// observer is an Observer that is a function.
type observer func(name string, took time.Duration, k Kind)

func (o observer) Command(name string, took time.Duration, k Kind) { o(name, took, k) }

// seen is an Observer that remembers.
type seen struct {
	mu sync.Mutex // guards n
	n  map[string]int
}

func (s *seen) Command(name string, _ time.Duration, k Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = map[string]int{}
	}
	s.n[name+" "+string(k)]++
}

func (s *seen) count(name string, k Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[name+" "+string(k)]
}

func wantKind(t *testing.T, err error, want Kind) {
	t.Helper()
	if got := KindOf(err); got != want {
		t.Errorf("error %v: %q, want %q", err, got, want)
	}
}

func wantClosed(t *testing.T, n *Node) {
	t.Helper()
	if isOpen(n) {
		t.Errorf("the node is given up: %v", n.OpenErr())
	}
}

func isOpen(n *Node) bool {
	select {
	case <-n.Opened():
		return true
	default:
		return false
	}
}

// within runs f and fails the test when it takes longer.
func within(t *testing.T, d time.Duration, what string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > d {
		t.Errorf("%s took %v, want at most %v", what, took, d)
	}
}

func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func short(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// beat sends a heartbeat.
func beat(t *testing.T, n *Node) error {
	t.Helper()
	_, err := n.Barrier(context.Background(), 0)
	return err
}
