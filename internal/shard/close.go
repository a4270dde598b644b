package shard

import (
	"context"
	"log/slog"
	"time"
)

// Unsaved counts what would be lost if the process ended now: what no master has
// taken, and what only one had which is gone.
func (st *Store) Unsaved() (writes, atRisk int) {
	if st.journal.safe() {
		return 0, 0
	}
	for _, sh := range st.shards() {
		if sh.Node.Load() == nil {
			atRisk += sh.Ledger.Unconfirmed()
		}
	}
	return st.Outbox.Depth().Entries, atRisk
}

// ConfirmPatience is how long Close waits for replicas that do not keep up.
const ConfirmPatience = time.Second

// safe reports whether Close has nothing to wait for.
func (st *Store) safe(since time.Time) bool {
	there := st.everyMaster()
	if !st.Outbox.Empty() && (there || !st.journal.safe()) {
		return false
	}
	return st.unconfirmed() == 0 || there && time.Since(since) > ConfirmPatience
}

// unconfirmed counts what masters have taken and could still lose.
func (st *Store) unconfirmed() (n int) {
	for _, sh := range st.shards() {
		n += sh.Ledger.Unconfirmed()
	}
	return n
}

// Flush waits until the process can end, or for most of what ctx leaves: the
// goroutines want some of it.
func (st *Store) Flush(ctx context.Context) {
	began := time.Now()
	if st.safe(began) {
		return
	}
	if n := st.Outbox.Depth().Entries; n > 0 || !st.everyMaster() {
		st.Log.LogAttrs(ctx, slog.LevelInfo, "waiting for a Redis that takes the kept writes",
			slog.String("event", "close.waiting"), slog.Int("writes", n), slog.Int("unconfirmed", st.unconfirmed()))
	}
	for _, sh := range st.shards() {
		sh.Barriers.waiting.Add(1) // they come quicker then
		defer sh.Barriers.waiting.Add(-1)
		sh.Barriers.hurry()
	}
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left-min(left/5, 500*time.Millisecond))
		defer cancel()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !st.safe(began) {
		st.wakeReplays()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
