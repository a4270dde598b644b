package shard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

// recoveryStats count what became of writes when a master came back.
type recoveryStats struct {
	uncovered   atomic.Uint64 // taken by one master, missing from the next
	superseded  atomic.Uint64 // not sent again: another process had written since
	invalidated atomic.Uint64 // deleted, since the order could not be told
	evicted     atomic.Uint64 // deleted, since the traces that tell it may have been evicted
	resets      atomic.Uint64 // datasets that were gone
	ResetAt     atomic.Int64  // the last one, Unix nanoseconds

	mu      sync.Mutex // guards what follows
	dataset string     // the marker of the dataset that was seen last
	seen    Evictions  // when it was
}

// book is what a client keeps for its masters (remote.Book).
type book struct{ sh *Shard }

// Book is what the nodes tell of barriers and of what they hold.
func (sh *Shard) Book() remote.Book { return book{sh} }

// NextBarrier numbers a barrier.
func (b book) NextBarrier(n *remote.Node) (number uint64, ok bool) {
	b.sh.counted(n, func(epoch uint64) bool {
		number, ok = b.sh.Ledger.NextBarrier(epoch)
		return ok
	})
	return number, ok
}

// Found takes back what the node that is being dialled does not have: all that
// was acknowledged after the barrier that it holds was sent.
func (b book) Found(n *remote.Node, h remote.Held) {
	sh := b.sh
	taken := sh.uncover(h.Barrier)
	earlier := sh.settleEarlier(h)
	n.Epoch.Store(sh.Ledger.Epoch())
	sh.countUncovered(n, taken+earlier)
	sh.datasetFound(h, sh.Evicting.observe(h.Evictions))
}

// Replaced is what somebody has done to the master: whatever memory holds may be
// something else there. It is taken for a change of every key, as a FLUSHALL is. But
// what came from an older state of the same dataset lacks what this process has
// written since, and is to get that.
func (b book) Replaced(n *remote.Node, holds uint64) {
	sh := b.sh
	said := "redis has another dataset than before: what memory holds is dropped"
	if holds > 0 {
		said = "redis has gone back to an older state: it is asked for what memory holds"
	}
	sh.Log.LogAttrs(sh.Ctx, slog.LevelWarn, said, slog.String("event", "dataset.replaced"), slog.String("addr", n.Addr))
	if holds > 0 {
		uncovered := sh.uncover(holds)
		n.Epoch.Store(sh.Ledger.Epoch())
		if sh.countUncovered(n, uncovered); uncovered > 0 {
			sh.KeptWrite(errReplaced)
		}
		sh.Feed.flushed() // nothing is coherent; what memory holds may be needed in the next outage
		return
	}
	sh.datasetGone(n)
	sh.invalidated(nil, true)
}

var errReplaced = errors.New("redis has gone back to an older dataset")

// uncover moves what the ledger has after a barrier into the outbox.
func (sh *Shard) uncover(barrier uint64) (writes int) {
	rs, ps := sh.Ledger.Uncover(barrier)
	sh.Journal.Uncovered(sh.Ctx, barrier, sh.Ledger.Next(), rs, ps)
	sh.Outbox.Return(rs, ps)
	sh.Journal.dropped(sh, rs)
	return len(rs) + len(ps)
}

func (sh *Shard) countUncovered(n *remote.Node, writes int) {
	sh.Recovery.uncovered.Add(uint64(writes))
	if writes > 0 {
		sh.Log.LogAttrs(sh.Ctx, slog.LevelInfo, "writes that the master may not have are sent again",
			slog.String("event", "replay.uncovered"), slog.String("addr", n.Addr), slog.Int("writes", writes))
	}
}

// datasetFound tells when a dataset that we knew is gone.
func (sh *Shard) datasetFound(h remote.Held, now Evictions) {
	if h.Unknown {
		return
	}
	r := &sh.Recovery
	r.mu.Lock()
	was, seen := r.dataset, r.seen
	r.dataset, r.seen = h.Dataset, now
	r.mu.Unlock()
	if h.Barrier != 0 || !sh.Barriers.lately() {
		return
	}
	if h.Dataset != "" && (was == "" || h.Dataset == was) { // where there was none, we have left one
		return
	}
	if now.evictedSince(seen) { // our keys, too, for all we know
		return
	}
	r.resets.Add(1)
	r.ResetAt.Store(time.Now().UnixNano())
	sh.Log.LogAttrs(sh.Ctx, slog.LevelError, "redis has come back without its data",
		slog.String("event", "dataset.reset"), slog.String("addr", h.Addr))
}

// masterBeat is called when the master has answered a barrier: what it refused
// may go through now.
func (sh *Shard) masterBeat(n *remote.Node, b watch.Beat) {
	sent := sh.Clock.At(b.SentAt)
	if b.Confirms {
		sh.Ledger.Confirm(b.N, sh.Clock.Now())
	}
	switch {
	case b.Alone:
		sh.Feed.ProvedBarrier(sent)
	case !b.AloneAt.IsZero(): // too old to call an entry coherent; package revoke can use it
		sh.Feed.ProvedBarrier(sh.Clock.At(b.AloneAt))
	}
	sh.Barriers.answered(b.N, b.Replicas, n)
	sh.Beats.tell(b)
	sh.Ledger.Trim(sh.Clock.Now())
	if !sh.Outbox.Empty() {
		sh.WakeReplay()
	}
}

// The pace of the barriers.
const (
	beatWaited      = 20 * time.Millisecond
	beatUnconfirmed = 100 * time.Millisecond
)

// beatPace is how soon after a barrier the next one is due.
func (sh *Shard) beatPace() time.Duration {
	switch {
	case sh.Barriers.Awaited():
		return beatWaited
	case sh.Ledger.Unconfirmed() > 0:
		return beatUnconfirmed
	}
	return heartbeatEvery
}

// barriers lets callers wait for the barrier that covers their write.
type barriers struct {
	waiting atomic.Int64
	kick    chan struct{} // the pace has changed

	mu      sync.Mutex // guards what follows
	last    beaten
	changed chan struct{} // closed and replaced at every answer
}

// beaten is one answered barrier.
type beaten struct {
	N        uint64
	Replicas int
	node     *remote.Node
	at       time.Time
}

// lately reports whether a barrier was answered so lately that it is still there,
// unless the dataset is gone or never had it.
func (b *barriers) lately() bool {
	last, _ := b.Watch()
	return last.N > 0 && time.Since(last.at) < heartbeatTTL
}

func newBarriers() *barriers {
	return &barriers{kick: make(chan struct{}, 1), changed: make(chan struct{})}
}

func (b *barriers) Awaited() bool { return b.waiting.Load() > 0 }

// hurry asks the heartbeat's owner to look at the pace again.
func (b *barriers) hurry() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

func (b *barriers) answered(n uint64, replicas int, node *remote.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = beaten{n, replicas, node, time.Now()}
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *barriers) Watch() (beaten, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.changed
}

// Await waits until the node has answered barrier n with that many replicas, or
// until ctx ends, and returns how many have it.
func (b *barriers) Await(ctx context.Context, node *remote.Node, n uint64, replicas int) int {
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	b.hurry()
	held, answered := 0, false
	for {
		last, changed := b.Watch()
		if last.node == node && last.N >= n {
			held, answered = last.Replicas, true
		}
		if answered && held >= replicas {
			return held
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return held
		}
	}
}

// Taken enters what a master has taken into the ledger. ok is false when that
// master is not ours any more.
func (sh *Shard) Taken(r outbox.Record, node *remote.Node) (number uint64, ok bool) {
	sh.counted(node, func(epoch uint64) bool {
		number, ok = sh.Ledger.Add(r, epoch, sh.Clock.Now())
		return ok
	})
	if ok && sh.Ledger.Unconfirmed() == 1 {
		sh.Barriers.hurry()
	}
	return number, ok
}

// takenPrefixes is Taken for deletes of prefixes.
func (sh *Shard) takenPrefixes(ps []outbox.Prefix, node *remote.Node) bool {
	return sh.counted(node, func(epoch uint64) bool {
		_, ok := sh.Ledger.AddPrefixes(ps, epoch, sh.Clock.Now())
		return ok
	})
}

// counted does what only counts in the node's epoch. A dial that was given up
// can end the epoch of the node that is in use: its next one begins then.
func (sh *Shard) counted(node *remote.Node, do func(epoch uint64) bool) bool {
	if do(node.Epoch.Load()) {
		return true
	}
	if sh.Node.Load() != node {
		return false
	}
	node.Epoch.Store(sh.Ledger.Epoch())
	return do(node.Epoch.Load())
}

// Keep puts a write into the outbox, in place of what the ledger has of its key,
// and into the journal. overtaken: a newer write of the key waits already. Where there
// is no Redis nothing is kept.
func (sh *Shard) Keep(r Record) (p Pending, overtaken bool, err error) {
	if sh.memoryOnly() {
		return Pending{}, false, nil
	}
	sh.Ledger.Follow(&r)
	if err := sh.Outbox.Put(r); err != nil {
		return Pending{}, false, err
	}
	if r.Kind != outbox.Touch { // which needs what it touches
		sh.Ledger.Forget(r.Key)
	}
	if sh.overtaken(r) {
		return Pending{}, true, nil // the newer one is in the journal
	}
	return sh.Journal.record(r, sh), sh.overtaken(r), nil
}

var errUndone = errors.New("a write of this process may have been undone by a late one of another")

// overtaken reports whether a newer write of the key waits.
func (sh *Shard) overtaken(r outbox.Record) bool {
	waiting, ok := sh.Outbox.Record(r.Key)
	return ok && waiting.Since > r.Since
}
