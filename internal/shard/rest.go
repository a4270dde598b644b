package shard

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// A shard that nobody uses rests: proofs that nobody relies on are not sought, so the
// barrier and the question to the feed are as seldom as RestEach. The lease of memory
// ends meanwhile. Whoever uses the shard next wakes it; what he finds in memory before
// the first new proof is not covered, and is asked for.

const (
	// restAfter is how long nobody must have used a shard until it rests.
	restAfter = 5 * time.Second
	// RestEach is how often a resting shard asks its master.
	RestEach = 5 * time.Second
	// restless is how long a shard does not rest when its connections have ended in two rests,
	// one soon after the other.
	restless = time.Hour
	soon     = time.Minute
)

// use is when a shard was used last.
type use struct {
	noted   atomic.Bool   // it was, since inUse was asked last
	at      atomic.Int64  // when that was seen last, in the client's time
	resting atomic.Bool   // whoever uses it is to wake it
	ended   atomic.Int64  // when a connection ended in a rest; 0: never
	awake   atomic.Int64  // until then it does not rest
	wake    chan struct{} // of Hear
}

func newUse() use { return use{wake: make(chan struct{}, 1)} }

// touch notes that somebody uses the shard, and wakes it.
func (sh *Shard) touch() {
	u := &sh.usage
	if !u.noted.Load() {
		u.noted.Store(true)
	}
	if u.resting.Load() {
		sh.rouse()
	}
}

// hungUp notes that the connection to the master has ended. The heartbeat finds out now what
// that means, not after the rest. Who closes what is idle (timeout in redis.conf, a balancer)
// does so in each rest.
func (sh *Shard) hungUp() {
	u, now := &sh.usage, sh.Clock.Now()
	if u.resting.Load() {
		if last := u.ended.Swap(now); last != 0 && now-last < int64(soon) {
			u.awake.Store(now + int64(restless))
		}
	}
	sh.touch()
}

// rouse ends the rest.
func (sh *Shard) rouse() {
	if !sh.usage.resting.CompareAndSwap(true, false) {
		return
	}
	sh.Barriers.hurry()
	select {
	case sh.usage.wake <- struct{}{}:
	default:
	}
}

// inUse reports whether somebody relies on what the master is asked for at a pace: hits
// and calls of late, writes that are not confirmed, waiting callers, or a denylist, which
// has to know at any time.
func (sh *Shard) inUse(now int64) bool {
	u := &sh.usage
	vouched, noted := sh.Feed.Cover().Used(), u.noted.Load() && u.noted.Swap(false)
	if vouched || noted {
		u.at.Store(now)
	}
	return now-u.at.Load() < int64(restAfter) || now < u.awake.Load() || sh.Ledger.Unconfirmed() > 0 || sh.Barriers.Awaited() ||
		sh.copiesWanted() || !sh.Outbox.Empty() || sh.onHeartbeat.of(sh)
}

// rests reports whether nobody uses the shard. Then whoever does wakes it.
func (sh *Shard) rests() bool {
	now := sh.Clock.Now()
	if !sh.inUse(now) {
		sh.usage.resting.Store(true)
		if !sh.inUse(now) { // nobody has come meanwhile, who did not see that it rests
			return true
		}
	}
	sh.rouse()
	return false
}

// rest reports whether nobody uses any shard.
func (st *Store) rest() bool {
	for _, sh := range st.shards() {
		if !sh.rests() {
			return false
		}
	}
	return true
}

// pauseHearing waits until the feed is to be asked again. answered: the last question
// was. rested: it has been a rest, whose time is no silence.
func (sh *Shard) pauseHearing(ctx context.Context, answered bool) (rested bool, err error) {
	switch {
	case !answered:
		return false, remote.Pause(ctx, HearEach)
	case !sh.rests():
		return false, remote.Pause(ctx, hearPace(sh.crowd.Load()))
	}
	t := time.NewTimer(RestEach)
	defer t.Stop()
	select {
	case <-t.C:
	case <-sh.usage.wake:
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
	return true, nil
}
