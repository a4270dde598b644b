package evercache

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/internal/shard"
)

// fillQueue has the loaded values of a class that are on their way to Redis. What is ready while others
// are being stored is stored together after them. So a lone load waits for nobody, and a
// burst of loads costs Redis a few calls. Each shard has a line of its own: one that does not
// answer holds up no other.
type fillQueue[V any] struct {
	mu    sync.Mutex // guards what follows
	lines map[*shard.Shard]*fillLine[V]
}

type fillLine[V any] struct {
	waiting []*run[V]
	senders int
}

// mostSenders is how many batches of a line are under way at a time.
const mostSenders = 4

// add puts a run into the line of its shard. true: whoever calls is to send.
func (q *fillQueue[V]) add(sh *shard.Shard, r *run[V]) (sends bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[sh]
	if l == nil {
		if l = new(fillLine[V]); q.lines == nil {
			q.lines = map[*shard.Shard]*fillLine[V]{}
		}
		q.lines[sh] = l
	}
	l.waiting = append(l.waiting, r)
	if l.senders > 0 && (l.senders == mostSenders || len(l.waiting) < shard.FillBatch) {
		return false
	}
	l.senders++
	return true
}

// next takes out what is to be stored together, after what came before it. none: whoever
// calls sends no more.
func (q *fillQueue[V]) next(sh *shard.Shard) []*run[V] {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[sh]
	if len(l.waiting) == 0 {
		if l.senders--; l.senders == 0 {
			delete(q.lines, sh)
		}
		return nil
	}
	n, bytes := 0, 0
	for n < min(len(l.waiting), shard.FillBatch) && (n == 0 || bytes+len(l.waiting[n].store.data) <= shard.FillBytes) {
		bytes += len(l.waiting[n].store.data)
		n++
	}
	batch := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return batch
}

// fillRoom bounds what waits in the lines of a client.
type fillRoom struct{ n, bytes atomic.Int64 }

const (
	mostQueued      = 4096
	mostQueuedBytes = 8 << 20
)

func (q *fillRoom) enter(bytes int) bool {
	if q.n.Add(1) > mostQueued || q.bytes.Add(int64(bytes)) > mostQueuedBytes {
		q.leave(bytes)
		return false
	}
	return true
}

func (q *fillRoom) leave(bytes int) {
	q.n.Add(-1)
	q.bytes.Add(-int64(bytes))
}

// alone is the size from which a value is stored by itself.
const alone = 16 << 10

// storeSoon stores a loaded value together with others of the class. What the line has no
// room for takes a turn of its own.
func (c *Cache[V]) storeSoon(r *run[V]) {
	if len(r.store.data) >= alone || !c.client.queued.enter(len(r.store.data)) {
		c.storeAlone(r)
		return
	}
	sh := c.keys.ShardOf(r.flight.Data.full)
	if !c.filling.add(sh, r) {
		return
	}
	for batch := c.filling.next(sh); batch != nil; batch = c.filling.next(sh) {
		c.storeTogether(batch)
	}
}

func (c *Cache[V]) storeAlone(r *run[V]) {
	defer r.flight.Filled()
	c.fill(&r.ctx, r.flight, r.store)
}

// storeTogether is fill for several at once.
func (c *Cache[V]) storeTogether(batch []*run[V]) {
	sent := make([]*run[V], 0, len(batch))
	for _, r := range batch {
		c.client.queued.leave(len(r.store.data))
		if c.beginStore(r) {
			sent = append(sent, r)
		}
	}
	if len(sent) == 0 {
		return
	}
	defer func() {
		for _, r := range sent {
			r.filling.End()
			c.client.store.Locks.Unlock(r.held)
			r.flight.Filled()
		}
	}()
	ctx := context.WithoutCancel(&sent[0].ctx) // each question ends within its own limit
	stored := make([]*run[V], 0, len(sent))
	for i, res := range c.keys.SendFills(ctx, fillsOf(sent)) {
		r := sent[i]
		if c.concluded(ctx, &r.filling, r.flight, &r.store, res) {
			stored = append(stored, r)
		}
	}
	c.coverAll(ctx, stored)
}

func fillsOf[V any](rs []*run[V]) []*shard.Fill {
	fs := make([]*shard.Fill, len(rs))
	for i, r := range rs {
		fs[i] = &r.filling
	}
	return fs
}

// beginStore reports whether a value is to be sent now, and has the lock of its key. One whose lock is
// not free waits for it alone.
func (c *Cache[V]) beginStore(r *run[V]) bool {
	f, full := r.flight, r.flight.Data.full
	if !c.keys.Connected(f.Key()) {
		f.Filled()
		return false
	}
	if r.held = c.client.store.Locks.TryLock(full); r.held == nil {
		if !c.client.store.Spawn(func() { c.storeAlone(r) }) {
			f.Filled()
		}
		return false
	}
	var ok bool
	if r.filling, ok = c.beginFill(f, &r.store); !ok {
		c.client.store.Locks.Unlock(r.held)
		f.Filled()
	}
	return ok
}

// coverAll is cover for several that were stored together.
func (c *Cache[V]) coverAll(ctx context.Context, rs []*run[V]) {
	marks := make([]shard.Mark, 0, len(rs))
	for range 3 {
		asked := rs[:0:len(rs)]
		marks = marks[:0]
		for _, r := range rs {
			if m := c.keys.Mark(r.flight.Data.full); m.Cover() != nil {
				asked, marks = append(asked, r), append(marks, m)
			}
		}
		if len(asked) == 0 {
			return
		}
		rs = asked[:0]
		for i, holds := range c.keys.HoldFills(ctx, fillsOf(asked), c.policy.ReadTimeout) {
			if r := asked[i]; holds && !c.covered(r.flight, r.store.item, marks[i]) {
				rs = append(rs, r)
			}
		}
	}
}
