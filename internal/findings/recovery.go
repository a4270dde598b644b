package findings

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

const (
	// unconfirmedLong: a promotable replica that does not answer is held down by
	// the sentinels long before.
	unconfirmedLong = 30 * time.Second
	resetTold       = time.Hour
)

// recovery tells what endangers writes that were acknowledged, or did.
func recovery(h health.Report, resetAt, now time.Time) (fs []health.Finding) {
	r := h.Recovery
	if r.DroppedValues+r.DroppedKeys > 0 {
		fs = append(fs, health.Finding{
			Code: health.CodeLedgerOverflowed, Severity: health.SeverityWarning,
			Title:  "More writes were unconfirmed than there is room for",
			Detail: fmt.Sprintf("%d kept only their keys, %d only their classes: those are deleted if a failover loses them", r.DroppedValues, r.DroppedKeys),
			Fix:    "Look for a replica that lags (it holds up confirmation), or raise the outbox's bounds (EVERCACHE_OUTBOX_MEMORY).",
		})
	}
	if h.Connected && r.UnconfirmedOldest > unconfirmedLong {
		fs = append(fs, health.Finding{
			Code: health.CodeReplicationBehind, Severity: health.SeverityWarning,
			Title:  "Writes are not confirmed by every replica that could be promoted",
			Detail: fmt.Sprintf("%d writes, the oldest for %v", r.Unconfirmed, r.UnconfirmedOldest.Round(time.Second)),
			Fix:    "Look for a replica that is connected but does not keep up (INFO replication: lag), and for a failover that does not end.",
		})
	}
	if r.DatasetResets > 0 && now.Sub(resetAt) < resetTold {
		fs = append(fs, health.Finding{
			Code: health.CodeDatasetReset, Severity: health.SeverityError,
			Title:  "Redis came back without its data",
			Detail: fmt.Sprintf("at %s; what this process had written in the last minute was put back", resetAt.UTC().Format(time.RFC3339)),
			Fix:    "Find out why: a restart without persistence, a FLUSHALL, another server at this address. Turn on appendonly, and never let a master restart empty beside replicas.",
		})
	}
	return fs
}

// rejected tells of kept writes that no master takes.
func rejected(n uint64, last, now time.Time) []health.Finding {
	if n == 0 || now.Sub(last) > resetTold {
		return nil
	}
	return []health.Finding{{
		Code: health.CodeWriteRejected, Severity: health.SeverityError,
		Title:  "Redis does not take a write that was kept",
		Detail: fmt.Sprintf("%d so far, the last at %s; the key is deleted instead", n, last.UTC().Format(time.RFC3339)),
		Fix:    "Look at the size of the values: proto-max-bulk-len, client-query-buffer-limit, or a proxy may end the connection.",
	}}
}
