package evercache

import (
	"context"
	"log/slog"
	"time"
)

// unsaved counts what would be lost if the process ended now: what no master has
// taken, and what only one had which is gone.
func (sh *shard) unsaved() (writes, atRisk int) {
	if sh.journal.safe() {
		return 0, 0
	}
	if sh.node.Load() == nil {
		atRisk = sh.ledger.Unconfirmed()
	}
	return sh.outbox.Depth().Entries, atRisk
}

// confirmPatience is how long Close waits for replicas that do not keep up.
const confirmPatience = time.Second

// safe reports whether Close has nothing to wait for.
func (sh *shard) safe(since time.Time) bool {
	there := sh.node.Load() != nil
	if !sh.outbox.Empty() && (there || !sh.journal.safe()) {
		return false
	}
	return sh.ledger.Unconfirmed() == 0 || there && time.Since(since) > confirmPatience
}

// flush waits until the process can end, or for most of what ctx leaves: the
// goroutines want some of it.
func (sh *shard) flush(ctx context.Context) {
	began := time.Now()
	if sh.safe(began) {
		return
	}
	if n := sh.outbox.Depth().Entries; n > 0 || sh.node.Load() == nil {
		sh.log.LogAttrs(ctx, slog.LevelInfo, "waiting for a Redis that takes the kept writes",
			slog.String("event", "close.waiting"), slog.Int("writes", n), slog.Int("unconfirmed", sh.ledger.Unconfirmed()))
	}
	sh.barriers.waiting.Add(1) // they come quicker then
	defer sh.barriers.waiting.Add(-1)
	sh.barriers.hurry()
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left-min(left/5, 500*time.Millisecond))
		defer cancel()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !sh.safe(began) {
		sh.wakeReplay()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
