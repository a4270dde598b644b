package shard

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// What a server evicts is gone without a trace: also the tombstones, the marks of
// prefixes and the lives of classes, by which a write that is put back yields to
// what others did since. So the client counts generations. Within one of them the
// servers are known to have evicted nothing; a record of an earlier one is not put
// back: its key is deleted.

// Evictions is what is known of what the servers evict; its Next is pure.
type Evictions struct {
	// Generation is 0 until a server has been asked. It rises with each answer that
	// does not prove that nothing was evicted since the answer before.
	Generation uint64
	// never: no server that was asked so far evicts anything.
	never bool
	Last  remote.Evictions
}

// Next is what is known after another answer.
func (s Evictions) Next(e remote.Evictions) Evictions {
	first := s.Generation == 0
	proved := e.Proves(s.Last)
	if first || !proved {
		s.Generation++
	}
	s.never = e.Never && (first || s.never && proved)
	s.Last = e
	return s
}

// Doubts reports whether traces may be gone that say that a write of that
// generation is not the newest. Generation 0 is before any server was asked, or
// of an earlier process.
func (s Evictions) Doubts(generation uint64) bool {
	return generation != s.Generation && (generation != 0 || !s.never)
}

// evictedSince reports whether the server has evicted keys in the run that it was
// in then.
func (s Evictions) evictedSince(then Evictions) bool {
	return s.Last.Run != "" && s.Last.Run == then.Last.Run && s.Generation != then.Generation
}

// ranAgain reports whether the server is known to be in another run than then.
func (s Evictions) ranAgain(then Evictions) bool {
	return s.Last.Run != "" && then.Last.Run != "" && s.Last.Run != then.Last.Run
}

// evicting owns what is known of evictions.
type evicting struct {
	Generation atomic.Uint64 // of now

	mu  sync.Mutex // guards now
	now Evictions
}

// observe takes an answer in.
func (e *evicting) observe(a remote.Evictions) Evictions {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Next(a)
	e.Generation.Store(e.now.Generation)
	return e.now
}

func (e *evicting) Known() Evictions {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

// evictionsEvery is how often the master is asked while nothing is put back.
const evictionsEvery = time.Second

// evictionsAtRest is the same while nobody uses the shard. A record that is made before
// the next answer has an old generation: that it may have been evicted is believed more
// easily then.
const evictionsAtRest = 30 * time.Second

// watchEvictions asks the master until ctx ends, so that a record knows the
// generation that it was made in.
func (sh *Shard) watchEvictions(ctx context.Context) {
	tick := time.NewTicker(evictionsEvery)
	defer tick.Stop()
	var asked time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if node := sh.Node.Load(); node != nil && time.Since(asked) > sh.evictionsPace() {
			asked = time.Now()
			_, _ = sh.askEvictions(ctx, node) // whoever puts something back asks again
		}
	}
}

// evictionsPace is how old the last answer must be.
func (sh *Shard) evictionsPace() time.Duration {
	if sh.rests() {
		return evictionsAtRest
	}
	return 5*shared(0, sh.crowd.Load()) - evictionsEvery/2 // to be asked at the tick
}

// askEvictions asks the node. The answer is newer than the call.
func (sh *Shard) askEvictions(ctx context.Context, node *remote.Node) (Evictions, error) {
	e, err := node.Evictions(ctx, heartbeatTimeout)
	if err != nil {
		return Evictions{}, err
	}
	sh.crowd.Store(crowd(e, connections(sh.Config.Mode)))
	return sh.Evicting.observe(e), nil
}

// evictionsFresh is how old an answer may be when records are sent. What is evicted
// after it is found when they have been.
const evictionsFresh = 50 * time.Millisecond

// lookForEvictions asks the node unless it has just said.
func (d *drainage) lookForEvictions(ctx context.Context) (err error) {
	if at := time.Now(); at.Sub(d.asked) > evictionsFresh {
		if d.known, err = d.shard.askEvictions(ctx, d.node); err == nil {
			d.asked = at
		}
	}
	return err
}

// doubt makes of a record that cannot be put back safely the wish to delete its key.
func (d *drainage) doubt(r *outbox.Record) {
	if r.Kind == outbox.Set && !r.Invalidate && d.known.Doubts(r.Evictions) {
		r.Kind, r.Value = outbox.Invalidate, nil
		d.doubted[r.Key] = true
	}
}

// proved concludes a pipeline of records. While it was under way the server may
// have begun to evict, and this may have been the cause: what was put back meanwhile
// is then to be deleted after all.
func (d *drainage) proved(ctx context.Context, rs []outbox.Record, ws []remote.Replay, outcomes []remote.Outcome) error {
	before := d.known
	d.asked = time.Time{}
	if err := d.lookForEvictions(ctx); err != nil {
		return err
	}
	var good []outbox.Record
	var ended []remote.Outcome
	for i, r := range rs {
		restored := ws[i].Kind == remote.Restore && outcomes[i].Err == nil && outcomes[i].Result == remote.Done
		if restored && d.known.Generation != before.Generation {
			d.shard.unrestore(r)
			d.evicted++
			continue
		}
		if restored {
			r.Evictions = d.known.Generation // nothing newer was there
		}
		good, ended = append(good, r), append(ended, outcomes[i])
	}
	return d.conclude(good, ended)
}

// unrestore lets the key of a record that was put back be deleted.
func (st *Store) unrestore(r outbox.Record) {
	st.recovery.evicted.Add(1)
	st.Outbox.Done(r.Key, r.Seq)
	r.Kind, r.Value = outbox.Invalidate, nil
	_ = st.Outbox.Put(r)
}

// countDoubted counts a key that was deleted for want of traces.
func (d *drainage) countDoubted(key string) {
	if d.doubted[key] {
		d.shard.recovery.evicted.Add(1)
		d.evicted++
	}
}

// tellEvicted logs how many records of a pass were not put back.
func (d *drainage) logEvicted() {
	if d.evicted == 0 {
		return
	}
	d.shard.Log.LogAttrs(d.shard.Ctx, slog.LevelWarn, "redis may have evicted what tells whether kept writes are the newest: their keys are deleted instead",
		slog.String("event", "replay.evicted"), slog.String("addr", d.node.Addr), slog.Int("writes", d.evicted))
}
