// Package breaker decides when a node is given up: on errors, and on slowness,
// since a hung Redis hurts more than a dead one. It does not decide when to
// come back: whoever made the node makes another and verifies it first, so an
// open breaker stays open.
package breaker

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is how one call to the node went.
type Outcome uint8

const (
	// OK: an answer, in time.
	OK Outcome = iota
	// Timeout: no answer in the time it was given.
	Timeout
	// Broken: the connection is gone or the node says it cannot serve.
	Broken
)

// Cause says why a breaker opened.
type Cause string

const (
	// None: it has not.
	None Cause = ""
	// Errors: calls failed.
	Errors Cause = "errors"
	// Slow: too many of the last calls were slow.
	Slow Cause = "slow"
)

// Rules are the thresholds.
type Rules struct {
	// Failures in a row that open it.
	Failures int
	// Probation is the number of first calls on a node in which one
	// failure is enough (this is the half-open state).
	Probation int
	// Window is how many of the last calls are looked at for slowness (at most
	// 64), and SlowShare how many of them, in percent, may be slow.
	Window    int
	SlowShare int
}

// Default fits a cache in front of a local network.
var Default = Rules{Failures: 3, Probation: 5, Window: 32, SlowShare: 50}

// state is everything a breaker remembers.
type state struct {
	open    Cause
	inARow  int    // failures in a row
	calls   int    // seen, up to Window
	okSoFar int    // successes, up to Probation
	slow    uint64 // one bit for each of the last calls, newest lowest
}

// next is the whole breaker: no clock, no lock, no I/O.
func (r Rules) next(s state, o Outcome, slow bool) state {
	if s.open != None {
		return s
	}
	s.slow = (s.slow<<1 | bit(slow || o == Timeout)) & (1<<r.Window - 1)
	s.calls = min(s.calls+1, r.Window)
	if o == OK {
		s.inARow = 0
		s.okSoFar = min(s.okSoFar+1, r.Probation)
	} else {
		s.inARow++
	}
	switch {
	case o == Broken, s.inARow >= r.Failures, s.inARow > 0 && s.okSoFar < r.Probation:
		s.open = Errors
	case s.calls == r.Window && bits.OnesCount64(s.slow)*100 > r.SlowShare*r.Window:
		s.open = Slow
	}
	return s
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Breaker watches one node. The zero value is not usable; see New.
type Breaker struct {
	rules  Rules
	opened chan struct{}
	// well: another good call would change nothing, so it is not even counted.
	well atomic.Bool

	mu    sync.Mutex // guards state
	state state
}

// New returns a closed breaker on probation.
func New(r Rules) *Breaker { return &Breaker{rules: r, opened: make(chan struct{})} }

// Record notes one call that took d; longer than slowAfter is slow. Zero
// slowAfter means that the call was not one to judge speed by.
func (b *Breaker) Record(o Outcome, d, slowAfter time.Duration) {
	slow := slowAfter > 0 && d > slowAfter
	if o == OK && !slow && b.well.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.state.open
	b.state = b.rules.next(b.state, o, slow)
	b.well.Store(b.state == b.rules.next(b.state, OK, false))
	if was == None && b.state.open != None {
		close(b.opened)
	}
}

// Opened is closed when the breaker opens.
func (b *Breaker) Opened() <-chan struct{} { return b.opened }

// Cause says why it is open, or None.
func (b *Breaker) Cause() Cause {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.open
}
