package evercache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/redisproc"
)

// TestTheEndOfAKeyLeavesItAsStaleAndIsLoadedOnce reads every key at its end from
// several goroutines.
func TestTheEndOfAKeyLeavesItAsStaleAndIsLoadedOnce(t *testing.T) {
	t.Parallel()
	for _, stale := range []time.Duration{0, time.Hour} {
		t.Run(fmt.Sprint(stale), func(t *testing.T) {
			t.Parallel()
			const life, keys = 3 * time.Second, 12 // long enough to be read by a busy machine
			p := startRedis(t, redisproc.Options{})
			c := cacheAt(t, p.Addr(), Policy{TTL: life, Stale: stale, LoadPatience: Never, LoadRetryAfter: Never})
			writer := cacheAt(t, p.Addr(), Policy{TTL: life})
			for i := range keys {
				_, _ = writer.Set(t.Context(), fmt.Sprint(i), "old")
				waitCovers(t, c, fmt.Sprint(i), "old")
			}
			time.Sleep(life + 20*time.Millisecond)
			if stale > 0 {
				e, err := c.GetEntry(t.Context(), "0", failing)
				if err != nil || e.Value != "old" || e.Fresh || e.Coherent {
					t.Errorf("past its end and without an origin: %+v, %v", e, err)
				}
			}
			var loads [keys]atomic.Int64
			var wg sync.WaitGroup
			for i := range keys {
				for range 4 {
					wg.Go(func() {
						v, err := c.Get(t.Context(), fmt.Sprint(i), func(context.Context, string) (string, error) {
							loads[i].Add(1)
							time.Sleep(20 * time.Millisecond)
							return "loaded", nil
						})
						wantValue(t, v, err, "loaded")
					})
				}
			}
			wg.Wait()
			waitUntil(t, time.Second, c.noFills, func() string { return "a fill stays" })
			uncovered := 0
			for i := range keys {
				if n := loads[i].Load(); n != 1 {
					t.Errorf("%d was loaded %d times", i, n)
				}
				if it := c.peek(fmt.Sprint(i)); it == nil || it.Cover == nil {
					uncovered++
				}
			}
			if uncovered > keys/2 { // some, where another key's announcement came in between
				t.Errorf("%d are not covered after their loads, as %+v; feed %+v", uncovered, c.peek("0"), c.client.Health().Feed)
			}
		})
	}
}

// TestAChangeShortlyBeforeItsEndIsNoExpiry: the announcement looks the same.
func TestAChangeShortlyBeforeItsEndIsNoExpiry(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{Stale: time.Hour})
	for i := range 10 {
		key := fmt.Sprint(i)
		redisDo(t, p, "SET", "c:"+key, "old", "PX", "400")
		waitCovers(t, c, key, "old")
		before := c.client.Health().Feed.Announced
		redisDo(t, p, "SET", "c:"+key, "new")
		waitAnnounced(t, c.client, before)
		waitUntil(t, 100*time.Millisecond, func() bool { e, _ := c.Lookup(t.Context(), key); return e.Value == "new" },
			func() string { return "the old value is served until its end" })
	}
}

func TestWithoutTheRightToTrackNothingInMemoryIsCoherent(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">x", "~*", "&*", "+@all", "-client|tracking")
	client := open(t, Options{Addr: p.Addr(), Username: "app", Password: "x"})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	waitFinding(t, client, "redis-feed")
	waitUntil(t, 20*time.Second, func() bool { return hasBarrier(client) }, func() string { return "no barrier" })
	r, err := c.Set(t.Context(), "a", "old")
	wantValue(t, r.Durability, err, Master)
	redisDo(t, p, "SET", "c:a", "new")
	e, err := c.Lookup(t.Context(), "a")
	if err != nil || e.Value != "old" || e.Source != SourceMemory || e.Coherent {
		t.Errorf("within L1TTL: %+v, %v", e, err)
	}
	c.elapse("a")
	e, err = c.Lookup(t.Context(), "a")
	if err != nil || e.Value != "new" || e.Source != SourceRedis || !e.Coherent {
		t.Errorf("after L1TTL: %+v, %v", e, err)
	}
	if h := client.Health().Feed; h.On || h.Coherent || h.Cause == nil {
		t.Errorf("feed = %+v", h)
	}
}

func TestWithoutTheRightToRunScriptsItWorksPlainly(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">x", "~*", "&*", "+@all", "-@scripting")
	client := open(t, Options{Addr: p.Addr(), Username: "app", Password: "x"})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	v, err := c.Get(t.Context(), "a", constant("v"))
	wantValue(t, v, err, "v")
	waitInRedis(t, p, "c:a", "v")
	r, err := c.Delete(t.Context(), "a")
	wantValue(t, r.Durability, err, Master)
	if n := redisDo(t, p, "EXISTS", "c:a"); n != int64(0) {
		t.Error("not deleted")
	}
	_, _ = c.Set(t.Context(), "b", "v")
	n, _, err := c.DeletePrefix(t.Context(), "b")
	wantValue(t, n, err, 1)
	waitFinding(t, client, "redis-scripts-forbidden")
}

// TestAfterAPauseOfOurProcessNothingIsCoherentUntilTheFeedIsHeard lets the clock
// find that it ticks too late.
func TestAfterAPauseOfOurProcessNothingIsCoherentUntilTheFeedIsHeard(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{})
	_, _ = c.Set(t.Context(), "a", "v")
	waitCovers(t, c, "a", "v")
	own := c.client.one().Clock
	own.Tick(own.Now() - int64(clock.LateAfter)/2)
	if !c.covers("a", "v") {
		t.Error("not coherent though the clock was in time")
	}
	paused := own.Now()
	own.Tick(paused - int64(clock.LateAfter))
	for _, proof := range []func(int64){c.client.one().Feed.ProvedBarrier, c.client.one().Feed.ProvedHeard} { // of before
		proof(paused - 1)
	}
	if c.covers("a", "v") || c.client.Health().Feed.Coherent {
		t.Error("coherent right after a pause")
	}
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "v")
	waitCovers(t, c, "a", "v")
}
