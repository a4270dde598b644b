package remote

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// diary is what a keeper tells, in order.
type diary struct {
	mu    sync.Mutex // guards what follows
	told  []string
	nodes []*Node
	cause error // of the last Down or Failed
}

func (d *diary) note(what string, n *Node, cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.told) == 0 || d.told[len(d.told)-1] != what { // failures and beats repeat
		d.told = append(d.told, what)
	}
	if n != nil {
		d.nodes = append(d.nodes, n)
	}
	if cause != nil {
		d.cause = cause
	}
}

func (d *diary) hooks() Hooks {
	return Hooks{
		Up:     func(n *Node) { d.note("up", n, nil) },
		Down:   func(cause error) { d.note("down", nil, cause) },
		Failed: func(err error) { d.note("failed", nil, err) },
		Beat:   func(*Node, Barrier) { d.note("beat", nil, nil) },
	}
}

func (d *diary) last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.told) == 0 {
		return ""
	}
	return d.told[len(d.told)-1]
}

func (d *diary) ups() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.nodes)
}

func (d *diary) lastCause() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cause
}

// keep runs a keeper that ends with the test, or when end is called.
func keep(t *testing.T, addr string, h Heartbeat, obs Observer, hooks Hooks) (end func(error)) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	c := config(addr)
	c.DialTimeout = time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		KeepStandalone(ctx, c, h, obs, hooks)
	}()
	end = func(cause error) {
		cancel(cause)
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the keeper does not end")
		}
	}
	t.Cleanup(func() { end(nil) })
	return end
}

func TestAKeeperFollowsItsServerDownAndUp(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	var d diary
	end := keep(t, p.Addr(), heartbeat, &seen{}, d.hooks())
	eventually(t, patience, "a beat", func() bool { return d.last() == "beat" })
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "a failed attempt", func() bool { return d.last() == "failed" })
	wantKind(t, d.lastCause(), Conn)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "another beat", func() bool { return d.last() == "beat" })
	over := errors.New("the test is over")
	end(over)
	if !errors.Is(d.lastCause(), over) || d.last() != "down" {
		t.Errorf("at the end: %s, %v", d.last(), d.lastCause())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.nodes[0] == d.nodes[1] {
		t.Error("a node that was given up came back")
	}
	for _, n := range d.nodes {
		wantKind(t, beat(t, n), Conn) // each has been abandoned
	}
}

func TestAnOpenBreakerEndsTheNodeAtOnce(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	var d diary
	up := make(chan *Node, 10)
	hooks := d.hooks()
	hooks.Up = func(n *Node) { d.note("up", n, nil); up <- n }
	h := heartbeat
	h.Every = time.Hour // the heartbeat finds nothing out
	keep(t, proxy.Addr(), h, &seen{}, hooks)
	n := <-up
	proxy.Blackhole(true)
	_, err := n.Get(t.Context(), "k", 20*time.Millisecond)
	wantKind(t, err, Timeout)
	eventually(t, patience, "the node is down", func() bool { return d.lastCause() != nil })
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-up:
	case <-time.After(patience):
		t.Error("no other node")
	}
}

func TestOneMissedBeatIsForgiven(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	var d diary
	h := heartbeat
	h.Timeout, h.Slow = 500*time.Millisecond, 400*time.Millisecond
	missed := make(chan struct{})
	obs := observer(func(_ string, _ time.Duration, k Kind) {
		if k == Timeout {
			_ = proxy.Heal()
			close(missed) // a second one would panic
		}
	})
	keep(t, proxy.Addr(), h, obs, d.hooks())
	eventually(t, patience, "a beat", func() bool { return d.last() == "beat" })
	proxy.Blackhole(true)
	<-missed
	d.note("missed", nil, nil)
	eventually(t, patience, "another beat", func() bool { return d.last() == "beat" })
	if d.ups() != 1 || d.lastCause() != nil {
		t.Errorf("%d nodes, given up for %v", d.ups(), d.lastCause())
	}
}

// A server that accepts us and breaks at once must not be dialled at once.
func TestANodeThatAlwaysBreaksIsDialledAtGrowingDelays(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	var d diary
	hooks := d.hooks()
	hooks.Up = func(n *Node) {
		d.note("up", n, nil)
		n.Abandon()
	}
	keep(t, p.Addr(), heartbeat, &seen{}, hooks)
	start := time.Now()
	eventually(t, patience, "a seventh node", func() bool { return d.ups() >= 7 })
	if took := time.Since(start); took < 600*time.Millisecond { // half of 20 + 40 + 80 + 160 + 320 + 640 ms
		t.Errorf("seven nodes were made in %v", took)
	}
}

func TestJitterStaysWithinHalfOfTheDelay(t *testing.T) {
	for _, d := range []time.Duration{1, firstDelay, maxDelay} {
		spread := map[time.Duration]bool{}
		for range 1000 {
			j := jitter(d)
			if j < d/2 || j > d {
				t.Fatalf("jitter(%v) = %v", d, j)
			}
			spread[j] = true
		}
		if d > 1 && len(spread) < 100 {
			t.Errorf("jitter(%v) took %d values", d, len(spread))
		}
	}
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	within(t, patience, "a pause of an hour", func() {
		if err := Pause(ctx, time.Hour); !errors.Is(err, why) {
			t.Errorf("pause = %v, want the reason", err)
		}
	})
	if err := Pause(t.Context(), time.Millisecond); err != nil {
		t.Errorf("a whole pause: %v", err)
	}
}
