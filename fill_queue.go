package evercache

import (
	"context"
	"sync/atomic"

	"github.com/evercache/evercache/internal/shard"
)

// Loaded values of a class that are on their way to Redis at the same time are stored
// together: see shard.Lines.

// fillRoom bounds what waits in the lines of a client.
type fillRoom struct{ n, bytes atomic.Int64 }

const (
	mostQueued      = 4096
	mostQueuedBytes = 8 << 20
)

func (q *fillRoom) enter(bytes int) bool {
	n, all := q.n.Add(1), q.bytes.Add(int64(bytes))
	if n > mostQueued || all > mostQueuedBytes {
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
	next := c.filling.Add(c.keys, r.flight.Data.full, r, len(r.store.data))
	if next == nil { // somebody else sends it
		return
	}
	for batch := next(); batch != nil; batch = next() {
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
	for i, res := range shard.SendFills(ctx, fillsOf(sent)) {
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
	for range coverTries {
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
		for i, holds := range shard.HoldFills(ctx, fillsOf(asked), c.policy.ReadTimeout) {
			if r := asked[i]; holds && !c.covered(r.flight, r.store.item, marks[i]) {
				rs = append(rs, r)
			}
		}
	}
}
