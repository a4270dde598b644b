package findings

import (
	"cmp"
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

// JournalFile is what was found in the file of an earlier process.
type JournalFile struct {
	Damage    error  // why some of it could not be read
	SetAside  string // where that is now; "": it could not be kept
	Senseless uint64 // records that make no sense
}

// journal reports a file that cannot be written, could not be read, or has no
// room.
func journal(h health.Journal, found JournalFile, now time.Time) []health.Finding {
	return append(journalFile(h.Err, found), journalRoom(h, now)...)
}

// refusedLately is how long a write without room is reported.
const refusedLately = 10 * time.Minute

// journalRoom reports a file that has no room for what is to be in it.
func journalRoom(h health.Journal, now time.Time) (fs []health.Finding) {
	if h.Unsaved == 0 && (h.Refused == 0 || now.Sub(h.RefusedAt) > refusedLately) {
		return nil
	}
	return []health.Finding{{
		Code: health.CodeJournalFull, Severity: health.SeverityError,
		Title: "The journal has no room: some writes are in memory only",
		Detail: fmt.Sprintf("writes without room: %d; of these, %d wait in memory only. In use: %d of at most %d bytes. Each of these writes was answered with an error",
			h.Refused, h.Unsaved, h.LiveBytes, h.Limit),
		Fix: "Start Redis again before this process ends, raise the outbox's bound (EVERCACHE_OUTBOX_MEMORY), which the journal's bound follows, or write smaller values.",
	}}
}

// journalFile reports a file that cannot be written, or could not be read.
func journalFile(failed error, r JournalFile) (fs []health.Finding) {
	if failed != nil {
		fs = append(fs, health.Finding{
			Code: health.CodeJournalFailed, Severity: health.SeverityError,
			Title:  "The journal cannot be written: kept writes are in memory only",
			Detail: failed.Error() + "; a write that Redis does not accept is kept in memory and answered with an error",
			Fix:    "Free space on the disk of EVERCACHE_JOURNAL_DIR, replace the disk, or make the folder writable. evercache tries again every 10 seconds; no restart is needed.",
		})
	}
	if r.Damage != nil || r.Senseless > 0 {
		f := health.Finding{
			Code: health.CodeJournalDamaged, Severity: health.SeverityError,
			Title:  "Part of the journal of an earlier process could not be read",
			Detail: fmt.Sprintf("invalid records that were skipped: %d", r.Senseless),
			Fix:    "Writes that only that process had acknowledged may be lost. Keep the file that was set aside, check the disk, and restart afterwards.",
		}
		if r.Damage != nil {
			f.Detail = fmt.Sprintf("%v; set aside as %s", r.Damage, cmp.Or(r.SetAside, "nothing: it could not be kept"))
		}
		fs = append(fs, f)
	}
	return fs
}
