// Package clock is the time of one process: nanoseconds since it began, which no change of
// the wall clock moves.
package clock

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	tick = 10 * time.Millisecond
	// idleTicks is how many ticks without a question the clock goes on before
	// it parks: an idle client wakes nobody, and fake time is not held up.
	idleTicks = 50
	// busyAsks is how many questions within a tick start it again. Fewer, such
	// as those of a hundred memories that clean up, are cheaper answered one by
	// one.
	busyAsks = 512
)

// Clock is the clock of a process. What is promised to callers is decided by
// Now, which reads the real one: 30 ns. Memory itself asks for the time at each
// look as well, for nothing but what it may forget, and NowNano costs it no more
// than reading a variable. That is behind by at most a tick while the process runs,
// and by as long as it was stopped until the first tick after that. While parked, and
// so after a long pause of an idle process, it answers with the real time: that is
// what it does until it is asked often.
type Clock struct {
	Start time.Time
	shown atomic.Int64 // nanoseconds since start; 0 while parked
	asked atomic.Bool
	given atomic.Int64 // by next
	wake  chan struct{}
	// While parked: the tick of the last question, and how many came in it.
	askedIn, askedTimes atomic.Int64

	Late func(now int64) // told when a tick comes too late; nil: nobody is
}

// LateAfter is how late a tick must be to tell that the process was paused, or
// starved of its processors: what it has not heard of meanwhile it does not know.
const LateAfter = 250 * time.Millisecond

func New() *Clock {
	return &Clock{Start: time.Now(), wake: make(chan struct{}, 1)}
}

// NowNano is nanoseconds since the clock was made, never 0. No promise rests on it:
// it is for internal/local alone.
func (c *Clock) NowNano() int64 {
	n := c.shown.Load()
	if n == 0 {
		return c.unpark()
	}
	if !c.asked.Load() {
		c.asked.Store(true)
	}
	return n
}

// unpark answers with the real time, and wakes a clock that is asked often.
func (c *Clock) unpark() int64 {
	now := c.Now()
	if tick := now / int64(tick); c.askedIn.Swap(tick) != tick {
		c.askedTimes.Store(0)
	} else if c.askedTimes.Add(1) >= busyAsks {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return now
}

// At is a moment in the clock's time.
func (c *Clock) At(t time.Time) int64 { return int64(t.Sub(c.Start)) + 1 }

// Wall is a moment of the clock in Unix nanoseconds, for what outlives the
// process, and unwall the reverse.
func (c *Clock) Wall(at int64) int64   { return c.Start.UnixNano() + at }
func (c *Clock) Unwall(at int64) int64 { return at - c.Start.UnixNano() }

// Moment is the reverse.
func (c *Clock) Moment(at int64) time.Time { return c.Start.Add(time.Duration(at - 1)) }

// Next is the time, and later than any that it has returned before.
func (c *Clock) Next() int64 {
	for {
		last := c.given.Load()
		now := max(c.Now(), last+1)
		if c.given.CompareAndSwap(last, now) {
			return now
		}
	}
}

// Now is the time at this moment.
func (c *Clock) Now() int64 { return int64(time.Since(c.Start)) + 1 }

// Run keeps the clock until ctx ends.
func (c *Clock) Run(ctx context.Context) {
	defer c.shown.Store(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			c.tickWhileAsked(ctx)
		}
	}
}

func (c *Clock) tickWhileAsked(ctx context.Context) {
	tick := time.NewTicker(tick)
	defer tick.Stop()
	last := c.Now()
	for idle := 0; idle < idleTicks; idle++ {
		last = c.Tick(last)
		select {
		case <-c.wake: // by those who asked while it was being woken
		default:
		}
		if c.asked.Swap(false) {
			idle = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	c.shown.Store(0)
}

// Tick shows the time, and returns it; last is when the one before did.
func (c *Clock) Tick(last int64) int64 {
	now := c.Now()
	if now-last >= int64(LateAfter) && c.Late != nil {
		c.Late(now) // before anybody sees the time: what was covered is not any more
	}
	c.shown.Store(now)
	return now
}

// Ticking reports whether the clock is asked often, and so is not parked.
func (c *Clock) Ticking() bool { return c.shown.Load() != 0 }

// Stand lets NowNano answer with a moment that is over, as it does in a process that was
// stopped, until the next tick. It is for tests.
func (c *Clock) Stand(at int64) { c.shown.Store(at) }
