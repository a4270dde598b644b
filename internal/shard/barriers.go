package shard

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

// heartbeatAnswered is called when the master has answered a barrier: what it refused
// may go through now.
func (sh *Shard) heartbeatAnswered(n *remote.Node, b watch.Beat) {
	sent := sh.Clock.At(b.SentAt)
	if b.Confirms {
		sh.Ledger.Confirm(b.N, sh.Clock.Now())
	}
	switch {
	case b.Alone:
		sh.Feed.ProvedBarrier(sent)
	case !b.AloneAt.IsZero(): // too old to call an entry coherent; package revoke can use it
		sh.Feed.ProvedBarrier(sh.Clock.At(b.AloneAt))
	}
	sh.Barriers.answered(b, n)
	sh.onHeartbeat.call(sh, b)
	sh.Ledger.Trim(sh.Clock.Now())
	if !sh.Outbox.Empty() {
		sh.WakeReplay()
	}
}

// The pace of the barriers. heartbeatWaited is that of who waits for replicas to take what
// a barrier has covered already; the barrier that covers it comes at once.
const (
	heartbeatWaited      = 20 * time.Millisecond
	heartbeatUnconfirmed = 100 * time.Millisecond
)

// heartbeatPace is how soon after a barrier the next one is due.
func (sh *Shard) heartbeatPace() time.Duration {
	processes := sh.crowd.Load()
	switch {
	case sh.Barriers.due():
		return atOnce(processes)
	case sh.Barriers.Awaited():
		return heartbeatWaited
	case sh.Ledger.Unconfirmed() > 0 || sh.copiesWanted():
		return shared(heartbeatUnconfirmed, processes)
	case sh.rests():
		return RestEach
	}
	return shared(heartbeatEvery, processes)
}

// barriers lets callers wait for the barrier that covers their write.
type barriers struct {
	waiting atomic.Int64
	wanted  atomic.Uint64 // the highest number that somebody has waited for
	tried   atomic.Uint64 // the highest number that was sent, with whatever end
	kick    chan struct{} // the pace has changed

	mu      sync.Mutex // guards what follows
	last    answered
	written answered      // the last one that a node has taken
	changed chan struct{} // closed and replaced at every answer
}

// answered is one answered barrier.
type answered struct {
	N        uint64
	Replicas int
	node     *remote.Node
	at       time.Time
}

func newBarriers() *barriers {
	return &barriers{kick: make(chan struct{}, 1), changed: make(chan struct{})}
}

func (b *barriers) Awaited() bool { return b.waiting.Load() > 0 }

// due reports whether somebody waits for a barrier that was not sent yet.
func (b *barriers) due() bool { return b.Awaited() && b.wanted.Load() > b.tried.Load() }

// sends notes that a barrier is about to be sent. Without a number it is none that
// anybody has waited for: then they are asked to wait for the next turn.
func (b *barriers) sends(number uint64, numbered bool) {
	if !numbered {
		number = b.wanted.Load()
	}
	raiseTo(&b.tried, number)
}

// hurry asks the heartbeat's owner to look at the pace again.
func (b *barriers) hurry() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

func (b *barriers) answered(beat watch.Beat, node *remote.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = answered{beat.N, beat.Replicas, node, time.Now()}
	if beat.Written {
		b.written = b.last
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *barriers) Watch() (answered, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.changed
}

// used is the address of the node that answered last, and the last barrier that one has taken.
func (b *barriers) used() (addr string, written answered) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last.node != nil {
		addr = b.last.node.Addr
	}
	return addr, b.written
}

// forgetWritten notes that it is gone.
func (b *barriers) forgetWritten() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.written = answered{}
}

// await quickens the barriers until done is called.
func (b *barriers) await() (done func()) {
	b.waiting.Add(1)
	b.hurry()
	return func() { b.waiting.Add(-1) }
}

// Await waits until the node has answered barrier n with that many replicas, or
// until ctx ends, and returns how many have it.
func (b *barriers) Await(ctx context.Context, node *remote.Node, n uint64, replicas int) int {
	raiseTo(&b.wanted, n)
	defer b.await()()
	held, answered := 0, false
	for {
		last, changed := b.Watch()
		if last.node == node && last.N >= n {
			held, answered = last.Replicas, true
		}
		if answered && held >= replicas {
			return held
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return held
		}
	}
}

// listeners are those who hear of each barrier that a master answers.
type listeners struct {
	mu   sync.Mutex // guards what follows
	next int
	all  map[int]listener
}

// listener hears of the barriers of the shard that it belongs to at that moment.
type listener struct {
	shard func() *Shard
	hear  func(watch.Beat)
}

func (l *listeners) add(one listener) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[int]listener{}
	}
	l.next++
	id := l.next
	l.all[id] = one
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, id)
	}
}

func (l *listeners) call(sh *Shard, beat watch.Beat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		if one.shard() == sh {
			one.hear(beat)
		}
	}
}

// of reports whether anybody hears of the barriers of a shard.
func (l *listeners) of(sh *Shard) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		if one.shard() == sh {
			return true
		}
	}
	return false
}
