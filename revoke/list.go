package revoke

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/kit"
)

// List is a denylist, whole in memory, shared with other processes through the
// Redis of a Client. It is safe for concurrent use. Close it before the Client.
type List struct {
	client *evercache.Client
	kit    kit.Kit
	policy Policy
	hash   hasher
	memo   memo // of hash, for Check
	keys   keys
	set    *set
	own    *pending
	stats  counts

	start  time.Time        // the clock of asOf
	wall   func() time.Time // replaced in tests
	clocks clocks
	asOf   atomic.Int64          // everything acknowledged before is known; 0: never was
	known  atomic.Bool           // a complete set has been read once
	used   atomic.Bool           // somebody has asked; written once
	asleep atomic.Bool           // it is on demand, and nobody has
	ready  chan struct{}         // closed then
	fault  atomic.Pointer[error] // why the last attempt to reach the list in Redis failed
	pace   pace                  // of the comparison; replaced in tests
	notes  notes                 // for the findings

	readings  atomic.Uint32 // numbers the snapshots
	awaySince atomic.Int64  // when the last master was lost; 0: there is one
	confirms  chan confirm
	claimed   string  // the last claim of this process; only follow uses it
	seen      outlook // of the set when it was looked at last; only follow uses it

	name    string       // of this list among the processes that hold it
	others  company      // those of which this one knows
	renewed atomic.Int64 // when they last heard of this one; 0: never

	absence time.Duration // how long others are waited for; replaced in tests

	moved    chan struct{} // closed and replaced when the stream has been read further; guarded by mu
	position position

	mu     sync.Mutex // guards moved, position, closed, awake and stops
	closed bool
	awake  bool

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	stops  []func()
}

// position is how far the stream of a master has been read.
type position struct {
	master  kit.Master
	seq     int64
	trusted bool // nothing that was acknowledged there can be missing
}

// counts are for Stats.
type counts struct {
	revoked, taken, refused               atomic.Uint64
	snapshots, gaps, lost, pushed, pruned atomic.Uint64
	garbage                               atomic.Uint64
	strict, strictFailed                  atomic.Uint64
}

// New makes a List. It never waits for Redis: until a complete set has been read,
// what this process does not hold itself is Unknown (see WaitReady).
func New(client *evercache.Client, p Policy) (*List, error) {
	l, err := newList(client, p)
	if err != nil {
		return nil, err
	}
	return l.begin()
}

// begin starts it.
func (l *List) begin() (*List, error) {
	l.recall()
	var err error
	switch {
	case l.kit.MemoryOnly():
		l.believe()
		err = l.run(l.cleanUp)
	case l.policy.OnDemand && l.set.count.Load() == 0:
		l.asleep.Store(true)
		err = l.run(func(ctx context.Context) { <-ctx.Done() }) // hears that the client is closed
	default:
		err = l.wake()
	}
	if err != nil {
		return l, errors.Join(err, l.Close())
	}
	return l, nil
}

// wake starts what keeps the list up, once, unless it is closed.
func (l *List) wake() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.awake || l.closed {
		return nil
	}
	l.awake = true
	l.asleep.Store(false)
	l.stops = append(l.stops, l.kit.OnBeat(l.beat), l.kit.AddFindings(l.findings))
	return l.run(l.follow, l.send, l.cleanUp, l.compare)
}

// newList makes one that does nothing yet.
func newList(client *evercache.Client, p Policy) (*List, error) {
	p = p.withDefaults()
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("revoke: wrong policy:\n%w", err)
	}
	k := kit.Of(client)
	keys := newKeys(k.KeyPrefix(), p.Namespace)
	l := &List{
		client: client, kit: k.At(keys.set), policy: p,
		hash:     newHasher(p.Namespace, p.Key),
		memo:     newMemo(),
		keys:     keys,
		set:      newSet(p.MaxEntries),
		own:      newPending(),
		name:     newPeer(k.Process()),
		start:    time.Now().Add(-1), // asOf is never 0 by accident
		wall:     time.Now,
		pace:     usualPace,
		absence:  p.absence(),
		ready:    make(chan struct{}),
		moved:    make(chan struct{}),
		confirms: make(chan confirm, 1),
	}
	l.policy.Key = ""
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l, nil
}

// run starts the goroutines of the list.
func (l *List) run(fs ...func(context.Context)) error {
	for _, f := range fs {
		l.wg.Add(1)
		started := l.kit.Go(func(client context.Context) {
			defer l.wg.Done()
			stop := context.AfterFunc(client, func() { l.cancel(evercache.ErrClosed) })
			defer stop()
			f(l.ctx)
		})
		if !started {
			l.wg.Done()
			return evercache.ErrClosed
		}
	}
	return nil
}

// Ready reports whether a complete set has been read since the start. It does
// not go back: how old the knowledge is, each Verdict says.
func (l *List) Ready() bool { return l.known.Load() }

// WaitReady waits for that, or for ctx.
func (l *List) WaitReady(ctx context.Context) error {
	l.rouse()
	select {
	case <-l.ready:
		return nil
	case <-l.ctx.Done():
		return evercache.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("revoke: not ready: %w", context.Cause(ctx))
	}
}

// believe says that what is held is all there is.
func (l *List) believe() {
	if !l.known.Swap(true) {
		close(l.ready)
	}
}

// use notes that somebody uses this list, and wakes it. It writes once: a check must not make
// processors wait for each other.
func (l *List) use() {
	if !l.used.Load() {
		l.used.Store(true)
		l.rouse()
	}
}

// rouse wakes a list that is on demand.
func (l *List) rouse() {
	if l.asleep.Load() {
		_ = l.wake() // an error: the client is closed, and all stays unknown
	}
}

// now is the real, monotonic clock.
func (l *List) now() int64 { return int64(time.Since(l.start)) }

func (l *List) at(t time.Time) int64 { return int64(t.Sub(l.start)) }

// advance says that everything acknowledged before t is known.
func (l *List) advance(t time.Time) {
	at := l.at(t)
	for {
		was := l.asOf.Load()
		if at <= was || l.asOf.CompareAndSwap(was, at) {
			return
		}
	}
}

// Close ends the list. It waits until no failover can lose what this process has
// revoked: for replicas that do not keep up Policy.AckTimeout at most, for the next
// master Options.CloseTimeout of the client. A *evercache.UnsavedError counts what
// is lost with this process.
func (l *List) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), l.kit.CloseTimeout())
	defer cancel()
	return l.Shutdown(ctx)
}

// Shutdown is Close under the caller's own bound.
func (l *List) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	stops := l.stops
	l.mu.Unlock()
	if first {
		l.drain(ctx)
		l.cancel(evercache.ErrClosed)
		for _, stop := range stops {
			stop()
		}
	}
	l.wg.Wait()
	if first {
		l.depart(ctx)
	}
	if _, _, unsaved := l.own.depth(); unsaved > 0 && !l.kit.MemoryOnly() {
		return &evercache.UnsavedError{Writes: unsaved}
	}
	return nil
}

// drain waits until what this process has revoked can be lost no more. What a
// master has taken that is gone counts as taken by none, as soon as that is known.
func (l *List) drain(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)() // the client was closed first
	began := time.Now()
	for ctx.Err() == nil && !l.kit.MemoryOnly() {
		m, _ := l.kit.Master()
		unconfirmed, untaken, unsaved := l.own.depth()
		switch {
		case unconfirmed == 0:
			l.leave(ctx, m)
			return
		case m == nil && untaken == unconfirmed && unsaved == 0:
			return // the journal has all of it
		case m != nil && untaken == 0 && time.Since(began) > l.policy.AckTimeout:
			return // its replicas do not keep up
		case m != nil && untaken == 0:
			bounded, cancel := context.WithTimeout(ctx, l.kit.WriteTimeout())
			l.kit.AwaitBarrier(bounded, m, 0)
			cancel()
		}
		_ = pause(ctx, 5*time.Millisecond)
	}
}

// leave puts back everything that this process knows, where the set in Redis has
// lost something: the others may have been told less, and this one is not there to
// notice.
func (l *List) leave(ctx context.Context, m kit.Master) {
	if m == nil {
		return
	}
	v, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), lookScript)
	if err != nil {
		return
	}
	seen, err := parseLook(v)
	if err != nil {
		return
	}
	if o := weigh(seen, l.hash.print(), ""); o.foreign || o.marked && o.whole {
		return
	}
	_ = l.putBack(ctx, m, l.readings.Add(1)) // nobody reads that one: all of it; Redis gone again is nothing to do here
}

func (l *List) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// moveTo notes how far the stream has been read, and wakes who waits for it.
func (l *List) moveTo(p position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p == l.position {
		return
	}
	l.position = p
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *List) where() (position, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.position, l.moved
}

// pause waits for d, or returns early with the reason ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
