package findings

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

// outbox reports writes that no master has taken.
func outbox(h health.Report, overflowed uint64) (fs []health.Finding) {
	if h.OutboxEntries > 0 {
		f := health.Finding{
			Code: health.CodeOutboxPending, Severity: health.SeverityWarning,
			Title:  "Acknowledged writes wait for a Redis master that accepts them",
			Detail: fmt.Sprintf("waiting: %d, %d bytes, the oldest for %v", h.OutboxEntries, h.OutboxBytes, h.OutboxOldest.Round(time.Second)),
			Fix:    "Start Redis again, or find out why it refuses them.",
		}
		if h.Journal.Enabled && h.Journal.Err == nil {
			f.Detail += "; they are in the journal and survive the end of this process"
			if h.Journal.Unsaved > 0 {
				f.Detail += fmt.Sprintf(", except %d for which it had no room", h.Journal.Unsaved)
			}
			if overflowed > 0 {
				f.Detail += "; values that had no room in the outbox are not in it: for them only a delete of their key or class waits"
			}
		} else {
			f.Detail += "; they are in memory only"
			f.Fix = "Start Redis again, or find out why it refuses them, before this process ends."
		}
		fs = append(fs, f)
	}
	if overflowed > 0 {
		fs = append(fs, health.Finding{
			Code: health.CodeOutboxOverflowed, Severity: health.SeverityError,
			Title:  "The outbox was full: some keys will be deleted in Redis instead of written",
			Detail: fmt.Sprintf("%d writes", overflowed),
			Fix:    "Raise the outbox's bounds (EVERCACHE_OUTBOX_MEMORY), or shorten the outage.",
		})
	}
	return fs
}
