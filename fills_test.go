package evercache

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

func TestSoManyLoadedValuesAreStoredAtATime(t *testing.T) {
	f := newFills()
	var wg sync.WaitGroup
	var now, most, all atomic.Int64
	for range 3 * mostFills {
		wg.Go(func() {
			defer f.enter()()
			n := now.Add(1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			time.Sleep(time.Millisecond)
			now.Add(-1)
			all.Add(1)
		})
	}
	wg.Wait()
	if most.Load() > mostFills || all.Load() != 3*mostFills {
		t.Errorf("%d of %d, %d at a time", all.Load(), 3*mostFills, most.Load())
	}
}

// loadedFor is a loaded value of a key that Redis has not.
func loadedFor(t *testing.T, c *Cache[string], key, value string) (*keyFlight[string], *toStore) {
	t.Helper()
	f, _ := c.flights.Join(key, flight.Refreshes)
	full := c.full(key)
	f.Data.full, f.Data.at, f.Data.mark = full, c.client.store.Clock.Now(), c.keys.Mark(full)
	f.Data.missed = c.keys.ReadMaster(t.Context(), full, c.policy.ReadTimeout).Asked
	f.BeginLoad()
	return f, &toStore{item: local.NewItem(value), data: []byte(value), ttl: c.policy.TTL}
}

// fillUnderWay is a loaded value of a key that Redis has not, about to be sent.
func fillUnderWay(t *testing.T, c *Cache[string], key, value string) (*keyFlight[string], *toStore, *shard.Fill) {
	t.Helper()
	f, w := loadedFor(t, c, key, value)
	filling, ok := c.beginFill(f, w)
	if !ok {
		t.Fatal("it is not to be stored")
	}
	return f, w, &filling
}

// A delete that comes while a loaded value is on its way takes it back, and only that.
func TestWhatWasDeletedOnItsWayIsTakenBack(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
	for name, tt := range map[string]struct {
		before, after string // what somebody else writes
		want          any
	}{
		"nothing else":                  {},
		"somebody has written before":   {before: "other", want: "other"},
		"somebody has written the same": {before: "loaded", want: "loaded"},
		"somebody has written since":    {after: "other", want: "other"},
	} {
		t.Run(name, func(t *testing.T) {
			f, w, filling := fillUnderWay(t, c, name, "loaded")
			defer filling.End()
			if tt.before != "" {
				redisDo(t, p, "SET", "c:"+name, tt.before, "PX", "3600000")
			}
			var res shard.Filled
			res.Stored, res.Err = filling.Send(t.Context())
			if tt.after != "" {
				redisDo(t, p, "SET", "c:"+name, tt.after, "PX", "3600000")
			}
			c.flights.SupersedeAll(func(key string) bool { return key == name })
			if c.concluded(t.Context(), filling, f, w, res) {
				t.Error("memory may hold it")
			}
			if got := redisDo(t, p, "GET", "c:"+name); got != tt.want {
				t.Errorf("Redis holds %v, want %v", got, tt.want)
			}
		})
	}
}

// What was written while it was loaded is not sent.
func TestALoadThatWasOvertakenIsNotStored(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
	f, w := loadedFor(t, c, "k", "loaded")
	c.flights.Supersede("k", func() {})
	if _, ok := c.beginFill(f, w); ok {
		t.Error("it is sent")
	}
	if c.client.store.Scripts.Writes(c.full("k")) {
		t.Error("what is announced of the key still counts as its own")
	}
}

// A write of this process waits for a loaded value that is on its way, in a batch too: who
// takes that back must not meet the write.
func TestALoadOnItsWayHasTheKeyToItself(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	link := startProxy(t, p.Addr())
	c := cacheAt(t, link.Addr(), Policy{TTL: time.Hour})
	link.SetLatency(faultnet.ToTarget, 100*time.Millisecond)
	_, err := c.Get(t.Context(), "k", constant("v"))
	wantErr(t, err, nil)
	full := c.full("k")
	waitUntil(t, 20*time.Second, func() bool {
		held := c.client.store.Locks.TryLock(full)
		if held != nil {
			c.client.store.Locks.Unlock(held)
		}
		return held == nil
	}, func() string { return "nobody holds the key" })
	waitUntil(t, 20*time.Second, c.noFills, func() string { return "it is not stored" })
	if held := c.client.store.Locks.TryLock(full); held == nil {
		t.Error("the key is held for good")
	}
}
