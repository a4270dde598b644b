package shard

import (
	"log/slog"
	"time"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
)

// rolledBack reports whether the server at addr has gone back to older data. It had
// answered the barrier last, and holds an earlier one now, or, after a restart, none.
func rolledBack(addr string, last answered, holds uint64, restarted bool) bool {
	return last.node != nil && last.node.Addr == addr && holds < last.N && (holds > 0 || restarted)
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
