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
	// sharpenTime is what may be spent on that.
	sharpenTime = 30 * time.Millisecond
	// bluntTime may be spent where the clock is known worse than blunt still and the answers
	// take longer now and then: the machine is busy, and one of several comes at once. What
	// processes write so near to each other has no order, and would be lost.
	blunt     = 10
	bluntTime = 250 * time.Millisecond
)

// Sharpen asks for the server's time until it is known to 2 ms, for a while at
// most. The first answers on a busy machine take long, and what is dated by them
// cannot be told from what others wrote meanwhile.
func (n *Node) Sharpen(ctx context.Context) {
	if n.lacks.noTime.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bluntTime)
	defer cancel()
	var s sharpening
	for began := time.Now(); s.goesOn(n.Blur(), time.Since(began)); {
		sent := time.Now()
		r := n.cmd.Do(ctx, n.b().Time().Build())
		if r.Error() != nil {
			return
		}
		answered := time.Now()
		n.timed(sent, answered, r)
		s.took(answered.Sub(sent))
	}
}

// sharpening is how long the answers have taken.
type sharpening struct {
	answers     int
	least, most time.Duration
}

func (s *sharpening) took(d time.Duration) {
	if s.answers++; s.answers == 1 {
		s.least = d
	}
	s.least, s.most = min(s.least, d), max(s.most, d)
}

// goesOn reports whether to ask again after so long. Over a long line every answer takes as
// long: then asking helps nothing.
func (s *sharpening) goesOn(blur int64, spent time.Duration) bool {
	switch {
	case blur <= sharp || spent >= bluntTime:
		return false
	case spent < sharpenTime:
		return true
	}
	return blur > blunt && (s.answers < 2 || s.most > 2*s.least)
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
