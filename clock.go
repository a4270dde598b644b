package evercache

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	clockTick = 10 * time.Millisecond
	// clockIdle is how many ticks without a question the clock goes on before
	// it parks: an idle client wakes nobody, and fake time is not held up.
	clockIdle = 50
	// clockBusy is how many questions within a tick start it again. Fewer, such
	// as those of a hundred memories that clean up, are cheaper answered one by
	// one.
	clockBusy = 512
)

// coarseClock is the client's clock. What is promised to callers is decided by
// precise, which reads the real one: 30 ns. Memory itself asks for the time at each
// look as well, for nothing but what it may forget, and NowNano costs it no more
// than reading a variable. That is behind by at most a tick while the process runs,
// and by as long as it was stopped until the first tick after that. While parked, and
// so after a long pause of an idle process, it answers with the real time: that is
// what it does until it is asked often.
type coarseClock struct {
	start time.Time
	now   atomic.Int64 // nanoseconds since start; 0 while parked
	asked atomic.Bool
	given atomic.Int64 // by next
	wake  chan struct{}
	// While parked: the tick of the last question, and how many came in it.
	askedIn, askedTimes atomic.Int64

	late func(now int64) // told when a tick comes too late; nil: nobody is
}

// clockLate is how late a tick must be to tell that the process was paused, or
// starved of its processors: what it has not heard of meanwhile it does not know.
const clockLate = 250 * time.Millisecond

func newCoarseClock() *coarseClock {
	return &coarseClock{start: time.Now(), wake: make(chan struct{}, 1)}
}

// NowNano is nanoseconds since the clock was made, never 0. No promise rests on it:
// it is for internal/local alone.
func (c *coarseClock) NowNano() int64 {
	n := c.now.Load()
	if n == 0 {
		return c.unpark()
	}
	if !c.asked.Load() {
		c.asked.Store(true)
	}
	return n
}

// unpark answers with the real time, and wakes a clock that is asked often.
func (c *coarseClock) unpark() int64 {
	now := c.precise()
	if tick := now / int64(clockTick); c.askedIn.Swap(tick) != tick {
		c.askedTimes.Store(0)
	} else if c.askedTimes.Add(1) >= clockBusy {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return now
}

// at is a moment in the clock's time.
func (c *coarseClock) at(t time.Time) int64 { return int64(t.Sub(c.start)) + 1 }

// wall is a moment of the clock in Unix nanoseconds, for what outlives the
// process, and unwall the reverse.
func (c *coarseClock) wall(at int64) int64   { return c.start.UnixNano() + at }
func (c *coarseClock) unwall(at int64) int64 { return at - c.start.UnixNano() }

// moment is the reverse.
func (c *coarseClock) moment(at int64) time.Time { return c.start.Add(time.Duration(at - 1)) }

// next is the time, and later than any that it has returned before.
func (c *coarseClock) next() int64 {
	for {
		last := c.given.Load()
		now := max(c.precise(), last+1)
		if c.given.CompareAndSwap(last, now) {
			return now
		}
	}
}

// precise is the time at this moment.
func (c *coarseClock) precise() int64 { return int64(time.Since(c.start)) + 1 }

// run keeps the clock until ctx ends.
func (c *coarseClock) run(ctx context.Context) {
	defer c.now.Store(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			c.tickWhileAsked(ctx)
		}
	}
}

func (c *coarseClock) tickWhileAsked(ctx context.Context) {
	tick := time.NewTicker(clockTick)
	defer tick.Stop()
	last := c.precise()
	for idle := 0; idle < clockIdle; idle++ {
		last = c.tick(last)
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
	c.now.Store(0)
}

// tick shows the time, and returns it; last is when the one before did.
func (c *coarseClock) tick(last int64) int64 {
	now := c.precise()
	if now-last >= int64(clockLate) && c.late != nil {
		c.late(now) // before anybody sees the time: what was covered is not any more
	}
	c.now.Store(now)
	return now
}
