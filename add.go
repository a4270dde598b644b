package evercache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/stats"
)

// Add stores a value only if the key has none, and reports whether it did.
// Without a master nobody can know: ErrUnavailable, and nothing is changed.
// After an error that is not IsUnavailable's "nobody knows" the value may or
// may not be there.
func (c *Cache[V]) Add(ctx context.Context, key string, v V, options ...WriteOption) (bool, Receipt, error) {
	var w write
	if err := c.setOf(ctx, &w, key, v, options); err != nil {
		c.client.requests.add(stats.OpAdd, stats.TierNone, stats.ResultRejected)
		return false, Receipt{}, err
	}
	start := time.Now()
	added, r, err := c.addLocked(ctx, key, &w)
	if added && err == nil {
		err = w.checkMin(r, c.awayCauseIf(r, &w))
	}
	tier, result := c.client.countAdd(added, r, err)
	c.tellServed(ctx, stats.OpAdd, tier, result)
	c.client.durations[stats.OpAdd].Observe(time.Since(start))
	return added, r, err
}

func (c *Cache[V]) addLocked(ctx context.Context, key string, w *write) (bool, Receipt, error) {
	if !c.client.writers.Enter() {
		return false, Receipt{}, ErrClosed
	}
	defer c.client.writers.Leave()
	p := &w.patience
	*p = deadline.New(ctx, time.Now(), c.policy.WriteTimeout)
	defer p.Release()
	held, err := c.client.store.Locks.Lock(p, w.Rec.Key)
	if err != nil {
		if ctx.Err() != nil {
			return false, Receipt{}, context.Cause(ctx)
		}
		return false, Receipt{}, fmt.Errorf("%w: another write of the key is under way: %w", ErrUnavailable, err)
	}
	defer c.client.store.Locks.Unlock(held)
	c.inTurn(w)
	switch r, waits := c.client.store.Find(w.Rec.Key); {
	case waits && r.Kind == shard.KindInvalidate:
		return false, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, shard.ErrBehind)
	case waits && r.Kind != shard.KindTouch:
		return c.addBehind(ctx, w, r)
	}
	s := c.keys.Add(p, &w.Outgoing)
	if s.Outcome != shard.NoMaster {
		return c.added(p, w, s)
	}
	if !c.client.store.MemoryIsAll() {
		return false, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, s.Err)
	}
	if it := c.peek(key); it.Fresh(w.Rec.Since) && !it.Absent {
		return false, Receipt{}, nil
	}
	r, err := c.undelivered(ctx, w, s.Err)
	return err == nil, r, err
}

// addBehind decides by the write that waits for the key in the outbox.
func (c *Cache[V]) addBehind(ctx context.Context, w *write, waiting shard.Record) (bool, Receipt, error) {
	if waiting.Kind == shard.KindSet && w.Rec.Since < waiting.Ends {
		return false, Receipt{}, nil
	}
	r, err := c.undelivered(ctx, w, shard.ErrBehind)
	return err == nil, r, err
}

// added concludes an Add by what came of it at the master.
func (c *Cache[V]) added(p *deadline.Budget, w *write, s shard.Sent) (bool, Receipt, error) {
	switch err := s.Err; {
	case s.Outcome == shard.Exists:
		return false, Receipt{Durability: Master}, nil
	case err != nil && p.Ctx.Err() != nil && !s.Unsent:
		return false, Receipt{}, context.Cause(p.Ctx)
	case s.Unsent:
		return false, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, shard.ErrTooLarge): // it was not sent
		return false, Receipt{}, rejection(err)
	case err != nil:
		c.supersede(w, func() { c.drop(c.bare(w.Rec.Key)) })
		return false, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	number, ok := c.landed(w, s)
	if !ok {
		r, err := c.undelivered(p.Ctx, w, shard.ErrChanged)
		return err == nil, r, err
	}
	return true, c.replicated(p, w, s, number), nil
}
