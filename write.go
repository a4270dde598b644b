package evercache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/stats"
)

// Set stores a value for the class's TTL or that of the TTL option. While
// Redis is away it is kept here and for the next master (Receipt: Memory), or
// refused, as Policy.OutageWrites says. An error means that the write was not
// acknowledged; it may still take effect.
func (c *Cache[V]) Set(ctx context.Context, key string, v V, options ...WriteOption) (Receipt, error) {
	var w write
	err := c.setOf(ctx, &w, key, v, options)
	return c.write(ctx, stats.OpSet, &w, err)
}

// Delete removes a key, here at once and in Redis. While Redis is away the
// delete is kept for the next master, and the key stays deleted here.
func (c *Cache[V]) Delete(ctx context.Context, key string, options ...WriteOption) (Receipt, error) {
	var w write
	err := c.begin(&w, shard.KindDelete, key, options)
	return c.write(ctx, stats.OpDelete, &w, err)
}

// Touch lets a key end a whole TTL from now: later than it would have, or sooner
// where TTL asks for less than it has left. It does nothing when the key has
// between nine tenths of that and all of it left, as far as is known here. While
// Redis is away it is in force here and kept for the next master, as
// Policy.OutageWrites says. One that is sent later, or again, moves no end that
// somebody may have given the key since: then the key ends in Redis when it would
// have. ErrNotFound: there is no such key. ErrUnavailable: without Redis nobody
// here knows whether there is.
func (c *Cache[V]) Touch(ctx context.Context, key string, options ...WriteOption) (Receipt, error) {
	var w write
	err := c.begin(&w, shard.KindTouch, key, options)
	now := w.Rec.Since
	it := c.peek(key)
	if err == nil && it.Fresh(now) && !it.Absent && w.min.Durability == Memory && nearly(time.Duration(it.FreshUntil-now), w.TTL) {
		c.client.requests.add(stats.OpTouch, stats.TierL1, stats.ResultOK)
		return Receipt{}, nil
	}
	if err == nil {
		c.mixed.Store(true)
	}
	return c.write(ctx, stats.OpTouch, &w, err)
}

// nearly reports whether what is left is as good as a whole ttl.
func nearly(left, ttl time.Duration) bool { return left > ttl-ttl/10 && left <= ttl }

// touched gives what memory holds its new end.
func (c *Cache[V]) touched(key string, w *write) {
	if it := c.peek(key); it.Fresh(w.Rec.Since) && !it.Absent {
		touched := it.Copy()
		c.live(touched, w.Rec.Since, w.TTL)
		touched.AskAfter, touched.TrustUntil = 0, 0 // ours hides from the feed what another process wrote just before
		c.put(key, touched)
	}
}

// shortens reports whether w is a Touch that lets what memory holds end sooner.
func (c *Cache[V]) shortens(w *write) bool {
	it := c.peek(c.bare(w.Rec.Key))
	return it != nil && it.FreshUntil > w.Rec.Ends
}

// write is one write of one key, from the call to its receipt. It is large and
// lies on its caller's stack: nothing that is called keeps a pointer to it.
type write struct {
	shard.Outgoing
	patience deadline.Budget
	start    time.Time
	min      Receipt
	item     *local.Item // of a Set: what memory will hold
	turn     bool        // it has its place: see inTurn
}

func (c *Cache[V]) begin(w *write, kind shard.Kind, key string, options []WriteOption) error {
	var o writeOptions
	if len(options) > 0 { // it costs an allocation
		o = optionsOf(options)
	}
	start := time.Now()
	now := c.client.store.Clock.At(start)
	w.start, w.TTL, w.min = start, c.policy.TTL, o.min
	if o.ttlGiven {
		w.TTL = o.ttl
	}
	w.Rec = shard.Record{Kind: kind, Key: c.full(key), Class: c.prefix, Since: now, Ends: now + int64(w.TTL), TTL: w.TTL}
	w.Rec.Mixed = c.mixes(w.TTL)
	if w.TTL < time.Millisecond || w.TTL > MaxTTL {
		return fmt.Errorf("%w: %v, want between 1ms and %v", ErrTTL, w.TTL, MaxTTL)
	}
	if err := w.min.possible(); err != nil {
		return err
	}
	return validKey(key)
}

func optionsOf(options []WriteOption) (o writeOptions) {
	for _, option := range options {
		if option != nil {
			option(&o)
		}
	}
	return o
}

func (c *Cache[V]) setOf(ctx context.Context, w *write, key string, v V, options []WriteOption) error {
	if err := c.begin(w, shard.KindSet, key, options); err != nil {
		return err
	}
	v = c.own(v) // before it is encoded: the bytes may be the value itself
	data, err := c.codec.Encode(v)
	if err != nil {
		c.unencodable(ctx)
		return fmt.Errorf("evercache: encode: %w", err)
	}
	if err := c.client.fits(data); err != nil {
		return err
	}
	w.Rec.Value = data
	w.Rec.Invalidate = c.policy.Recovery == Invalidate
	w.item = c.newItem(v, w.Rec.Since, 0, w.TTL)
	return nil
}

// fits is nil unless an encoded value is too long.
func (c *Client) fits(data []byte) error {
	if n := int64(len(data)); n > c.opts.MaxValueBytes {
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed (Options.MaxValueBytes)", ErrValue, n, c.opts.MaxValueBytes)
	}
	return nil
}

// awayCauseIf is the cause of a receipt below Master, if there is one.
func (c *Cache[V]) awayCauseIf(r Receipt, w *write) error {
	if r.Durability >= Master {
		return nil
	}
	return c.keys.Cause(c.bare(w.Rec.Key))
}

// write carries w out and counts it.
func (c *Cache[V]) write(ctx context.Context, op stats.Op, w *write, err error) (Receipt, error) {
	if err != nil {
		c.client.requests.add(op, stats.TierNone, stats.ResultRejected)
		return Receipt{}, err
	}
	p := &w.patience
	*p = deadline.New(ctx, w.start, c.policy.WriteTimeout)
	r, err := c.writeLocked(p, w)
	p.Release()
	if err == nil {
		err = w.checkMin(r, c.awayCauseIf(r, w))
	}
	tier, result := c.client.countWrite(op, r, err)
	c.tellServed(ctx, op, tier, result)
	c.client.durations[op].Observe(time.Since(w.start))
	return r, err
}

// writeLocked sends the write when no other write of its key is under way. One
// that cannot get its turn in time goes to the outbox, behind the other.
func (c *Cache[V]) writeLocked(p *deadline.Budget, w *write) (Receipt, error) {
	if !c.client.writers.Enter() {
		return Receipt{}, ErrClosed
	}
	defer c.client.writers.Leave()
	if p.Ctx.Err() != nil {
		return Receipt{}, context.Cause(p.Ctx)
	}
	held, err := c.client.store.Locks.Lock(p, w.Rec.Key)
	if err != nil {
		return c.undelivered(p.Ctx, w, err)
	}
	defer c.client.store.Locks.Unlock(held)
	c.inTurn(w)
	return c.delivered(p, w, c.keys.Write(p, &w.Outgoing))
}

// inTurn gives w its place among the writes of its key: see shard.InTurn.
func (c *Cache[V]) inTurn(w *write) {
	now := c.client.store.InTurn(&w.Outgoing)
	w.turn = true
	if w.item != nil {
		w.item.Written = now
		c.live(w.item, now, w.TTL)
	}
}

func (c *Cache[V]) bare(full string) string { return full[len(c.prefix):] }

// applied changes memory; the caller holds the key's flight lock.
func (c *Cache[V]) applied(w *write) {
	switch key := c.bare(w.Rec.Key); w.Rec.Kind {
	case shard.KindTouch:
		c.touched(key, w)
	case shard.KindDelete:
		c.drop(key)
	default:
		c.put(key, w.item)
	}
}

func (c *Cache[V]) supersede(w *write, put func()) {
	key := c.bare(w.Rec.Key)
	if w.Rec.Kind != shard.KindTouch { // which tells nothing of the origin
		c.guard.pauses.Forget(key)
	}
	c.flights.Supersede(key, put)
}

// undelivered is a write that the master has not taken, or may not have: it is
// treated as not sent. It is kept, or refused, as the policy says.
func (c *Cache[V]) undelivered(ctx context.Context, w *write, cause error) (Receipt, error) {
	memoryIsAll := c.client.store.MemoryIsAll()
	if w.Rec.Kind == shard.KindTouch {
		if err := c.touchable(w, cause); err != nil {
			return Receipt{}, err
		}
	}
	if c.policy.OutageWrites == RefuseWrites && !memoryIsAll {
		c.supersede(w, func() { c.drop(c.bare(w.Rec.Key)) })
		return Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, cause)
	}
	commit, err := c.keep(w)
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: %w: %w", ErrUnavailable, err, cause)
	}
	c.client.store.KeptWrite(w.Rec.Key, cause)
	if ctx.Err() != nil { // not acknowledged, but in force and on its way
		return Receipt{}, context.Cause(ctx)
	}
	return kept(ctx, commit, c.policy.WriteTimeout)
}

// recall notes what memory holds of a key that is being written: if that is still
// there after an outage, it is known to be older, whatever the servers' clocks and
// the lives of the class say.
func (c *Cache[V]) recall(r *shard.Record) {
	if it := c.peek(c.bare(r.Key)); it != nil && !it.Absent {
		r.Prev = shard.End(it.End)
	}
}

// keep puts w into the outbox and into memory in one step: of two writes that
// are kept at the same time, both hold the same one in the end.
func (c *Cache[V]) keep(w *write) (p shard.Pending, err error) {
	c.supersede(w, func() {
		if !w.turn {
			c.inTurn(w)
		}
		c.recall(&w.Rec)
		var overtaken bool
		p, overtaken, err = c.client.store.Keep(w.Rec)
		switch {
		case err != nil:
			c.drop(c.bare(w.Rec.Key))
		case !overtaken || c.outlives(w):
			c.applied(w)
		}
	})
	return p, err
}

// outlives reports whether memory has an older value than a write that something newer in
// the outbox stands for: the delete of the class, that is, which was put there for want of
// room. A newer write of the key, or a delete of its prefix, has changed memory too.
func (c *Cache[V]) outlives(w *write) bool {
	it := c.peek(c.bare(w.Rec.Key))
	return it != nil && it.Written < w.Rec.Since && w.Rec.Kind != shard.KindTouch
}

// touchable is nil when, without a master, somebody knows that the key is there.
func (c *Cache[V]) touchable(w *write, cause error) error {
	if it := c.peek(c.bare(w.Rec.Key)); it.Fresh(w.Rec.Since) && !it.Absent {
		return nil
	}
	r, waits := c.client.store.Find(w.Rec.Key)
	switch {
	case waits && r.Kind == shard.KindSet && w.Rec.Since < r.Ends:
		return nil
	case waits && r.Kind == shard.KindDelete, waits && r.Kind == shard.KindSet, c.client.store.MemoryIsAll():
		return ErrNotFound
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// checkMin is nil when r is at least what the caller asked.
func (w *write) checkMin(r Receipt, cause error) error {
	if r.Durability > w.min.Durability || r.Durability == w.min.Durability && r.Replicas >= w.min.Replicas {
		return nil
	}
	return &DurabilityError{
		Asked: w.min.Durability, AskedReplicas: w.min.Replicas,
		Got: r.Durability, GotReplicas: r.Replicas, Cause: cause,
	}
}

// mixes reports whether the class was written with several lives here.
func (c *Cache[V]) mixes(ttl time.Duration) bool {
	if ttl != c.policy.TTL {
		c.mixed.Store(true)
	}
	return c.mixed.Load()
}

// delivered concludes a write by what came of it; the caller holds the lock.
func (c *Cache[V]) delivered(p *deadline.Budget, w *write, s shard.Sent) (Receipt, error) {
	switch s.Outcome {
	case shard.Missing:
		c.missing(w)
		return Receipt{}, ErrNotFound
	case shard.Rejected:
		c.supersede(w, func() { c.drop(c.bare(w.Rec.Key)) })
		return Receipt{}, rejection(s.Err)
	case shard.Taken:
		number, ok := c.landed(w, s)
		if !ok {
			return c.undelivered(p.Ctx, w, shard.ErrChanged)
		}
		return c.replicated(p, w, s, number), nil
	}
	return c.undelivered(p.Ctx, w, s.Err)
}

// rejection is the error of a write that no server like this will ever take.
func rejection(err error) error {
	if errors.Is(err, shard.ErrTooLarge) {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	return fmt.Errorf("evercache: %w", err)
}

// landed notes that the master has taken w, there and in memory. A newer write of the
// key, which got no turn in its lock, stays. It returns the number of the barrier that
// will cover w; ok is false when the master was given up meanwhile: the next one may
// not have w.
func (c *Cache[V]) landed(w *write, s shard.Sent) (number uint64, ok bool) {
	c.supersede(w, func() {
		c.recall(&w.Rec)
		var newest bool
		if number, newest, ok = c.client.store.Landed(w.Rec, s); newest || ok && c.outlives(w) {
			c.remembered(w, s.Mark)
		}
	})
	return number, ok
}

// remembered changes memory. When somebody else's write was announced since w
// was sent, it may have come after w: then Redis is asked again.
func (c *Cache[V]) remembered(w *write, m shard.Mark) {
	undisturbed := c.client.store.Undisturbed(m)
	if w.item != nil {
		w.item.End = local.End(w.Rec.Sent)
	}
	switch {
	case w.item != nil && undisturbed && !w.InTime:
		w.item.Cover = m.Cover()
	case w.item != nil:
		w.item.AskAfter, w.item.TrustUntil = 0, 0
	case w.Rec.Kind == shard.KindTouch && !undisturbed && !w.InTime && !c.shortens(w):
		return
	}
	c.applied(w)
}

// missing concludes a Touch of a key that Redis does not have.
func (c *Cache[V]) missing(w *write) {
	c.supersede(w, func() {
		if c.client.store.LandedMissing(w.Rec) {
			c.drop(c.bare(w.Rec.Key))
		}
	})
}

// replicated is the receipt of a write that the master has taken. Where more is
// asked it waits for the barrier that covers the write.
func (c *Cache[V]) replicated(p *deadline.Budget, w *write, s shard.Sent, number uint64) Receipt {
	r := Receipt{Durability: Master}
	if w.min.Durability < Replicated {
		return r
	}
	if n := c.client.store.Await(p.Bounded(), s, number, max(1, w.min.Replicas)); n > 0 {
		r = Receipt{Durability: Replicated, Replicas: n}
	}
	return r
}
