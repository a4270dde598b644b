package shard

import (
	"context"
	"log/slog"
	"time"
)

// Unsaved counts what would be lost if the process ended now: what no master has
// taken, and what only one had which is gone.
func (sh *Shard) Unsaved() (writes, atRisk int) {
	if sh.journal.safe() {
		return 0, 0
	}
	if sh.Node.Load() == nil {
		atRisk = sh.Ledger.Unconfirmed()
	}
	return sh.Outbox.Depth().Entries, atRisk
}

// ConfirmPatience is how long Close waits for replicas that do not keep up.
const ConfirmPatience = time.Second

// safe reports whether Close has nothing to wait for.
func (sh *Shard) safe(since time.Time) bool {
	there := sh.Node.Load() != nil
	if !sh.Outbox.Empty() && (there || !sh.journal.safe()) {
		return false
	}
	return sh.Ledger.Unconfirmed() == 0 || there && time.Since(since) > ConfirmPatience
}

// Flush waits until the process can end, or for most of what ctx leaves: the
// goroutines want some of it.
func (sh *Shard) Flush(ctx context.Context) {
	began := time.Now()
	if sh.safe(began) {
		return
	}
	if n := sh.Outbox.Depth().Entries; n > 0 || sh.Node.Load() == nil {
		sh.Log.LogAttrs(ctx, slog.LevelInfo, "waiting for a Redis that takes the kept writes",
			slog.String("event", "close.waiting"), slog.Int("writes", n), slog.Int("unconfirmed", sh.Ledger.Unconfirmed()))
	}
	sh.Barriers.waiting.Add(1) // they come quicker then
	defer sh.Barriers.waiting.Add(-1)
	sh.Barriers.hurry()
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left-min(left/5, 500*time.Millisecond))
		defer cancel()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !sh.safe(began) {
		sh.WakeReplay()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
