package daemon

import (
	"container/list"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// How the bound on connections is kept.
const (
	// slotPatience is how long connections wait while none of those that are open
	// ends: then further ones are refused.
	slotPatience = time.Second
	// headerGrace is how long a connection may take for its first request before
	// it can be closed in favour of another. A shorter one would cut off callers
	// that are far away; with a longer one those that never send keep others waiting.
	headerGrace = 250 * time.Millisecond
	// slowGrace is how long somebody who is waited for may take for the next
	// quickBytes before it can be closed in favour of another: 64 KiB/s. An answer is
	// written in pieces of smallBytes, and each may take so long.
	slowGrace  = 250 * time.Millisecond
	quickBytes = 16 << 10
	// lookAround is how often somebody who waits looks for one that has become quiet.
	lookAround = 25 * time.Millisecond
)

// bounded is a listener with at most a number of connections open. When they are
// all taken, one makes room for the next: one that has no request under way, the
// longest quiet first; else one whose body or whose reading of an answer is waited
// for too long. Those that have shown the token are the last to go. Where there is
// none, the next is refused.
type bounded struct {
	net.Listener
	plain    bool         // no TLS: a refusal can be written
	cert     *certificate // nil: no TLS
	slots    chan struct{}
	closed   chan struct{}
	close    func() error
	moved    time.Time     // when a slot was last got; of the goroutine that accepts
	refusing chan struct{} // bounds the refusals under way
	refusals sync.WaitGroup

	madeRoom, slow, refused, starved atomic.Uint64 // connections closed while quiet, while slow, refused, not to be had

	mu    sync.Mutex // guards what follows and the places of connections in it
	quiet list.List  // of *slotConn, the longest quiet one first
	busy  map[*slotConn]struct{}
}

func newBounded(ln net.Listener, most int) *bounded {
	b := &bounded{
		Listener: ln, plain: true, slots: make(chan struct{}, most), closed: make(chan struct{}),
		refusing: make(chan struct{}, mostRefusals), moved: time.Now(), busy: map[*slotConn]struct{}{},
	}
	b.close = sync.OnceValue(func() error {
		close(b.closed)
		return ln.Close()
	})
	return b
}

// Accept is called by one goroutine. Whoever has to wait here waits in the kernel's
// queue; the one connection that is in its hands has a descriptor in reserve.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				b.starved.Add(1)
				b.makeRoom()
			}
			return nil, err // net/http tries again, unless the listener is closed
		}
		if b.slot() {
			return b.opened(c), nil
		}
		b.refuse(c)
	}
}

// slot gets a slot, if need be that of a quiet connection.
func (b *bounded) slot() bool {
	for {
		select {
		case b.slots <- struct{}{}:
			b.moved = time.Now()
			return true
		default:
		}
		if b.makeRoom() {
			continue
		}
		if time.Since(b.moved) > slotPatience {
			return false
		}
		select {
		case b.slots <- struct{}{}:
			b.moved = time.Now()
			return true
		case <-b.closed:
			return false
		case <-time.After(lookAround):
		}
	}
}

// makeRoom closes a connection for another, if there is one to close.
func (b *bounded) makeRoom() bool {
	c, quiet := b.leastMissed()
	switch {
	case c == nil:
		return false
	case quiet:
		b.madeRoom.Add(1)
		_ = c.Close() // it gives its slot back whatever Close says
	default:
		c.endSlow()
	}
	return true
}

// leastMissed takes the connection that goes first off its list.
func (b *bounded) leastMissed() (c *slotConn, quiet bool) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trusted := range []bool{false, true} {
		if c := b.longestQuietLocked(trusted, now); c != nil {
			c.leaveLocked()
			return c, true
		}
		if c := b.slowestLocked(trusted, now); c != nil {
			c.leaveLocked()
			return c, false
		}
	}
	return nil, false
}

func (b *bounded) longestQuietLocked(trusted bool, now time.Time) *slotConn {
	for e := b.quiet.Front(); e != nil; e = e.Next() {
		c := e.Value.(*slotConn)
		if c.trusted == trusted && (c.used || now.Sub(c.since) > headerGrace) {
			return c
		}
	}
	return nil
}

func (b *bounded) slowestLocked(trusted bool, now time.Time) (slowest *slotConn) {
	var longest time.Duration
	for c := range b.busy {
		if d := c.slowFor(now); c.trusted == trusted && d > longest {
			slowest, longest = c, d
		}
	}
	return slowest
}

// full reports whether every slot is taken.
func (b *bounded) full() bool { return len(b.slots) == cap(b.slots) }

func (b *bounded) Close() error { return b.close() }

// waitEmpty waits until no connection is open, or for d.
func (b *bounded) waitEmpty(d time.Duration) {
	end := time.Now().Add(d)
	for len(b.slots) > 0 && time.Now().Before(end) {
		time.Sleep(5 * time.Millisecond)
	}
}

// slotConn gives its slot back when it closes.
type slotConn struct {
	net.Conn
	of      *bounded
	release func()

	// Since when its peer is waited for, in nanoseconds: to send the next bytes of a
	// body, and to read those of an answer. 0: it is not.
	sends, reads atomic.Int64

	// of.mu guards what follows.
	place   *list.Element // in of.quiet; nil: a request is under way, or it is closed
	since   time.Time     // it is quiet
	used    bool          // it has had a request
	trusted bool          // it has shown the token
	gone    bool
}

func (b *bounded) opened(c net.Conn) *slotConn {
	s := &slotConn{Conn: c, of: b, release: sync.OnceFunc(func() { <-b.slots })}
	s.rest()
	return s
}

// rest notes that no request is under way.
func (c *slotConn) rest() {
	c.hasCome()
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.place == nil && !c.gone {
		delete(c.of.busy, c)
		c.place, c.since = c.of.quiet.PushBack(c), time.Now()
	}
}

// work notes that a request has come.
func (c *slotConn) work() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.used = true
	c.leaveLocked()
	if !c.gone {
		c.of.busy[c] = struct{}{}
	}
}

// trust notes that it has shown the token.
func (c *slotConn) trust() {
	if c != nil {
		c.of.mu.Lock()
		c.trusted = true
		c.of.mu.Unlock()
	}
}

func (c *slotConn) leaveLocked() {
	delete(c.of.busy, c)
	if c.place != nil {
		c.of.quiet.Remove(c.place)
		c.place = nil
	}
}

// awaits notes that the next bytes of a body are waited for, and hasCome that none
// are.
func (c *slotConn) awaits() {
	if c != nil {
		c.sends.Store(time.Now().UnixNano())
	}
}

func (c *slotConn) hasCome() {
	if c != nil {
		c.sends.Store(0)
	}
}

// isRefused notes that what is still to come is of no use: it may be closed at once.
func (c *slotConn) isRefused() {
	if c != nil {
		c.sends.Store(time.Now().Add(-slowGrace).UnixNano())
	}
}

// Write notes how long the peer takes to read.
func (c *slotConn) Write(b []byte) (int, error) {
	c.reads.Store(time.Now().UnixNano())
	defer c.reads.Store(0)
	return c.Conn.Write(b)
}

// slowFor is how much longer than it should the peer is waited for, 0 for not.
func (c *slotConn) slowFor(now time.Time) time.Duration {
	var longest time.Duration
	for _, since := range []int64{c.sends.Load(), c.reads.Load()} {
		if since != 0 {
			longest = max(longest, time.Duration(now.UnixNano()-since)-slowGrace)
		}
	}
	return longest
}

// endSlow closes it in favour of another.
func (c *slotConn) endSlow() {
	c.of.slow.Add(1)
	_ = c.Close() // it gives its slot back whatever Close says
}

func (c *slotConn) Close() error {
	c.of.mu.Lock()
	c.gone = true
	c.leaveLocked()
	c.of.mu.Unlock()
	defer c.release()
	return c.Conn.Close()
}
