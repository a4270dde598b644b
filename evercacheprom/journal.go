package evercacheprom

import (
	"github.com/evercache/evercache/health"
)

// journal tells of the file, where there is one.
func (e emitter) journal(j health.Journal) {
	if !j.Enabled {
		return
	}
	up := 0.0
	if j.Err == nil {
		up = 1
	}
	e.gauge(descJournalUp, up)
	e.gauge(descJournalEntries, float64(j.Entries))
	e.gauge(descJournalWaiting, float64(j.Waiting))
	e.gauge(descJournalBytes, float64(j.Bytes))
	e.gauge(descJournalLive, float64(j.LiveBytes))
	e.gauge(descJournalLimit, float64(j.Limit))
	e.counter(descJournalRefused, float64(j.Refused))
	e.gauge(descJournalUnsaved, float64(j.Unsaved))
}
