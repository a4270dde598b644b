package shard

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
)

// recoveryStats count what became of writes when a master came back.
type recoveryStats struct {
	lost        atomic.Uint64                     // taken by one master, missing from the next
	superseded  atomic.Uint64                     // not sent again: another process had written since
	invalidated atomic.Uint64                     // deleted, since the order could not be told
	evicted     atomic.Uint64                     // deleted, since the traces that tell it may have been evicted
	resets      atomic.Uint64                     // datasets that were gone
	rollback    atomic.Pointer[findings.Rollback] // the last time that the server had lost what it had answered; nil: never
}

// Found takes back what the node that is being dialled does not have: all that
// was acknowledged after the barrier that it holds was sent.
func (b unconfirmed) Found(n *remote.Node, h remote.Held) {
	sh := b.sh
	taken := sh.takeBack(h.Barrier)
	earlier := sh.settleEarlier(h)
	n.Epoch.Store(sh.Ledger.Epoch())
	sh.countLost(n, taken+earlier)
	sh.datasetFound(n, h, sh.Evicting.observe(h.Evictions), taken)
}

// Replaced is what somebody has done to the master: whatever memory holds may be
// something else there. It is taken for a change of every key, as a FLUSHALL is. But
// what came from an older state of the same dataset lacks what this process has
// written since, and is to get that.
func (b unconfirmed) Replaced(n *remote.Node, holds uint64) {
	sh := b.sh
	said := "redis has another dataset than before: what memory holds is dropped"
	if holds > 0 {
		said = "redis has gone back to an older state: it is asked for what memory holds"
	}
	sh.Log.LogAttrs(sh.Ctx, slog.LevelWarn, said, slog.String("event", "dataset.replaced"), slog.String("addr", n.Addr))
	if holds > 0 {
		lost := sh.takeBack(holds)
		n.Epoch.Store(sh.Ledger.Epoch())
		if sh.countLost(n, lost); lost > 0 {
			sh.keptWrite(errReplaced)
		}
		sh.noteRollback(n, lost)
		sh.dataset.noteLoss()
		sh.Feed.flushed() // nothing is coherent; what memory holds may be needed in the next outage
		return
	}
	sh.datasetGone(n)
	sh.invalidated(nil, true)
}

var errReplaced = errors.New("redis has gone back to an older dataset")

// takeBack moves what the ledger has after a barrier into the outbox.
func (sh *Shard) takeBack(barrier uint64) (writes int) {
	rs, ps := sh.Ledger.Uncover(barrier)
	sh.journal.lost(sh.Ctx, barrier, sh.Ledger.Next(), rs, ps)
	sh.Outbox.Return(rs, ps)
	sh.returned.Store(sh.Clock.Now())
	sh.journal.dropped(sh.Store, rs)
	return len(rs) + len(ps)
}

func (st *Store) countLost(n *remote.Node, writes int) {
	st.recovery.lost.Add(uint64(writes))
	if writes > 0 {
		st.Log.LogAttrs(st.Ctx, slog.LevelInfo, "writes that the master may not have are sent again",
			slog.String("event", "replay.uncovered"), slog.String("addr", n.Addr), slog.Int("writes", writes))
	}
}
