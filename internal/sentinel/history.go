package sentinel

import (
	"slices"
	"time"
)

// Cause is why an episode was.
type Cause uint8

// The causes of episodes.
const (
	CauseAlarm   Cause = iota // nothing came of it: the master is the one it was
	CauseFailure              // the sentinels held the master down and replaced it
	CausePlanned              // SENTINEL FAILOVER: nobody held the master down
	CauseManual               // FAILOVER by hand: the master itself handed over
	CauseRestart              // the master came back as a new process
	CauseReset                // the same, without the data
)

func (c Cause) String() string {
	return [...]string{"alarm", "failure", "planned", "manual", "restart", "dataset reset"}[c]
}

// Record is one finished or running episode. Times that never came are zero.
type Record struct {
	ID        uint64 // rises by one per record
	Cause     Cause
	From, To  Addr  // the same node when the master did not change
	Epoch     int64 // config epoch of the failover; 0 when it had none
	Opened    time.Time
	SDown     time.Time // first +sdown of the master, or the flag in a poll
	ODown     time.Time
	Promoted  time.Time // the new master was first seen to say so
	Adopted   time.Time
	Confirmed time.Time     // zero for ever when the next failover came first
	Ended     time.Time     // confirmed, superseded, or all clear
	Fenced    time.Duration // how long no write was sent, up to the adoption or the all clear
	Missed    bool          // found out later: nobody was watching when it happened
}

// Failover reports whether the record is a change of master, which counts.
func (r Record) Failover() bool {
	return r.Cause == CauseFailure || r.Cause == CausePlanned || r.Cause == CauseManual
}

// history keeps the last records. Alarms go first when it is full: what changed
// outlives what did not.
type history struct {
	records   []Record
	lastID    uint64
	failovers int
	alarms    int
	finished  []Record // by this observation
}

// open adds a record and returns it for completion; nil-safe lookups use find.
func (h *history) add(r Record) uint64 {
	h.lastID++
	r.ID = h.lastID
	switch {
	case r.Failover():
		h.failovers++
	case r.Cause == CauseAlarm:
		h.alarms++
	}
	if len(h.records) == maxHistory {
		i := max(0, slices.IndexFunc(h.records, func(r Record) bool { return r.Cause == CauseAlarm }))
		h.records = slices.Delete(h.records, i, i+1)
	}
	h.records = append(h.records, r)
	return r.ID
}

func (h *history) find(id uint64) *Record {
	for i := range h.records {
		if h.records[i].ID == id {
			return &h.records[i]
		}
	}
	return nil
}

// finish ends a record once.
func (h *history) finish(id uint64, at time.Time) {
	r := h.find(id)
	if r == nil || !r.Ended.IsZero() {
		return
	}
	r.Ended = at
	h.finished = append(h.finished, *r)
}
