package logqueue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// queue holds records until its goroutine has handed them on. The goroutine
// begins with the first record and ends when none waits.
type queue struct {
	bounds Bounds
	origin slog.Handler // gets the record about what is missing

	mu      sync.Mutex // guards what follows; never held while a handler works
	items   []item
	bytes   int
	running bool
	idle    chan struct{} // closed when running ends; nil: nobody asked
	missed  uint64        // dropped behind the last item and not told yet
	total   uint64        // dropped

	// What follows belongs to the goroutine, of which there is one at a time.
	owed   uint64 // dropped before the next record and not told yet
	failed error  // why the last one was
	toldAt time.Time
}

// item is a record on its way.
type item struct {
	ctx    context.Context // of the caller: a handler may look for values in it
	below  slog.Handler
	record slog.Record
	size   int
	ask    bool   // whether the handler below wants it is not known yet
	missed uint64 // dropped just before it
}

// put never waits. At the bound it drops the newest: the first lines of a trouble
// say more about its cause.
func (q *queue) put(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) >= q.bounds.Lines || q.bytes+it.size > q.bounds.Bytes {
		q.missed++
		q.total++
		return
	}
	it.missed, q.missed = q.missed, 0
	q.items = append(q.items, it)
	q.bytes += it.size
	if !q.running {
		q.running = true
		go q.run()
	}
}

// run hands on what waits and ends when nothing does.
func (q *queue) run() {
	for {
		it, ok := q.next()
		if !ok {
			return
		}
		q.owed += it.missed
		if it.below != nil {
			q.hand(it)
		} else {
			q.tell()
		}
	}
}

// next takes the first record. When none is left but some are missing, it is an
// item without a record.
func (q *queue) next() (item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		if q.missed > 0 || q.owed > 0 && q.failed == nil {
			it := item{missed: q.missed}
			q.missed = 0
			return it, true
		}
		q.running, q.items = false, nil // a burst's room is not kept
		if q.idle != nil {
			close(q.idle)
			q.idle = nil
		}
		return item{}, false
	}
	it := q.items[0]
	q.items[0] = item{}
	q.items = q.items[1:]
	q.bytes -= it.size
	return it, true
}

// hand gives a record to its handler, behind the news of what is missing before it.
func (q *queue) hand(it item) {
	if it.ask && !wants(it) {
		return
	}
	if time.Since(q.toldAt) > betweenNews || q.failed != nil {
		if !q.tell() {
			q.drop()
			return
		}
	}
	if err := handle(it.ctx, it.below, it.record); err != nil {
		q.failed = err
		q.drop()
	}
}

// betweenNews keeps a slow sink from being given more news than lines.
const betweenNews = time.Second

// tell says what is missing; false: the sink still fails.
func (q *queue) tell() bool {
	if q.owed == 0 {
		return true
	}
	if err := handle(context.Background(), q.origin, missing(q.owed, q.failed)); err != nil {
		q.failed = err
		return false
	}
	q.owed, q.failed, q.toldAt = 0, nil, time.Now()
	return true
}

func (q *queue) drop() {
	q.owed++
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total++
}

// handle calls a handler that is somebody else's code.
func handle(ctx context.Context, h slog.Handler, r slog.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the handler panicked: %T", v) // its text may hold anything
		}
	}()
	return h.Handle(ctx, r)
}

func wants(it item) (yes bool) {
	defer func() { _ = recover() }() // a handler that panics here does not want it
	return it.below.Enabled(it.ctx, it.record.Level)
}

func (q *queue) dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

func (q *queue) flush(ctx context.Context) bool {
	q.mu.Lock()
	if !q.running {
		q.mu.Unlock()
		return true
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	q.mu.Unlock()
	select {
	case <-idle:
		return true
	case <-ctx.Done():
		return false
	}
}
