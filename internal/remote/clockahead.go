package remote

import "time"

// ClockAhead is how far the server's clock is ahead of a moment that our wall
// clock shows right now: between low and high. Not ok: the server has never
// told its time. Which of the two clocks is wrong cannot be told from here.
func (n *Node) ClockAhead(wall time.Time) (low, high time.Duration, ok bool) {
	return n.clock.aheadOf(wall, time.Now())
}

// aheadOf compares with the wall clock, which can be set at any time; the offset
// counts from a clock that cannot.
func (c *serverClock) aheadOf(wall, now time.Time) (low, high time.Duration, ok bool) {
	o := c.ahead.Load()
	if o == nil {
		return 0, 0, false
	}
	set := time.Duration(began.UnixNano()+int64(now.Sub(began))) - time.Duration(wall.UnixNano())
	wider := max(0, now.Sub(o.at)) / drift
	return o.low + set - wider, o.high + set + wider, true
}
