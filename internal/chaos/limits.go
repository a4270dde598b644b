package chaos

import (
	"fmt"
	"time"
)

// Limits are what a run may have cost. Zero limits nothing but what is never
// allowed: a read that failed or was wrong, a write that failed or was refused,
// and a kept write that is lost.
type Limits struct {
	LongestRead  time.Duration
	LongestWrite time.Duration
	Gap          time.Duration // in which no write landed
	Landing      time.Duration // from ROLE master to the first landed write
	// LostLanded is how many writes that a master had acknowledged may be gone
	// with it; AnyNumber where the test is not about them.
	LostLanded int
}

// AnyNumber is no limit.
const AnyNumber = -1

// Breaches lists every limit that was not kept; what the machine has stolen is
// allowed on top of the times, for each of a call's turns.
func (s Summary) Breaches(l Limits) []string {
	var all []string
	breach := func(bad bool, format string, a ...any) {
		if bad {
			all = append(all, fmt.Sprintf(format, a...))
		}
	}
	long := func(what string, took, limit time.Duration) {
		breach(limit > 0 && took > limit+turns*s.Stolen, "%s took %v, more than %v (and %v that the machine stole)", what, took, limit, s.Stolen)
	}
	breach(s.FailedReads > 0, "%d of %d reads failed: %v", s.FailedReads, s.Reads, s.FirstFail)
	breach(s.WrongReads > 0, "%d of %d reads answered another value", s.WrongReads, s.Reads)
	breach(s.FailedWrites > 0, "%d of %d writes failed: %v", s.FailedWrites, s.Writes, s.FirstFail)
	breach(s.RefusedWrites > 0, "%d of %d writes were refused: %v", s.RefusedWrites, s.Writes, s.FirstFail)
	breach(s.LostKept > 0, "%d writes that were kept for the next master are lost", s.LostKept)
	breach(l.LostLanded != AnyNumber && s.LostLanded > l.LostLanded, "%d writes that a master acknowledged are lost, more than %d", s.LostLanded, l.LostLanded)
	long("the longest read", s.LongestRead, l.LongestRead)
	long("the longest write", s.LongestWrite, l.LongestWrite)
	long("the longest time without a landed write", s.Gap, l.Gap)
	breach(l.Landing > 0 && s.FirstOnNew.IsZero(), "no write landed on another master")
	long("from ROLE master to the first landed write it", s.Landing, l.Landing)
	return all
}
