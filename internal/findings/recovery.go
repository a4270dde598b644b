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
	resetShown      = time.Hour
)

// recovery reports what endangers writes that were acknowledged, or did.
func recovery(h health.Report, resetAt, now time.Time) (fs []health.Finding) {
	r := h.Recovery
	if r.DroppedValues+r.DroppedKeys > 0 {
		fs = append(fs, health.Finding{
			Code: health.CodeLedgerOverflowed, Severity: health.SeverityWarning,
			Title:  "More writes were unconfirmed than there is room for",
			Detail: fmt.Sprintf("of %d writes only the key is kept, of %d only the class: a failover that loses them deletes these keys", r.DroppedValues, r.DroppedKeys),
			Fix:    "Look for a replica that lags (it delays confirmation), or raise the outbox's bounds (EVERCACHE_OUTBOX_MEMORY).",
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
	if r.DatasetResets > 0 && now.Sub(resetAt) < resetShown {
		fs = append(fs, health.Finding{
			Code: health.CodeDatasetReset, Severity: health.SeverityError,
			Title:  "Redis came back without its data",
			Detail: fmt.Sprintf("at %s; this process has sent its writes of the last minute again", resetAt.UTC().Format(time.RFC3339)),
			Fix:    "Find out why: a restart without persistence, a FLUSHALL, another server at this address. Turn on appendonly, and never let a master restart empty beside replicas.",
		})
	}
	return fs
}

// rejected reports kept writes that no master takes.
func rejected(n uint64, last, now time.Time) []health.Finding {
	if n == 0 || now.Sub(last) > resetShown {
		return nil
	}
	return []health.Finding{{
		Code: health.CodeWriteRejected, Severity: health.SeverityError,
		Title:  "Redis refuses a kept write",
		Detail: fmt.Sprintf("%d so far, the last at %s; its key is deleted instead", n, last.UTC().Format(time.RFC3339)),
		Fix:    "Look at the size of the values: proto-max-bulk-len, client-query-buffer-limit, or a proxy may end the connection.",
	}}
}
