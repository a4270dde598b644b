package findings

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

// pendingFor is how long a write may wait for a master that is there: a slot of a Cluster
// that moves, or a master that has just been replaced, makes some wait for a moment.
const pendingFor = time.Second

// outbox reports writes that no master has taken; some are only to be verified.
func outbox(h health.Report, overflowed uint64, verifying int) (fs []health.Finding) {
	if n := h.OutboxEntries - verifying; n > 0 && (h.State == health.Degraded || h.OutboxOldest >= pendingFor) {
		f := health.Finding{
			Code: health.CodeOutboxPending, Severity: health.SeverityWarning,
			Title:  "Acknowledged writes wait for a Redis master that accepts them",
			Detail: fmt.Sprintf("waiting: %d, %d bytes, the oldest for %v", n, h.OutboxBytes, h.OutboxOldest.Round(time.Second)),
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
