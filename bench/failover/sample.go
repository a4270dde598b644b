package main

import (
	"slices"
	"time"

	"github.com/evercache/evercache/chaos"
)

// sample is what one episode cost the callers of one contender. Times are in
// milliseconds.
type sample struct {
	Contender string `json:"contender"`

	Reads        int `json:"reads"`
	FailedReads  int `json:"failedReads"`
	WrongReads   int `json:"wrongReads"`
	Writes       int `json:"writes"`
	FailedWrites int `json:"failedWrites"` // or refused
	Landed       int `json:"landed"`       // acknowledged by a master
	Kept         int `json:"kept"`         // acknowledged from memory
	LostLanded   int `json:"lostLanded"`
	LostKept     int `json:"lostKept"`
	Blocked      int `json:"blocked"` // calls that did not return at all

	// GapMS is the longest time in which no write was acknowledged by a master;
	// HeldGapMS the same of the writes that the final master holds.
	GapMS     float64 `json:"gapMs"`
	HeldGapMS float64 `json:"heldGapMs"`
	// LongestMS is the longest call, read or write.
	LongestMS float64 `json:"longestMs"`
	// LandingMS is from ROLE master to the first write that landed there;
	// nothing: none did before the end, ObservedMS after the promotion.
	LandingMS  *float64 `json:"landingMs"`
	ObservedMS float64  `json:"observedMs"`

	FirstError string `json:"firstError,omitempty"`
}

func newSample(name string, calls []chaos.Call, f chaos.Facts) sample {
	all, held := chaos.Sum(calls, f), chaos.Sum(heldOnly(calls, f.Unheld), f)
	s := sample{
		Contender: name,
		Reads:     all.Reads, FailedReads: all.FailedReads, WrongReads: all.WrongReads,
		Writes: all.Writes, FailedWrites: all.FailedWrites + all.RefusedWrites,
		Landed: all.LandedWrites, Kept: all.KeptWrites, LostLanded: all.LostLanded, LostKept: all.LostKept,
		GapMS: millis(all.Gap), HeldGapMS: millis(held.Gap),
		LongestMS: millis(max(all.LongestRead, all.LongestWrite)),
	}
	if !f.Promoted.IsZero() {
		s.ObservedMS = millis(f.Ended.Sub(f.Promoted))
		if !all.FirstOnNew.IsZero() {
			s.LandingMS = new(millis(all.Landing))
		}
	}
	if all.FirstFail != nil {
		s.FirstError = all.FirstFail.Error()
	}
	return s
}

// heldOnly leaves out the writes that the final master does not hold.
func heldOnly(calls []chaos.Call, unheld map[string]bool) []chaos.Call {
	return slices.DeleteFunc(slices.Clone(calls), func(c chaos.Call) bool { return c.Op == chaos.Write && unheld[c.Key] })
}

func millis(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
