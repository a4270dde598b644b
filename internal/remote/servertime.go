package remote

import (
	"context"
	"sync/atomic"
	"time"
)

// serverClock is what is known of a server's clock: it is ahead of ours by
// between low and high. Every answer to TIME narrows that down; between answers
// it widens, since no two clocks run alike.
type serverClock struct {
	ahead  atomic.Pointer[offset]
	clocks *Clocks // of the process; nil: none
}

type offset struct {
	low, high time.Duration
	at        time.Time
}

// drift is how much two clocks may part from each other: 200 parts in a million
// is twice what NTP corrects.
const drift = 5000 // one part in

// heard takes the answer to a TIME that was sent and answered then.
func (c *serverClock) heard(sent, answered, server time.Time) {
	now := &offset{low: unixed(server, answered), high: unixed(server, sent), at: answered}
	now = c.ahead.Load().narrow(now)
	c.ahead.Store(now)
	c.clocks.heard(now)
}

// began is where our time counts from: it goes on monotonically, whatever is
// done to the wall clock.
var began = time.Now()

// unixed is how far a server's time is ahead of one of ours.
func unixed(server, ours time.Time) time.Duration {
	return time.Duration(server.UnixNano()-began.UnixNano()) - ours.Sub(began)
}

// narrow puts an older offset and a newer one together. Where they contradict
// each other a clock was set: the newer one stands.
func (o *offset) narrow(newer *offset) *offset {
	if o == nil {
		return newer
	}
	wider := max(0, newer.at.Sub(o.at)) / drift
	n := *newer
	n.low, n.high = max(n.low, o.low-wider), min(n.high, o.high+wider)
	if n.low > n.high {
		return newer
	}
	return &n
}

// Blur is how exactly the server's clock is known, in milliseconds.
func (n *Node) Blur() int64 {
	o := n.clock.ahead.Load()
	if o == nil {
		return 0
	}
	return int64((o.high-o.low)/time.Millisecond) + 1
}

const (
	// sharp is how exactly the server's clock should be known, in milliseconds,
	// before anything is dated by it.
	sharp = 2
	// sharpenTries and sharpenTime bound what is spent on that: on a busy machine
	// one answer of several comes at once.
	sharpenTries = 6
	sharpenTime  = 30 * time.Millisecond
)

// Sharpen asks for the server's time until it is known to 2 ms, a few times at
// most. The first answers on a busy machine take long, and what is dated by them
// cannot be told from what others wrote meanwhile.
func (n *Node) Sharpen(ctx context.Context) {
	if n.Blur() <= sharp || n.lacks.noTime.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sharpenTime)
	defer cancel()
	for range sharpenTries {
		sent := time.Now()
		r := n.cmd.Do(ctx, n.b().Time().Build())
		if r.Error() != nil {
			return
		}
		n.timed(sent, time.Now(), r)
		if n.Blur() <= sharp {
			return
		}
	}
}

// EndOf is when a key ends that is sent now to live for ttl: a write that a server
// executes late, because it hung, must not look newer than those that were made
// meanwhile. 0: nobody knows the server's clock.
func (n *Node) EndOf(ttl time.Duration, sent time.Time) (ms int64) {
	if n.clock.ahead.Load() == nil || n.lacks.noPxat.Load() {
		return 0
	}
	now, _ := n.ServerTime(sent)
	return now + atLeastMS(ttl).Milliseconds()
}

// ServerTime is the moment at on the server's clock, in milliseconds, as
// between low and high. Before the first answer it is our own clock's.
func (n *Node) ServerTime(at time.Time) (low, high int64) {
	ours := began.UnixNano() + int64(at.Sub(began))
	o := n.clock.ahead.Load()
	if o == nil {
		o = new(offset)
	}
	ms := int64(time.Millisecond)
	return (ours + int64(o.low)) / ms, (ours + int64(o.high)) / ms
}
