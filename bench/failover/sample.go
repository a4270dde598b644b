package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/chaos"
)

// sample is what one episode cost the callers of one library. Times are in
// milliseconds.
type sample struct {
	Library string `json:"contender"`

	Reads         int `json:"reads"`
	FailedReads   int `json:"failedReads"`
	MissingReads  int `json:"missingReads"` // "there is no such key", of one that was written
	WrongReads    int `json:"wrongReads"`
	Writes        int `json:"writes"`
	FailedWrites  int `json:"failedWrites"` // or refused
	Landed        int `json:"landed"`       // acknowledged by a master
	Kept          int `json:"kept"`         // acknowledged from memory
	LostLanded    int `json:"lostLanded"`
	LostKept      int `json:"lostKept"`
	Deletes       int `json:"deletes"`
	FailedDeletes int `json:"failedDeletes"` // or refused
	// Resurrected are acknowledged deletes whose keys the final master holds.
	Resurrected int `json:"resurrected"`
	Blocked     int `json:"blocked"` // calls that did not return at all

	// GapMS is the longest time in which no write was acknowledged by a master;
	// HeldGapMS the same of the writes that the final master holds.
	GapMS     float64 `json:"gapMs"`
	HeldGapMS float64 `json:"heldGapMs"`
	// OthersSilentMS is the longest time without an answered read, or without an
	// acknowledged write, of the shards that did not fail; OthersGapMS is GapMS of
	// those. The gaps above and the landing below are of the shard that failed then.
	OthersSilentMS float64 `json:"othersSilentMs,omitzero"`
	OthersGapMS    float64 `json:"othersGapMs,omitzero"`
	// LongestMS is the longest call of any kind.
	LongestMS float64 `json:"longestMs"`
	// LandingMS is from the moment there was a master again to the first write
	// that landed there; nothing: none did before the end, ObservedMS after that
	// moment; there was no such moment where that is 0.
	LandingMS  *float64 `json:"landingMs"`
	ObservedMS float64  `json:"observedMs"`

	FirstError string `json:"firstError,omitempty"`
	// Examples are some of the calls that were acknowledged in vain.
	Examples []string `json:"examples,omitempty"`
}

// lost counts the acknowledged writes that are gone.
func (s sample) lost() int { return s.LostLanded + s.LostKept }

// failed counts the calls that ended in an error, or with a wrong value.
func (s sample) failed() int {
	return s.FailedReads + s.WrongReads + s.FailedWrites + s.FailedDeletes
}

// record is what a library was asked and answered, and what is left of it.
type record struct {
	calls   []chaos.Call // reads and writes
	deletes []chaos.Call // as writes
	// gone are the keys of deletes that the final master does not hold.
	gone map[string]bool
	// struck tells the keys of the shard that failed; nil: all are.
	struck func(key string) bool
}

// sides are the calls on keys of the shard that failed, and the rest.
func (r record) sides() (struck, others []chaos.Call) {
	if r.struck == nil {
		return r.calls, nil
	}
	for _, c := range r.calls {
		if r.struck(c.Key) {
			struck = append(struck, c)
		} else {
			others = append(others, c)
		}
	}
	return struck, others
}

// newSample counts. Facts.Unheld are the keys that the final master does not
// hold. Nobody can say whether the write of a key that was deleted would have
// survived, so it is not counted as lost.
func newSample(name string, r record, f chaos.Facts) sample {
	struck, others := r.sides()
	held := chaos.Sum(heldOnly(struck, f.Unheld), f)
	removed := chaos.Sum(r.deletes, f)
	f.Unheld = without(f.Unheld, r.deletes)
	all := chaos.Sum(r.calls, f)
	gap := chaos.Sum(struck, f).Gap
	missing := missingReads(r.calls)
	s := sample{
		Library: name,
		Reads:   all.Reads, FailedReads: all.FailedReads - missing, MissingReads: missing, WrongReads: all.WrongReads,
		Writes: all.Writes, FailedWrites: all.FailedWrites + all.RefusedWrites,
		Landed: all.LandedWrites, Kept: all.KeptWrites, LostLanded: all.LostLanded, LostKept: all.LostKept,
		Deletes: removed.Writes, FailedDeletes: removed.FailedWrites + removed.RefusedWrites, Resurrected: resurrected(r),
		GapMS: millis(gap), HeldGapMS: millis(held.Gap),
		LongestMS: millis(max(all.LongestRead, all.LongestWrite, removed.LongestWrite)),
	}
	if len(others) > 0 {
		s.OthersSilentMS = millis(max(silence(others, chaos.Read, f), silence(others, chaos.Write, f)))
		s.OthersGapMS = millis(chaos.Sum(others, f).Gap)
	}
	if !f.Promoted.IsZero() {
		s.ObservedMS = millis(f.Ended.Sub(f.Promoted))
		if !held.FirstOnNew.IsZero() {
			s.LandingMS = new(millis(held.Landing))
		}
	}
	if err := errors.Join(all.FirstFail, removed.FirstFail); err != nil {
		s.FirstError = err.Error()
	}
	s.Examples = examples(r, f)
	return s
}

// silence is the longest time in which no call of a kind was answered: a read with
// the value or "there is no such key", a write with an acknowledgement.
func silence(calls []chaos.Call, op chaos.Op, f chaos.Facts) time.Duration {
	var ends []time.Time
	for _, c := range calls {
		if c.Op == op && (c.Ack.Acknowledged() || op == chaos.Read && !c.Wrong && (c.Err == nil || errors.Is(c.Err, errNotThere))) {
			ends = append(ends, c.End)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	var longest time.Duration
	last := f.Began
	for _, end := range append(ends, f.Ended) {
		longest = max(longest, end.Sub(last))
		last = end
	}
	return longest
}

const maxExamples = 2 // of each kind

// examples tell when the calls that were acknowledged in vain were made, seen
// from the fault. Facts.Unheld are without the keys that were deleted.
func examples(r record, f chaos.Facts) (all []string) {
	all = inVain("write lost", r.calls, f.Fault, func(c chaos.Call) bool { return c.Op == chaos.Write && f.Unheld[c.Key] })
	return append(all, inVain("delete undone", r.deletes, f.Fault, func(c chaos.Call) bool { return !r.gone[c.Key] })...)
}

func inVain(what string, calls []chaos.Call, fault time.Time, lost func(chaos.Call) bool) (some []string) {
	for _, c := range calls {
		if c.Ack.Acknowledged() && lost(c) && len(some) < maxExamples {
			by := "a master"
			if c.Ack == chaos.Kept {
				by = "memory"
			}
			some = append(some, fmt.Sprintf("%s: %s, %v after the fault, acknowledged by %s after %v", what, c.Key, c.Start.Sub(fault).Round(time.Millisecond), by, c.Took().Round(time.Millisecond)))
		}
	}
	return some
}

// heldOnly leaves out the writes that the final master does not hold.
func heldOnly(calls []chaos.Call, unheld map[string]bool) []chaos.Call {
	return slices.DeleteFunc(slices.Clone(calls), func(c chaos.Call) bool { return c.Op == chaos.Write && unheld[c.Key] })
}

// without leaves out the keys that a delete was asked for, whatever its answer.
func without(unheld map[string]bool, deletes []chaos.Call) map[string]bool {
	tried := map[string]bool{}
	for _, c := range deletes {
		tried[c.Key] = true
	}
	rest := map[string]bool{}
	for key := range unheld {
		if !tried[key] {
			rest[key] = true
		}
	}
	return rest
}

func missingReads(calls []chaos.Call) (n int) {
	for _, c := range calls {
		if errors.Is(c.Err, errNotThere) {
			n++
		}
	}
	return n
}

func resurrected(r record) (n int) {
	for _, c := range r.deletes {
		if c.Ack.Acknowledged() && !r.gone[c.Key] {
			n++
		}
	}
	return n
}

func millis(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
