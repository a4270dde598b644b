package shard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/internal/testbed"
)

// The tests of this package that are about a shard under a client open one, and look
// into its shard with Of: see export_test.go.

var quiet = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) { testbed.Main(m, 5) }

// Short names for what the tests of all layers share.
var (
	startRedis  = testbed.Redis
	startProxy  = testbed.Proxy
	redisDo     = testbed.Do
	kill        = testbed.Kill
	restart     = testbed.Restart
	resume      = testbed.Resume
	wantStored  = testbed.WantStored
	waitInRedis = testbed.WaitStored

	waitUntil    = testbed.Until
	connect      = testbed.Connect
	hasFinding   = testbed.HasFinding
	waitFinding  = testbed.WaitFinding
	waitKept     = testbed.WaitSent
	times        = testbed.Recoveries
	nothingWaits = testbed.NothingWaits
	returned     = testbed.Recovered
)

func open(t *testing.T, o evercache.Options) *evercache.Client {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	c, err := evercache.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Shutdown(ctx)
	})
	return c
}

func cacheOf[V any](t *testing.T, c *evercache.Client, class string, p evercache.Policy, o ...evercache.CacheOption[V]) *evercache.Cache[V] {
	t.Helper()
	cache, err := evercache.NewCache(c, class, p, o...)
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// noRedis is an address at which nothing answers.
const noRedis = "127.0.0.1:1"

func wantValue[V comparable](t *testing.T, got V, err error, want V) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

// cacheAt opens a client of its own, as another process would, and waits until
// what its class holds can be coherent.
func cacheAt(t *testing.T, addr string, p evercache.Policy, o ...evercache.CacheOption[string]) *evercache.Cache[string] {
	t.Helper()
	// Patient: a test machine is busy, and an outage is not what is shown.
	client := open(t, evercache.Options{Addr: addr, ReadTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond})
	c := cacheOf(t, client, "c", p, o...)
	connect(t, client, 20*time.Second)
	waitUntil(t, 20*time.Second, func() bool { // what is unconfirmed hurries the barrier
		_, _ = c.Set(t.Context(), "first", "v")
		e, err := c.Lookup(t.Context(), "first")
		return err == nil && e.Coherent
	}, func() string { return fmt.Sprintf("%+v", client.Health().Feed) })
	return c
}

func openAt(t *testing.T, addr string) *evercache.Client {
	t.Helper()
	return open(t, evercache.Options{Addr: addr})
}

// away opens a client on a Redis that is paused, and returns when it has noticed.
func away(t *testing.T, p *redisproc.Process, o evercache.Options) *evercache.Client {
	t.Helper()
	o.Addr = p.Addr()
	client := open(t, o)
	connect(t, client, 20*time.Second)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	return client
}

// wantWritten fails the test unless a write is exactly as safe as wanted.
func wantWritten(t *testing.T, want evercache.Durability) func(evercache.Receipt, error) {
	return func(r evercache.Receipt, err error) {
		t.Helper()
		if err != nil || r.Durability != want {
			t.Errorf("written as %v, %v, want %v", r.Durability, err, want)
		}
	}
}

// wantMaster repeats a write until a master takes it: a busy machine may make it wait.
func wantMaster(t *testing.T, write func() (evercache.Receipt, error)) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r, err := write()
		if err != nil {
			t.Fatal(err)
		}
		if r.Durability >= evercache.Master {
			return
		}
	}
	t.Error("no master takes it")
}

// hasBarrier reports whether a barrier has proved that the master is the only one.
func hasBarrier(c *evercache.Client) bool {
	_, barrier, _, _ := shard.Of(c).Feed.State()
	return barrier > 0
}
