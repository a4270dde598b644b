package origin

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// preferred is for so long after a key was refused that has not failed lately that no
// other key tries whether the origin is back: one like it is likely to come again.
const preferred = time.Second

// Circuit is open while the loads of a class fail for most keys. Then one load at a time
// tries whether the origin is back. An origin that is down fails for whatever is asked, so
// each key counts once, with its last result, and a key that goes on failing while others
// succeed does not count: that is its own trouble. Nor does it keep the circuit open: keys
// that have not failed lately try at moments of their own. It is safe for concurrent use.
type Circuit struct {
	first time.Duration // 0: it never opens
	up    atomic.Int64  // see Up

	mu        sync.Mutex // guards the rest
	successes uint64     // so far
	recent    results
	open      bool
	opened    int   // how often it has
	since     int64 // when it did last
	good      tries // of keys that have not failed lately
	bad       tries // of keys that have
	wanted    int64 // when one of the good keys was refused last
}

// tries are the loads that try whether the origin is back.
type tries struct {
	failures int // in a row
	until    int64
	running  bool
}

// NewCircuit makes a Circuit whose first pause is the one given; not a positive one: it
// never opens.
func NewCircuit(first time.Duration) *Circuit { return &Circuit{first: first} }

// Leave is what a load must have while the circuit is open: without it none runs.
type Leave struct {
	Probe  bool
	began  int64
	failed bool // of a key that has failed lately
	opened int  // a probe is of the time that the circuit was open for
}

// Ask asks for leave to run a load of a key, which may have failed lately. Where there is
// none it says for how long at least.
func (c *Circuit) Ask(failed bool, now int64) (l Leave, wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return Leave{began: now}, 0, true
	}
	t := c.of(failed)
	wait = time.Duration(max(0, t.until-now))
	switch {
	case wait == 0 && !t.running && !c.yields(failed, now):
		t.running = true
		return Leave{Probe: true, began: now, failed: failed, opened: c.opened}, 0, true
	case !failed:
		c.wanted = now
	}
	return Leave{}, wait, false
}

func (c *Circuit) of(failed bool) *tries {
	if failed {
		return &c.bad
	}
	return &c.good
}

// yields reports whether a key leaves it to a better one to try.
func (c *Circuit) yields(failed bool, now int64) bool {
	return failed && (c.good.running || c.wanted != 0 && now-c.wanted < int64(preferred))
}

// Change is what a result has done to a circuit.
type Change uint8

const (
	// None: nothing.
	None Change = iota
	// Opened: from here on loads are refused.
	Opened
	// Closed: the origin is back.
	Closed
)

// Result is how the load of a key, known by a hash, has ended.
type Result struct {
	Key    uint64
	Failed bool
	Own    bool // the key fails by itself: see Pauses.Own
}

// Up is when the last of the loads began that have succeeded: the origin has answered
// since. What was under way when it went down says nothing.
func (c *Circuit) Up() int64 { return c.up.Load() }

// Ended takes how a load with leave has ended. since is when the circuit has opened last.
func (c *Circuit) Ended(l Leave, r Result, now int64) (_ Change, since int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change := c.ended(l, r, now)
	return change, c.since
}

func (c *Circuit) ended(l Leave, r Result, now int64) Change {
	probe := c.probed(l)
	switch {
	case c.first <= 0:
		return None
	case !r.Failed:
		return c.succeeded(l, r, now)
	case c.open && probe:
		c.pause(l.failed, now)
		return None
	case c.open: // it began before
		return None
	case r.Own:
		c.recent.forget(r.Key)
		return None
	}
	c.recent.note(r.Key, last{now, c.successes, true})
	if !c.recent.mostFail(c.successes, now) {
		return None
	}
	c.open, c.since, c.wanted = true, now, 0
	c.opened++
	c.good, c.bad = tries{}, tries{}
	c.pause(false, now)
	return Opened
}

// succeeded closes an open circuit. What failed until then says nothing any more.
func (c *Circuit) succeeded(l Leave, r Result, now int64) Change {
	c.successes++
	c.recent.note(r.Key, last{now, c.successes, false})
	c.up.Store(max(c.up.Load(), l.began))
	if !c.open {
		return None
	}
	c.open = false
	c.recent.forgetFailed()
	return Closed
}

// pause lets nobody try for a while. A key that has failed lately may fail by itself: it
// holds up others of that kind only.
func (c *Circuit) pause(failed bool, now int64) {
	if !failed {
		c.good.failures++
		c.good.until = now + int64(pause(c.first, c.good.failures, rand.Float64()))
		c.bad.failures = max(c.bad.failures, c.good.failures)
		c.bad.until = max(c.bad.until, c.good.until)
		return
	}
	c.bad.failures++
	c.bad.until = now + int64(pause(c.first, c.bad.failures, rand.Float64()))
}

// Return gives a leave back: the load says nothing about the origin.
func (c *Circuit) Return(l Leave) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probed(l)
}

// probed ends a probe, unless it is one of a time before: another may be under way now. The
// caller holds mu.
func (c *Circuit) probed(l Leave) bool {
	if !l.Probe || l.opened != c.opened {
		return false
	}
	c.of(l.failed).running = false
	return true
}

// Open reports whether the circuit is open, and since when. Where nobody has tried for long
// after the pause, nobody knows how the origin is: then it is not reported, and the next load
// is a probe all the same.
func (c *Circuit) Open(now int64) (since int64, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	running := c.good.running || c.bad.running
	return c.since, c.open && (running || now-max(c.good.until, c.bad.until) <= int64(lately))
}
