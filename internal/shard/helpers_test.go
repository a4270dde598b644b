package shard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// The tests of this package that are about a shard under a client open one, and look
// into its shard with Of: see export_test.go.

var quiet = slog.New(slog.DiscardHandler)

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

// returned waits until the client has sent what it had to after a restart.
func returned(t *testing.T, c *evercache.Client, transitions uint64) {
	t.Helper()
	waitUntil(t, 30*time.Second, func() bool {
		return c.State() == health.Connected && c.Stats().StateTransitions[shard.Transition(health.Recovering, health.Connected)] > transitions
	}, func() string { return fmt.Sprintf("%+v", c.Health()) })
}

func times(c *evercache.Client) uint64 {
	return c.Stats().StateTransitions[shard.Transition(health.Recovering, health.Connected)]
}

func wantStored(t *testing.T, p *redisproc.Process, key, want string) {
	t.Helper()
	if got := redisDo(t, p, "GET", key); want == "" && got != nil || want != "" && fmt.Sprint(got) != want {
		t.Errorf("%s is %v in Redis, want %q", key, got, want)
	}
}

func kill(t *testing.T, p *redisproc.Process) {
	t.Helper()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
}

func restart(t *testing.T, p *redisproc.Process, data redisproc.Data) {
	t.Helper()
	if err := p.Restart(t.Context(), data); err != nil {
		t.Fatal(err)
	}
}

func startRedis(t *testing.T, o redisproc.Options) *redisproc.Process {
	t.Helper()
	p, err := redisproc.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Log())
		}
		p.Close()
	})
	return p
}

func startProxy(t *testing.T, target string) *faultnet.Proxy {
	t.Helper()
	p, err := faultnet.New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func openAt(t *testing.T, addr string) *evercache.Client {
	t.Helper()
	return open(t, evercache.Options{Addr: addr})
}

func connect(t *testing.T, c *evercache.Client, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := c.WaitConnected(ctx); err != nil {
		t.Fatalf("not connected within %v: %v", within, err)
	}
}

func redisDo(t *testing.T, p *redisproc.Process, args ...string) any {
	t.Helper()
	reply, err := p.Do(t.Context(), args...)
	if err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
	return reply
}

func hasFinding(h health.Report, code string) bool {
	return slices.ContainsFunc(h.Findings, func(f health.Finding) bool { return f.Code == code && f.Fix != "" && f.Title != "" })
}

func waitFinding(t *testing.T, c *evercache.Client, code string) {
	t.Helper()
	waitUntil(t, 20*time.Second, func() bool { return hasFinding(c.Health(), code) },
		func() string { return fmt.Sprintf("no finding %s in %+v", code, c.Health()) })
}

func waitUntil(t *testing.T, within time.Duration, ok func() bool, why func() string) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, why())
		}
		time.Sleep(2 * time.Millisecond)
	}
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

func resume(t *testing.T, p *redisproc.Process) {
	t.Helper()
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
}

func waitInRedis(t *testing.T, p *redisproc.Process, key, want string) {
	t.Helper()
	var got any
	waitUntil(t, 20*time.Second, func() bool { got = redisDo(t, p, "GET", key); return fmt.Sprint(got) == want },
		func() string { return fmt.Sprintf("%s is %v in Redis, want %s", key, got, want) })
}

// waitKept waits until nothing is left to be sent, and says how many masters it took.
func waitKept(t *testing.T, client *evercache.Client, within time.Duration) {
	t.Helper()
	waitUntil(t, within, func() bool { return client.State() == health.Connected && client.Health().OutboxEntries == 0 }, func() string {
		return fmt.Sprintf("%s, %+v wait, dialled %v", client.State(), client.Health().OutboxEntries, client.Stats().RedisDials)
	})
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

// hasBarrier reports whether a barrier has proved that the master is the only one.
func hasBarrier(c *evercache.Client) bool {
	_, barrier, _, _ := shard.Of(c).Feed.State()
	return barrier > 0
}
