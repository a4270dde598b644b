package evercache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// Set stores a value for the class's TTL or that of the TTL option. While
// Redis is away it is kept here and for the next master (Receipt: Memory), or
// refused, as Policy.OutageWrites says. An error means that the write was not
// acknowledged; it may still take effect.
func (c *Cache[V]) Set(ctx context.Context, key string, v V, options ...WriteOption) (Receipt, error) {
	w, err := c.setOf(key, v, options)
	return c.write(ctx, OpSet, w, err)
}

// Delete removes a key, here at once and in Redis. While Redis is away the
// delete is kept for the next master, and the key stays deleted here.
func (c *Cache[V]) Delete(ctx context.Context, key string, options ...WriteOption) (Receipt, error) {
	w, err := c.newWrite(outbox.Delete, key, options)
	w.apply = func() { c.drop(key) }
	return c.write(ctx, OpDelete, w, err)
}

// Touch lets a key live for a whole TTL from now. It does nothing when less
// than a tenth of the TTL has passed since it was written or touched here.
// ErrNotFound: there is no such key.
func (c *Cache[V]) Touch(ctx context.Context, key string, options ...WriteOption) (Receipt, error) {
	w, err := c.newWrite(outbox.Touch, key, options)
	now := w.rec.Since
	it := c.peek(key)
	if err == nil && it.Fresh(now) && !it.Absent && w.min.Durability == Memory &&
		time.Duration(it.FreshUntil-now) > w.ttl-w.ttl/10 {
		c.client.requests.add(OpTouch, TierL1, ResultOK)
		return Receipt{}, nil
	}
	w.apply = func() { c.touched(key, w) }
	return c.write(ctx, OpTouch, w, err)
}

// touched prolongs what memory holds.
func (c *Cache[V]) touched(key string, w write) {
	if it := c.peek(key); it.Fresh(w.rec.Since) && !it.Absent {
		longer := *it
		live(&longer, c.policy, w.rec.Since, w.ttl)
		c.put(key, &longer)
	}
}

// write is one write of one key, ready to be sent.
type write struct {
	rec   outbox.Record
	ttl   time.Duration
	min   Receipt
	apply func() // changes memory; called under the key's flight lock
}

func (c *Cache[V]) newWrite(kind outbox.Kind, key string, options []WriteOption) (write, error) {
	var o writeOptions
	for _, option := range options {
		if option != nil {
			option(&o)
		}
	}
	now := c.client.clock.precise()
	w := write{ttl: c.policy.TTL, min: o.min, apply: func() {}}
	if o.ttlGiven {
		w.ttl = o.ttl
	}
	w.rec = outbox.Record{Kind: kind, Key: c.full(key), Class: c.prefix, Since: now, Ends: now + int64(w.ttl)}
	if w.ttl < time.Millisecond || w.ttl > MaxTTL {
		return w, fmt.Errorf("%w: %v, want between 1ms and %v", ErrTTL, w.ttl, MaxTTL)
	}
	return w, validKey(key)
}

func (c *Cache[V]) setOf(key string, v V, options []WriteOption) (write, error) {
	w, err := c.newWrite(outbox.Set, key, options)
	if err != nil {
		return w, err
	}
	v = c.own(v) // before it is encoded: the bytes may be the value itself
	data, err := c.codec.Encode(v)
	if err != nil {
		return w, fmt.Errorf("evercache: encode: %w", err)
	}
	w.rec.Value = data
	w.rec.Invalidate = c.policy.Recovery == Invalidate
	it := c.newItem(v, len(data), w.rec.Since, 0, w.ttl)
	w.apply = func() { c.put(key, it) }
	return w, nil
}

// write carries w out and counts it.
func (c *Cache[V]) write(ctx context.Context, op Op, w write, err error) (Receipt, error) {
	if err != nil {
		c.client.requests.add(op, TierNone, ResultRejected)
		return Receipt{}, err
	}
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, c.policy.WriteTimeout)
	r, err := c.writeInLane(bounded, ctx, w)
	cancel()
	if err == nil {
		err = w.checkMin(r, c.client.awayCauseIf(r))
	}
	c.client.countWrite(op, r, err)
	c.client.durations[op].observe(time.Since(start))
	return r, err
}

// writeInLane sends the write when no other write of its key is under way. One
// that cannot get its turn in time goes to the outbox, behind the other. ctx is
// the caller's, bounded is it with the write's own limit.
func (c *Cache[V]) writeInLane(bounded, ctx context.Context, w write) (Receipt, error) {
	if !c.client.writers.enter() {
		return Receipt{}, ErrClosed
	}
	defer c.client.writers.leave()
	if err := ctx.Err(); err != nil {
		return Receipt{}, context.Cause(ctx)
	}
	if err := c.client.lanes.lock(bounded, w.rec.Key); err != nil {
		return c.undelivered(ctx, w, err)
	}
	defer c.client.lanes.unlock(w.rec.Key)
	node := c.client.awaitMaster(bounded, nil)
	if node == nil {
		return c.undelivered(ctx, w, c.client.awayCause())
	}
	if c.behind(w) {
		return c.undelivered(ctx, w, errBehind)
	}
	return c.deliver(bounded, ctx, node, w)
}

var errBehind = errors.New("an earlier write of its key or prefix is still to be sent")

// behind reports whether w must land after what waits in the outbox: after the
// delete of its prefix, and, for a Touch, after the write of its key.
func (c *Cache[V]) behind(w write) bool {
	if c.client.coveredByPrefix(w.rec.Key) {
		return true
	}
	return w.rec.Kind == outbox.Touch && c.client.waits(w.rec.Key)
}

// deliver sends the write to the master, and to the next one if there is one in
// time: repeating it is safe. The caller holds the key's lane.
func (c *Cache[V]) deliver(bounded, ctx context.Context, node *remote.Node, w write) (Receipt, error) {
	for {
		found, err := send(bounded, node, w, c.policy.WriteTimeout)
		if k := remote.KindOf(err); !k.Outage() || k.Refused() || bounded.Err() != nil {
			return c.delivered(ctx, w, found, err)
		}
		c.client.blackouts.sign()
		if node = c.client.awaitMaster(bounded, node); node == nil {
			return c.delivered(ctx, w, found, err)
		}
	}
}

// delivered concludes a write by the master's answer; the caller holds the lane.
func (c *Cache[V]) delivered(ctx context.Context, w write, found bool, err error) (Receipt, error) {
	switch k := remote.KindOf(err); {
	case err == nil && !found:
		c.landed(w, func() { c.drop(c.bare(w)) })
		return Receipt{}, ErrNotFound
	case err == nil:
		c.landed(w, w.apply)
		return Receipt{Durability: Master}, nil
	case k == remote.Logical:
		c.supersede(w, func() { c.drop(c.bare(w)) })
		return Receipt{}, fmt.Errorf("evercache: %w", err)
	}
	return c.undelivered(ctx, w, err)
}

// landed notes that the master has taken w. A newer write of the key, which got
// no turn in its lane, stays: in the outbox and in memory.
func (c *Cache[V]) landed(w write, put func()) {
	c.supersede(w, func() {
		if !c.client.outbox.Empty() {
			c.client.outbox.Taken(w.rec)
			if r, waits := c.client.outbox.Find(w.rec.Key); waits && r.Kind != outbox.Touch {
				return
			}
		}
		put()
	})
}

// send returns found = false only for a Touch of a missing key.
func send(ctx context.Context, node *remote.Node, w write, limit time.Duration) (found bool, err error) {
	switch w.rec.Kind {
	case outbox.Delete:
		_, err = node.Delete(ctx, w.rec.Key, limit)
		return true, err
	case outbox.Touch:
		found, err = node.Expire(ctx, w.rec.Key, w.ttl, limit)
		return found || err != nil, err
	}
	return true, node.Set(ctx, remote.Pair{Key: w.rec.Key, Data: w.rec.Value, TTL: w.ttl}, limit)
}

func (c *Cache[V]) bare(w write) string { return w.rec.Key[len(c.prefix):] }

func (c *Cache[V]) supersede(w write, put func()) { c.flights.supersede(c.bare(w), put) }

// undelivered is a write that the master has not taken, or may not have: it is
// treated as not sent. It is kept, or refused, as the policy says.
func (c *Cache[V]) undelivered(ctx context.Context, w write, cause error) (Receipt, error) {
	memoryIsAll := c.client.memoryIsAll()
	if w.rec.Kind == outbox.Touch {
		if err := c.touchable(w, cause); err != nil {
			return Receipt{}, err
		}
	}
	if c.policy.OutageWrites == RefuseWrites && !memoryIsAll {
		c.supersede(w, func() { c.drop(c.bare(w)) })
		return Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, cause)
	}
	if err := c.keep(w); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w: %w", ErrUnavailable, err, cause)
	}
	if !c.client.opts.MemoryOnly {
		c.client.keptWrite(cause)
	}
	if ctx.Err() != nil { // not acknowledged, but in force and on its way
		return Receipt{}, context.Cause(ctx)
	}
	return Receipt{Durability: Memory}, nil
}

// keep puts w into the outbox and into memory in one step: of two writes that
// are kept at the same time, both hold the same one in the end.
func (c *Cache[V]) keep(w write) (err error) {
	c.supersede(w, func() {
		if !c.client.opts.MemoryOnly {
			err = c.client.outbox.Put(w.rec)
		}
		if err != nil {
			c.drop(c.bare(w))
			return
		}
		w.apply()
	})
	return err
}

// touchable is nil when, without a master, somebody knows that the key is there.
func (c *Cache[V]) touchable(w write, cause error) error {
	if it := c.peek(c.bare(w)); it.Fresh(w.rec.Since) && !it.Absent {
		return nil
	}
	r, waits := c.client.outbox.Find(w.rec.Key)
	switch {
	case waits && r.Kind == outbox.Set && w.rec.Since < r.Ends:
		return nil
	case waits && r.Kind != outbox.Touch, c.client.memoryIsAll():
		return ErrNotFound
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// checkMin is nil when r is at least what the caller asked.
func (w write) checkMin(r Receipt, cause error) error {
	if r.Durability > w.min.Durability || r.Durability == w.min.Durability && r.Replicas >= w.min.Replicas {
		return nil
	}
	return &DurabilityError{
		Asked: w.min.Durability, AskedReplicas: w.min.Replicas,
		Got: r.Durability, GotReplicas: r.Replicas, Cause: cause,
	}
}

// Add stores a value only if the key has none, and reports whether it did.
// Without a master nobody can know: ErrUnavailable, and nothing is changed.
// After an error that is not IsUnavailable's "nobody knows" the value may or
// may not be there.
func (c *Cache[V]) Add(ctx context.Context, key string, v V, options ...WriteOption) (bool, Receipt, error) {
	w, err := c.setOf(key, v, options)
	if err != nil {
		c.client.requests.add(OpAdd, TierNone, ResultRejected)
		return false, Receipt{}, err
	}
	start := time.Now()
	added, r, err := c.addInLane(ctx, key, w)
	if added && err == nil {
		err = w.checkMin(r, c.client.awayCauseIf(r))
	}
	c.client.countAdd(added, r, err)
	c.client.durations[OpAdd].observe(time.Since(start))
	return added, r, err
}

func (c *Cache[V]) addInLane(ctx context.Context, key string, w write) (bool, Receipt, error) {
	if !c.client.writers.enter() {
		return false, Receipt{}, ErrClosed
	}
	defer c.client.writers.leave()
	bounded, cancel := context.WithTimeout(ctx, c.policy.WriteTimeout)
	defer cancel()
	if err := c.client.lanes.lock(bounded, w.rec.Key); err != nil {
		if ctx.Err() != nil {
			return false, Receipt{}, context.Cause(ctx)
		}
		return false, Receipt{}, fmt.Errorf("%w: another write of the key is under way: %w", ErrUnavailable, err)
	}
	defer c.client.lanes.unlock(w.rec.Key)
	if r, waits := c.client.outbox.Find(w.rec.Key); waits && r.Kind != outbox.Touch {
		return c.addBehind(ctx, w, r)
	}
	node := c.client.awaitMaster(bounded, nil)
	switch {
	case node != nil:
		return c.addAtMaster(ctx, node, w)
	case !c.client.memoryIsAll():
		return false, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, c.client.awayCause())
	}
	if it := c.peek(key); it.Fresh(w.rec.Since) && !it.Absent {
		return false, Receipt{}, nil
	}
	r, err := c.undelivered(ctx, w, c.client.awayCause())
	return err == nil, r, err
}

// addBehind decides by the write that waits for the key in the outbox.
func (c *Cache[V]) addBehind(ctx context.Context, w write, waiting outbox.Record) (bool, Receipt, error) {
	if waiting.Kind == outbox.Set && w.rec.Since < waiting.Ends {
		return false, Receipt{}, nil
	}
	r, err := c.undelivered(ctx, w, errBehind)
	return err == nil, r, err
}

func (c *Cache[V]) addAtMaster(ctx context.Context, node *remote.Node, w write) (bool, Receipt, error) {
	p := remote.Pair{Key: w.rec.Key, Data: w.rec.Value, TTL: w.ttl}
	stored, err := node.SetAbsent(ctx, p, c.policy.WriteTimeout)
	switch {
	case err != nil && ctx.Err() != nil:
		return false, Receipt{}, context.Cause(ctx)
	case err != nil:
		c.supersede(w, func() { c.drop(c.bare(w)) })
		return false, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case stored:
		c.landed(w, w.apply)
	}
	return stored, Receipt{Durability: Master}, nil
}
