package evercache

import (
	"cmp"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/journal"
)

// JournalHealth is the state of the file of Options.JournalDir.
type JournalHealth struct {
	Enabled bool
	Entries int // that are kept
	Waiting int // those of them that no master has taken
	Bytes   int64
	// LiveBytes are those of the entries, and Limit bounds them. The file is at
	// most three times that, and is written anew when half of it is dead.
	LiveBytes, Limit int64
	// Refused counts writes that the file had no room for, RefusedAt is when the
	// last one was, and Unsaved how many of them wait in memory only.
	Refused   uint64
	RefusedAt time.Time
	Unsaved   int
	Err       error // why nothing can be kept at this moment; nil: it can
}

func (j *journaled) health() JournalHealth {
	if j == nil {
		return JournalHealth{}
	}
	s := j.file.Status()
	j.mu.Lock()
	defer j.mu.Unlock()
	return JournalHealth{
		Enabled: true, Entries: s.Live, Waiting: j.waiting, Bytes: s.FileBytes, LiveBytes: s.LiveBytes, Limit: j.limit,
		Refused: j.refused, RefusedAt: j.refusedAt, Unsaved: j.lacking, Err: s.Err,
	}
}

func (j *journaled) findings() []Finding {
	if j == nil {
		return nil
	}
	return append(journalFindings(j.file.Status().Err, j.file.Report(), j.senseless), journalRoom(j.health(), time.Now())...)
}

// refusedLately is how long a write that had no room is told of.
const refusedLately = 10 * time.Minute

// journalRoom tells of a file that has no room for what is to be in it.
func journalRoom(h JournalHealth, now time.Time) (fs []Finding) {
	if h.Unsaved == 0 && (h.Refused == 0 || now.Sub(h.RefusedAt) > refusedLately) {
		return nil
	}
	return []Finding{{
		Code: "journal-full", Severity: Error,
		Title: "The journal has no room: some writes are in memory only",
		Detail: fmt.Sprintf("writes that had no room: %d, of which %d wait in memory only; %d of at most %d bytes are in use; such a write was answered with an error",
			h.Refused, h.Unsaved, h.LiveBytes, h.Limit),
		Fix: "Bring Redis back before this process ends, raise the outbox's bound (EVERCACHE_OUTBOX_MEMORY), which the journal's bound follows, or write smaller values.",
	}}
}

// journalFindings tell of a file that cannot be written, or could not be read.
func journalFindings(failed error, r journal.Report, senseless uint64) (fs []Finding) {
	if failed != nil {
		fs = append(fs, Finding{
			Code: "journal-failed", Severity: Error,
			Title:  "The journal cannot be written: what an outage keeps is in memory only",
			Detail: failed.Error() + "; a write that Redis does not take is kept in memory and answered with an error",
			Fix:    "Free space on the disk of EVERCACHE_JOURNAL_DIR, replace it, or make the folder possible again. It is tried again every 10 seconds; no restart is needed.",
		})
	}
	if r.Damage != nil || senseless > 0 {
		f := Finding{
			Code: "journal-damaged", Severity: Error,
			Title:  "Part of the journal of an earlier process could not be read",
			Detail: fmt.Sprintf("records that make no sense and were left out: %d", senseless),
			Fix:    "Writes that only that process had acknowledged may be lost. Keep the file that was set aside for a look, check the disk, and restart when it is seen to.",
		}
		if r.Damage != nil {
			f.Detail = fmt.Sprintf("%v; set aside as %s", r.Damage, cmp.Or(r.SetAside, "nothing: it could not be kept"))
		}
		fs = append(fs, f)
	}
	return fs
}
