package findings

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

// Rollback is a server that came back with older data.
type Rollback struct {
	At     time.Time
	Addr   string
	Writes int // that are sent again

	// What Recovery.Superseded was then, and the sum of Invalidated and Evicted.
	Skipped, Deleted uint64
}

// rollback reports a server that came back with older data, for an hour.
func rollback(b *Rollback, r health.Recovery, now time.Time) []health.Finding {
	if b == nil || now.Sub(b.At) >= resetShown {
		return nil
	}
	skipped, deleted := r.Superseded-b.Skipped, r.Invalidated+r.Evicted-b.Deleted
	return []health.Finding{{
		Code: health.CodeDatasetOlder, Severity: health.SeverityWarning,
		Title: "Redis came back with older data",
		Detail: fmt.Sprintf("at %s %s had lost acknowledged writes; this process sent %d again. Skipped since then, because Redis has a newer write: %d. Keys deleted instead, because the order is not known: %d. Not sent again: what this process wrote earlier than EVERCACHE_RING_AGE (1 minute) before, and what other programs wrote",
			b.At.UTC().Format(time.RFC3339), b.Addr, b.Writes, skipped, deleted),
		Fix: "Find out why: a restart from an older snapshot, a DEBUG RELOAD, a restored backup. Turn on appendonly, so that a restart loses a second at most.",
	}}
}
