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
	// lookAround is how often somebody who waits looks for one that has become quiet.
	lookAround = 25 * time.Millisecond
)

// bounded is a listener with at most a number of connections open. When they are
// all taken, one that has no request under way makes room for the next: the one
// that has been quiet for longest. Where there is none, the next is refused.
type bounded struct {
	net.Listener
	plain    bool // no TLS: a refusal can be written
	slots    chan struct{}
	closed   chan struct{}
	close    func() error
	moved    time.Time     // when a slot was last got; of the goroutine that accepts
	refusing chan struct{} // bounds the refusals under way
	refusals sync.WaitGroup

	madeRoom, refused, starved atomic.Uint64 // connections closed while quiet, refused, not to be had

	mu    sync.Mutex // guards quiet and the places of connections in it
	quiet list.List  // of *slotConn, the longest quiet one first
}

func newBounded(ln net.Listener, most int) *bounded {
	b := &bounded{
		Listener: ln, plain: true, slots: make(chan struct{}, most), closed: make(chan struct{}),
		refusing: make(chan struct{}, mostRefusals), moved: time.Now(),
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

// makeRoom closes the connection that has been quiet for longest, if there is one.
func (b *bounded) makeRoom() bool {
	c := b.longestQuiet()
	if c == nil {
		return false
	}
	b.madeRoom.Add(1)
	_ = c.Close() // it gives its slot back whatever Close says
	return true
}

// longestQuiet takes it off the list.
func (b *bounded) longestQuiet() *slotConn {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.quiet.Front(); e != nil; e = e.Next() {
		c := e.Value.(*slotConn)
		if c.used || time.Since(c.since) > headerGrace {
			c.leaveQuiet()
			return c
		}
	}
	return nil
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

	// of.mu guards what follows.
	place *list.Element // in of.quiet; nil: a request is under way, or it is closed
	since time.Time     // it is quiet
	used  bool          // it has had a request
	gone  bool
}

func (b *bounded) opened(c net.Conn) *slotConn {
	s := &slotConn{Conn: c, of: b, release: sync.OnceFunc(func() { <-b.slots })}
	s.rest()
	return s
}

// rest notes that no request is under way.
func (c *slotConn) rest() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.place == nil && !c.gone {
		c.place, c.since = c.of.quiet.PushBack(c), time.Now()
	}
}

// work notes that a request has come.
func (c *slotConn) work() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.used = true
	c.leaveQuiet()
}

// leaveQuiet: the caller holds of.mu.
func (c *slotConn) leaveQuiet() {
	if c.place != nil {
		c.of.quiet.Remove(c.place)
		c.place = nil
	}
}

func (c *slotConn) Close() error {
	c.of.mu.Lock()
	c.gone = true
	c.leaveQuiet()
	c.of.mu.Unlock()
	defer c.release()
	return c.Conn.Close()
}
