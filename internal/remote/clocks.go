package remote

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clocks knows the servers' clocks of one process as one: what its masters have
// told of the time, one after the other, and by how much that has jumped. A clock
// is set, or the next master's is another. Times of before and after such a shift
// cannot be compared without it.
type Clocks struct {
	mu     sync.Mutex // guards what follows
	last   *offset
	shifts []shift // oldest first

	stalled atomic.Int64 // when a master last gave no answer in time, Unix nanoseconds
}

// shift is a jump of the servers' time: by between low and high.
type shift struct {
	at        time.Time
	low, high time.Duration
}

const (
	// shiftLife is how long a shift matters: what is older than a tombstone lives
	// is not put back.
	shiftLife = 2 * TombstoneLife
	// maxShifts bounds them; of more the two oldest become one.
	maxShifts = 32
)

// heard takes what was just learnt of a master's clock.
func (c *Clocks) heard(o *offset) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	c.last = o
	if last == nil {
		return
	}
	if s, jumped := shiftOf(last, o); jumped {
		c.shifts = remember(c.shifts, s)
	}
}

// noAnswer notes that a master gave no answer in time.
func (c *Clocks) noAnswer(now time.Time) {
	if c != nil {
		c.stalled.Store(now.UnixNano())
	}
}

// stalledLife is how long after an answer that did not come another may not come.
const stalledLife = 5 * time.Second

// uneasy reports whether a master has lately given no answer in time.
func (c *Clocks) uneasy(now time.Time) bool {
	if c == nil {
		return false
	}
	at := c.stalled.Load()
	return at != 0 && now.UnixNano()-at < int64(stalledLife)
}

// shiftOf compares two offsets: they tell of a jump where they contradict each
// other.
func shiftOf(last, now *offset) (s shift, jumped bool) {
	wider := max(0, now.at.Sub(last.at)) / drift
	s = shift{at: now.at, low: now.low - last.high - wider, high: now.high - last.low + wider}
	return s, s.low > 0 || s.high < 0
}

func remember(shifts []shift, s shift) []shift {
	kept := shifts[:0:0]
	for _, old := range shifts {
		if s.at.Sub(old.at) < shiftLife+max(0, -old.low) {
			kept = append(kept, old)
		}
	}
	if len(kept) >= maxShifts {
		kept[1] = shift{at: kept[1].at, low: kept[0].low + kept[1].low, high: kept[0].high + kept[1].high}
		kept = kept[1:]
	}
	return append(kept, s)
}

// Shifted is how the servers' time has jumped since a moment.
type Shifted struct {
	// Low and High: from then to now by between the two.
	Low, High time.Duration
	// Fell (at most 0) and Rose (at least 0): the furthest that it has been from
	// what it was at that moment, at any time since.
	Fell, Rose time.Duration
	// Before is by how much it had fallen shortly before the moment: so shortly
	// that what was written before that looks as if it came later.
	Before time.Duration
}

// Since tells how time has jumped since a moment.
func (c *Clocks) Since(at time.Time) Shifted {
	if c == nil {
		return Shifted{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return shifted(c.shifts, at)
}

func shifted(shifts []shift, at time.Time) (s Shifted) {
	for _, jump := range shifts {
		if !jump.at.After(at) {
			if fell := -jump.low; fell > 0 && at.Sub(jump.at) <= fell {
				s.Before += fell
			}
			continue
		}
		s.Low, s.High = s.Low+jump.low, s.High+jump.high
		s.Fell, s.Rose = min(s.Fell, s.Low), max(s.Rose, s.High)
	}
	return s
}
