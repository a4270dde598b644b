package shard

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
)

// dataset is what this process knows of the dataset that it has used last. The server
// tells it which one that is, by the marker and by the barriers of this process. Who
// wrote the marker does not matter: another process may have reached an emptied server
// before, and marked it.
type dataset struct {
	addr   string    // of the node; "": there was none
	marker string    // "": it is not known
	seen   Evictions // when it was dialled last
	last   answered  // the last barrier that it has taken; zero: none
}

// loss is what a dataset has lost.
type loss uint8

const (
	noLoss      loss = iota // nothing is known to be lost
	lostItsTail             // another run, or another node: what was written last may be gone
	lostLatest              // the server has gone back to an earlier state of it
	lostAll                 // the server has another dataset, or none
)

// lossOn judges by what a node holds that is dialled. seen is of the same dial.
func (d dataset) lossOn(h remote.Held, seen Evictions, now time.Time) loss {
	restarted := seen.ranAgain(d.seen)
	switch {
	case d.addr == "": // nothing was there that could be missed
		return noLoss
	case !h.BarrierUnknown && h.Barrier > 0:
		return d.holding(h, restarted)
	case seen.evictedSince(d.seen): // our keys, too, for all we know
		return noLoss
	case !h.DatasetUnknown && d.marker != "" && h.Dataset != d.marker:
		return lostAll
	case h.BarrierUnknown || d.last.N == 0 || now.Sub(d.last.at) >= heartbeatTTL: // barriers do not tell
		return d.moved(h, restarted)
	case h.DatasetUnknown || d.marker == "":
		return lostAll
	case restarted && h.Addr == d.addr: // it is of before our first barrier
		return lostLatest
	}
	return d.moved(h, restarted) // the barrier alone was evicted or deleted, or never got there
}

// holding judges a node that holds a barrier of ours.
func (d dataset) holding(h remote.Held, restarted bool) loss {
	if h.Barrier < d.last.N && h.Addr == d.addr {
		return lostLatest
	}
	return d.moved(h, restarted)
}

func (d dataset) moved(h remote.Held, restarted bool) loss {
	if restarted || h.Addr != d.addr {
		return lostItsTail
	}
	return noLoss
}

// datasets is what is known of those of a shard.
type datasets struct {
	resetAt atomic.Int64 // when one was gone, Unix nanoseconds
	lostAt  atomic.Int64 // when the master was found to have lost something, or to be able to have; Unix nanoseconds

	mu   sync.Mutex // guards used
	used dataset
}

// datasetFound tells what has become of the dataset that was used last. So many writes
// are sent again.
func (sh *Shard) datasetFound(n *remote.Node, h remote.Held, seen Evictions, writes int) {
	was := sh.use(h, seen)
	now := time.Now()
	switch was.lossOn(h, seen, now) {
	case noLoss:
		return
	case lostLatest:
		sh.Barriers.forgetWritten()
		sh.noteRollback(n, writes)
	case lostAll:
		sh.Barriers.forgetWritten() // a dial that fails is followed by another, and it was one loss
		sh.recovery.resets.Add(1)
		sh.dataset.resetAt.Store(now.UnixNano())
		sh.Log.LogAttrs(sh.Ctx, slog.LevelError, "redis has come back without its data",
			slog.String("event", "dataset.reset"), slog.String("addr", h.Addr))
	}
	sh.dataset.noteLoss()
}

// use takes the dataset of a node for the one in use, and returns the one before. A
// marker that is not told stays known: the dataset may be the same.
func (sh *Shard) use(h remote.Held, seen Evictions) (was dataset) {
	r := &sh.dataset
	r.mu.Lock()
	defer r.mu.Unlock()
	was = r.used
	was.addr, was.last = sh.Barriers.used()
	r.used.seen = seen
	if !h.DatasetUnknown {
		r.used.marker = h.Dataset
	}
	return was
}

// Marked is told the marker of the node that is used, whoever wrote it.
func (b unconfirmed) Marked(n *remote.Node, marker string) {
	if n.Epoch.Load() != b.sh.Ledger.Epoch() {
		return // another node is used
	}
	r := &b.sh.dataset
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used.marker = marker
}

// noteRollback notes that the node has lost writes, of which so many are sent again.
func (st *Store) noteRollback(n *remote.Node, writes int) {
	r := &st.recovery
	r.rollback.Store(&findings.Rollback{
		At: time.Now(), Addr: n.Addr, Writes: writes,
		Skipped: r.superseded.Load(), Deleted: r.invalidated.Load() + r.evicted.Load(),
	})
	st.Log.LogAttrs(st.Ctx, slog.LevelWarn, "redis has come back with older data",
		slog.String("event", "dataset.older"), slog.String("addr", n.Addr), slog.Int("writes", writes))
}

// noteLoss notes that Redis may lack what it had.
func (d *datasets) noteLoss() { d.lostAt.Store(time.Now().UnixNano()) }

// bereft reports whether Redis may just have lost data: that it has no value does not
// mean that somebody deleted it. Whether somebody has: see AskDeleted.
func (sh *Shard) bereft() bool {
	return time.Since(time.Unix(0, sh.dataset.lostAt.Load())) < time.Duration(SettlingTime)
}
