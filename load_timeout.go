package evercache

import (
	"context"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/shard"
)

// running are the loads of a class that are under way, in the order in which their time ends. One timer is
// enough for all: each load has the same time.
type running[V any] struct {
	mu          sync.Mutex // guards what follows, and the links of its runs
	first, last *run[V]
	timer       *time.Timer // nil: none was needed so far
	armed       bool
	closed      bool
}

// enter takes a run in, and begins its time. false: the client is closed.
func (l *running[V]) enter(r *run[V]) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if r.before = l.last; l.last != nil {
		l.last.next = r
	} else {
		l.first = r
	}
	l.last, r.listed = r, true
	if !l.armed {
		l.arm(time.Until(r.ctx.end))
	}
	return true
}

// arm is called with mu held.
func (l *running[V]) arm(d time.Duration) {
	l.armed = true
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.expire)
		return
	}
	l.timer.Reset(d)
}

// leave takes it out.
func (l *running[V]) leave(r *run[V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlink(r)
}

// unlink is called with mu held.
func (l *running[V]) unlink(r *run[V]) {
	if !r.listed {
		return
	}
	if r.before != nil {
		r.before.next = r.next
	} else {
		l.first = r.next
	}
	if r.next != nil {
		r.next.before = r.before
	} else {
		l.last = r.before
	}
	r.before, r.next, r.listed = nil, nil, false
}

// expire gives up the runs that have no more time.
func (l *running[V]) expire() {
	for r := l.due(time.Now()); r != nil; r = l.due(time.Now()) {
		r.giveUp(errLoadTimeout)
	}
}

// due takes out one that has no more time; nil: there is none, and the timer is set for the
// next.
func (l *running[V]) due(now time.Time) *run[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r := l.first; {
	case r == nil:
		l.armed = false
		return nil
	case r.ctx.end.After(now):
		l.arm(r.ctx.end.Sub(now))
		return nil
	default:
		l.unlink(r)
		return r
	}
}

// close gives all up, and lets nobody in any more.
func (l *running[V]) close(cause error) {
	for r := l.shut(); r != nil; r = l.shut() {
		r.giveUp(cause)
	}
}

// shut takes out one after the last has come in; nil: there is none.
func (l *running[V]) shut() *run[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	r := l.first
	if r != nil {
		l.unlink(r)
	}
	return r
}

func (l *running[V]) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first == nil
}

// watchEnd lets the loads of a class end with the client, until stop.
func (c *Cache[V]) watchEnd() (stop func() bool) {
	ctx := shard.Life(c.client.store)
	return context.AfterFunc(ctx, func() { c.running.close(context.Cause(ctx)) })
}
