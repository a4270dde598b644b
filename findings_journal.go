package evercache

import (
	"cmp"
	"fmt"

	"github.com/evercache/evercache/internal/journal"
)

// JournalHealth is the state of the file of Options.JournalDir.
type JournalHealth struct {
	Enabled bool
	Entries int // that are kept
	Bytes   int64
	Err     error // why nothing can be kept at this moment; nil: it can
}

func (j *journaled) health() JournalHealth {
	if j == nil {
		return JournalHealth{}
	}
	s := j.file.Status()
	return JournalHealth{Enabled: true, Entries: s.Live, Bytes: s.FileBytes, Err: s.Err}
}

func (j *journaled) findings() []Finding {
	if j == nil {
		return nil
	}
	return journalFindings(j.file.Status().Err, j.file.Report(), j.senseless)
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
