package evercache

import (
	"context"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// TestRedisOwnAnswersAreCoherentOnlyWhileItIsTheOnlyMaster: one that was replaced
// unseen answers as well.
func TestRedisOwnAnswersAreCoherentOnlyWhileItIsTheOnlyMaster(t *testing.T) {
	t.Parallel()
	c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{})
	f, m := c.client.one().Feed, c.keys.Mark("c:k")
	f.Begin(true, nil)
	f.ProvedHeard(5)
	if m.Alone(5) {
		t.Error("without any barrier")
	}
	f.ProvedBarrier(5)
	if !m.Alone(4 + shard.LeaseTerm) {
		t.Error("not within the lease")
	}
	if m.Alone(5 + shard.LeaseTerm) {
		t.Error("after the lease")
	}
	before := c.keys.Mark("c:k")
	f.Begin(true, nil)
	f.ProvedBarrier(5)
	if !before.Over() {
		t.Error("by the proofs of the next master")
	}
}

// TestTheProofsOfTheNextMasterSayNothingOfWhatTheLastOneAnswered also where the feed
// covers nothing: the class is not announced.
func TestTheProofsOfTheNextMasterSayNothingOfWhatTheLastOneAnswered(t *testing.T) {
	t.Parallel()
	client := newClient(Options{Logger: quiet}.withDefaults())
	t.Cleanup(client.memory.Close)
	c := cacheOf[string](t, client, "c", Policy{})
	for _, another := range []bool{false, true} {
		now := client.one().Clock.Now()
		client.one().Feed.ProvedBarrier(now)
		f, _ := c.flights.Join("a", flight.Reads)
		f.Data.at, f.Data.mark = now, c.keys.Mark("c:a")
		if another {
			client.one().Feed.Begin(true, nil)
			client.one().Feed.ProvedBarrier(client.one().Clock.Now())
		}
		c.conclude(t.Context(), f, loading[string]{}, answer[string]{it: c.newItem("v", now, 0, time.Hour), source: SourceRedis})
		if e, err := f.Result(); err != nil || e.Value != "v" || e.Coherent && another {
			t.Errorf("another master: %v: %+v, %v", another, e, err)
		} else if inTime := client.one().Clock.Now()-now < shard.LeaseTerm; !another && inTime && !e.Coherent {
			t.Errorf("not coherent: %+v", e)
		}
	}
}

// TestTheFeedIsHeardAsOfTheQuestionBefore: an answer can overtake what was
// announced before it, but not what was announced before the question before.
func TestTheFeedIsHeardAsOfTheQuestionBefore(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	node := client.one().Node.Load()
	client.one().Unlisten() // nobody else asks
	late := lateness(t)
	hear := func(until func(asked int) bool) (heard, began int64) {
		client.one().Feed.Begin(true, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n, done := client.one().Feed, make(chan struct{})
		began = client.one().Clock.Now()
		go func() { defer close(done); client.one().Hear(ctx, node) }()
		for asked := 0; !until(asked); asked++ {
			time.Sleep(shard.HearEach / 2)
		}
		cancel()
		<-done
		_, _, heard, _ = n.State()
		return heard, began
	}
	if heard, _ := hear(func(turn int) bool { return turn == 1 }); heard != 0 {
		t.Error("the first answer proves something")
	}
	heard, began := hear(func(turn int) bool {
		_, _, heard, _ := client.one().Feed.State()
		return turn >= 3 && heard != 0 || turn > 200 // a busy machine
	})
	if heard == 0 || heard-began > int64(shard.HearEach/2+late()) {
		t.Errorf("after the second question it is heard as of %v after the first", time.Duration(heard-began))
	}
}

// TestWhatWaitsIsNotCalledCoherent though the feed covers everything else:
// another process may have written the key at the master meanwhile.
func TestWhatWaitsIsNotCalledCoherent(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{L1TTL: Never})
	l := c.client.one().Locks.TryLock("c:a") // the replayer leaves it alone
	w, err := setOf(c, "a", "ours")
	wantErr(t, err, nil)
	wantErr(t, c.client.one().Outbox.Put(w.Rec), nil)
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "ours")
	if e.Coherent || e.Source != SourceMemory {
		t.Errorf("%+v", e)
	}
	c.client.one().Locks.Unlock(l)
	c.client.one().WakeReplay()
	waitInRedis(t, p, "c:a", "ours")
}

// TestWhatIsToBeInvalidatedHasNoValue: a write whose order could not be told keeps
// its end, and comes back from the ledger when that master is lost as well.
func TestWhatIsToBeInvalidatedHasNoValue(t *testing.T) {
	client := newClient(Options{Logger: quiet}.withDefaults())
	t.Cleanup(client.memory.Close)
	c := cacheOf[string](t, client, "c", Policy{})
	now := client.one().Clock.Now()
	r := outbox.Record{Kind: outbox.Invalidate, Key: "c:a", Class: "c:", Since: now, Ends: now + int64(time.Hour)}
	client.one().Outbox.Return([]outbox.Record{r}, nil)
	if e, err := c.Lookup(t.Context(), "a"); err == nil {
		t.Errorf("read %+v", e)
	}
}

// TestOurOwnEarlierWriteIsNotAnothers: it is replaced even where the order
// against another's could not be told.
func TestOurOwnEarlierWriteIsNotAnothers(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{})
	tests := []struct {
		name   string
		lo, hi int64 // of the second write, after the first was there
	}{
		{"they overlap", -1000, 0},
		{"the first was carried out late", -1000, -500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := tt.name
			_, err := c.Set(t.Context(), key, "first")
			wantErr(t, err, nil)
			first := c.client.one().Ledger.Floor("c:" + key)
			w, err := setOf(c, key, "second")
			wantErr(t, err, nil)
			w.Rec.Lo, w.Rec.Hi = first+tt.lo, first+tt.hi
			_, _, err = c.client.one().Keep(w.Rec)
			wantErr(t, err, nil)
			c.client.one().WakeReplay()
			waitUntil(t, 20*time.Second, nothingWaits(c.client), func() string { return "not sent" })
			wantStored(t, p, "c:"+key, "second")
		})
	}
	if r := c.client.Health().Recovery; r.Superseded+r.Invalidated != 0 {
		t.Errorf("recovery = %+v", r)
	}
}

// TestWhatIsReplayedStaysInMemoryForTheNextOutage though our own script is
// announced to us as if it were another's write.
func TestWhatIsReplayedStaysInMemoryForTheNextOutage(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{})
	w, err := setOf(c, "a", "v")
	wantErr(t, err, nil)
	before := c.client.Health().Feed.Announced
	_, err = c.keep(w)
	wantErr(t, err, nil)
	c.client.one().WakeReplay()
	waitUntil(t, 20*time.Second, nothingWaits(c.client), func() string { return "not sent" })
	waitAnnounced(t, c.client, before)
	wantErr(t, p.Pause(), nil)
	waitUntil(t, 20*time.Second, func() bool { return c.client.State() == health.Degraded }, func() string { return "connected" })
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "v")
	if e.Coherent {
		t.Error("called coherent without a master")
	}
	resume(t, p)
}
