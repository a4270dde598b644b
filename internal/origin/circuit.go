package origin

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// window is how many of the last loads are looked at, and lately how old they may be.
	window = 32
	lately = 30 * time.Second
	// fewest is of how many keys loads must have failed before the circuit opens: some
	// keys that cannot be loaded say nothing about the others.
	fewest = 8
)

// Circuit is open while the loads of a class fail for most keys. Then one load at a time
// tries whether the origin is back. It is safe for concurrent use.
type Circuit struct {
	first time.Duration // 0: it never opens

	mu       sync.Mutex // guards the rest
	recent   [window]result
	n        int // results so far
	failures int // in a row since it opened; 0: it is closed
	until    int64
	probing  bool
	opened   int   // how often it has
	since    int64 // when it did last
}

// result is how the load of a key, known by a hash, has ended.
type result struct {
	key    uint64
	at     int64
	failed bool
}

// NewCircuit makes a Circuit whose first pause is the one given; not a positive one: it
// never opens.
func NewCircuit(first time.Duration) *Circuit { return &Circuit{first: first} }

// Leave is what a load must have while the circuit is open: without it none runs.
type Leave struct {
	Probe  bool
	opened int // a probe is of the time that the circuit was open for
}

// Ask asks for leave to run a load. Where there is none it says for how long at least.
func (c *Circuit) Ask(now int64) (l Leave, wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failures == 0:
		return Leave{}, 0, true
	case now < c.until:
		return Leave{}, time.Duration(c.until - now), false
	case c.probing:
		return Leave{}, 0, false
	}
	c.probing = true
	return Leave{Probe: true, opened: c.opened}, 0, true
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

// Ended takes how a load with leave has ended.
func (c *Circuit) Ended(l Leave, key uint64, failed bool, now int64) Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	probe := c.probed(l)
	if c.first <= 0 {
		return None
	}
	switch {
	case c.failures > 0 && !failed:
		c.failures, c.n, c.recent, c.probing = 0, 0, [window]result{}, false
		return Closed
	case probe && c.failures > 0:
		c.failures++
		c.until = now + int64(pause(c.first, c.failures, rand.Float64()))
		return None
	case c.failures > 0: // it began before
		return None
	}
	c.recent[c.n%window] = result{key, now, failed}
	c.n++
	if !failed || !mostFail(c.recent[:min(c.n, window)], now) {
		return None
	}
	c.failures, c.since = 1, now
	c.opened++
	c.until = now + int64(pause(c.first, 1, rand.Float64()))
	return Opened
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
	c.probing = false
	return true
}

// Open reports whether the circuit is open, and since when. Where nobody has tried for long
// after the pause, nobody knows how the origin is: then it is not reported, and the next load
// is a probe all the same.
func (c *Circuit) Open(now int64) (since int64, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since, c.failures > 0 && (c.probing || now-c.until <= int64(lately))
}

// mostFail reports whether loads fail for most keys. A key counts with its last result.
func mostFail(recent []result, now int64) bool {
	last := make(map[uint64]result, len(recent))
	for _, r := range recent {
		if now-r.at > int64(lately) {
			continue
		}
		if before, ok := last[r.key]; !ok || r.at >= before.at {
			last[r.key] = r
		}
	}
	failing := 0
	for _, r := range last {
		if r.failed {
			failing++
		}
	}
	return failing >= fewest && 2*failing > len(last)
}
