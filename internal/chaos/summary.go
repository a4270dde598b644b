package chaos

import (
	"cmp"
	"slices"
	"time"
)

// Facts are what the calls themselves do not tell.
type Facts struct {
	Began, Ended time.Time
	Fault        time.Time       // when it was caused; zero: none was
	Promoted     time.Time       // when the next master first answered ROLE master; zero: never
	Unheld       map[string]bool // keys that the final master does not hold as written
	Stolen       time.Duration   // what the machine made callers wait
}

// Facts of a run that was stopped; the caller adds the fault, the promotion and
// what is not held.
func (r *Run) Facts() Facts { return Facts{Began: r.Began, Ended: r.ended, Stolen: r.Stolen()} }

// Summary is what a run was like for the application.
type Summary struct {
	Reads, FailedReads, WrongReads int

	Writes        int
	FailedWrites  int // an error, outcome unknown
	RefusedWrites int // an error that says: not taken
	KeptWrites    int // acknowledged without a master
	LandedWrites  int
	LostKept      int // acknowledged without a master, and never landed
	LostLanded    int // acknowledged by a master that is the master no more

	Gap          time.Duration // longest time in which no write landed
	LongestRead  time.Duration
	LongestWrite time.Duration

	// After the fault: the last landed write that the old master took, the first
	// that the new one took, and how long after it said ROLE master that was.
	// Zero when there was none.
	LastOnOld, FirstOnNew time.Time
	Landing               time.Duration

	Stolen    time.Duration
	FirstFail error // of the failed calls
}

// Lost counts the acknowledged writes that are gone.
func (s Summary) Lost() int { return s.LostKept + s.LostLanded }

// Sum counts.
func Sum(calls []Call, f Facts) Summary {
	s := Summary{Stolen: f.Stolen}
	for _, c := range calls {
		if c.Op == Read {
			s.read(c)
		} else {
			s.write(c, f)
		}
		if c.Err != nil && s.FirstFail == nil {
			s.FirstFail = c.Err
		}
	}
	s.landings(calls, f)
	return s
}

func (s *Summary) read(c Call) {
	s.Reads++
	s.LongestRead = max(s.LongestRead, c.Took())
	if c.Err != nil {
		s.FailedReads++
	}
	if c.Wrong {
		s.WrongReads++
	}
}

func (s *Summary) write(c Call, f Facts) {
	s.Writes++
	s.LongestWrite = max(s.LongestWrite, c.Took())
	switch lost := f.Unheld[c.Key]; c.Ack {
	case Failed:
		s.FailedWrites++
	case Refused:
		s.RefusedWrites++
	case Kept:
		s.KeptWrites++
		s.LostKept += count(lost)
	case Landed:
		s.LandedWrites++
		s.LostLanded += count(lost)
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// landings tells the old master's writes from the new one's. What landed before
// the promotion is the old one's; of what landed later, what the final master
// does not hold: nothing reaches it from the old one any more.
func (s *Summary) landings(calls []Call, f Facts) {
	var landed []Call
	for _, c := range calls {
		if c.Op == Write && c.Ack == Landed {
			landed = append(landed, c)
		}
	}
	slices.SortFunc(landed, func(a, b Call) int { return cmp.Compare(a.End.UnixNano(), b.End.UnixNano()) })
	last := f.Began
	for _, c := range landed {
		s.Gap = max(s.Gap, c.End.Sub(last))
		last = c.End
		switch old := f.Promoted.IsZero() || c.End.Before(f.Promoted) || f.Unheld[c.Key]; {
		case f.Fault.IsZero():
		case old:
			s.LastOnOld = c.End
		case s.FirstOnNew.IsZero():
			s.FirstOnNew, s.Landing = c.End, c.End.Sub(f.Promoted)
		}
	}
	s.Gap = max(s.Gap, f.Ended.Sub(last))
}
