package evercache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/stats"
)

// Get reads a key through: memory, else Redis, else load (one run for each key
// however many callers). While Redis is away it is answered as
// Policy.OutageReads says. The error is ErrNotFound, ErrUnavailable, ErrOriginPaused, the
// loader's own, or that of ctx; it is never just that Redis failed. A ctx whose deadline
// passes gets a value that memory has; one that is cancelled gets its error.
func (c *Cache[V]) Get(ctx context.Context, key string, load Loader[V]) (V, error) {
	it, now := c.hit(key)
	if it != nil {
		c.client.requests.add(stats.OpGet, stats.TierL1, stats.ResultHit)
		if it.Due(now) && load != nil {
			c.refresh(ctx, key, it, load)
		}
		return c.served(it)
	}
	e, err := c.read(ctx, stats.OpGet, key, load, now)
	return e.Value, err
}

// GetEntry is Get with what is known about the value.
func (c *Cache[V]) GetEntry(ctx context.Context, key string, load Loader[V]) (Entry[V], error) {
	return c.getEntry(ctx, stats.OpGet, key, load)
}

// Lookup reads a key without a loader. ErrNotFound: Redis, or a good entry,
// said that there is none; ErrUnavailable: nobody can know.
func (c *Cache[V]) Lookup(ctx context.Context, key string) (Entry[V], error) {
	return c.getEntry(ctx, stats.OpLookup, key, nil)
}

func (c *Cache[V]) getEntry(ctx context.Context, op stats.Op, key string, load Loader[V]) (Entry[V], error) {
	it, now := c.hit(key)
	if it != nil {
		c.client.requests.add(op, stats.TierL1, stats.ResultHit)
		if it.Absent {
			return Entry[V]{}, ErrNotFound
		}
		if it.Due(now) && load != nil {
			c.refresh(ctx, key, it, load)
		}
		return c.entry(it, SourceMemory, now, c.keys.Cause(key)), nil
	}
	return c.read(ctx, op, key, load, now)
}

// hit returns the item that may be served without asking anybody: one that the
// feed covers, one within L1TTL, or, while Redis is away, within its TTL; nil: none
// may. now is the time for which that was found. It is the real one, read after the
// call has come: the first calls of a process that was stopped come before anything
// else in it has noticed.
func (c *Cache[V]) hit(key string) (it *local.Item, now int64) {
	now = c.client.store.Clock.Now()
	return c.hitAt(key, now), now
}

func (c *Cache[V]) hitAt(key string, now int64) *local.Item {
	if c.policy.L1TTL == 0 && c.policy.NegativeTTL == 0 && c.keys.Connected(key) {
		return nil // Redis is asked every time; memory is there for the outage
	}
	it := c.l1.Hit(local.Key{Class: c.id, Key: key}, now)
	if it == nil {
		return nil
	}
	if now < it.TrustUntil && (c.alone || it.Cover.Covers(now)) {
		return it
	}
	return c.uncovered(key, it, now)
}

// uncovered is hit for an item that is not covered. One whose cover is over may have
// been changed meanwhile.
func (c *Cache[V]) uncovered(key string, it *local.Item, now int64) *local.Item {
	away := !c.keys.Connected(key)
	switch {
	case away && c.policy.OutageReads == RefuseReads && !c.client.store.MemoryIsAll():
		return nil
	case away && now < it.FreshUntil:
		return it
	case now < it.AskAfter && !it.Cover.Over():
		return it
	}
	return nil
}

func (c *Cache[V]) served(it *local.Item) (V, error) {
	if it.Absent {
		var none V
		return none, ErrNotFound
	}
	return c.own(valueOf[V](it)), nil
}

// read is a read that memory alone could not answer, and that began at now.
func (c *Cache[V]) read(ctx context.Context, op stats.Op, key string, load Loader[V], now int64) (Entry[V], error) {
	e, err := c.readShared(ctx, key, load, now)
	tier, result := c.client.countRead(op, e.Source, e.Fresh, err)
	c.tellServed(ctx, op, tier, result)
	c.client.durations[op].Observe(time.Duration(c.client.store.Clock.Now() - now))
	return e, err
}

// readShared joins the key's flight or leads it. now is when the call began.
func (c *Cache[V]) readShared(ctx context.Context, key string, load Loader[V], now int64) (Entry[V], error) {
	if err := validKey(key); err != nil {
		return Entry[V]{}, err
	}
	for waited := false; ; waited, now = true, c.client.store.Clock.Now() {
		switch {
		case ctx.Err() != nil && waited:
			return c.inTime(ctx, key, context.Cause(ctx))
		case ctx.Err() != nil:
			return Entry[V]{}, context.Cause(ctx)
		case c.client.store.Closed():
			return Entry[V]{}, ErrClosed
		}
		f, leader := c.flights.Join(key, kindOf(load != nil))
		if leader {
			c.fly(ctx, f, load, now)
		} else if load != nil {
			c.client.loads.coalesced.Add(1)
		}
		if err := c.await(ctx, f); err != nil {
			return c.inTime(ctx, key, err)
		}
		if !f.Abandoned() {
			return c.shared(f, leader)
		}
	}
}

func kindOf(loads bool) flight.Kind {
	if loads {
		return flight.Loads
	}
	return flight.Reads
}

// flights are the reads and loads of a class that are under way.
type flights[V any] = flight.Group[Entry[V], asked]

type keyFlight[V any] = flight.Flight[Entry[V], asked]

// asked is what is noted of a flight's question to Redis.
type asked struct {
	full   string      // the key as it is in Redis
	at     int64       // when Redis was asked
	mark   shard.Mark  // where the feed stood then
	missed shard.Asked // when Redis said that it has no value
	kept   bool        // of a refresh: memory has its result
}

// await waits for the flight, unless that waits for the load of ctx.
func (c *Cache[V]) await(ctx context.Context, f *keyFlight[V]) error {
	done, ok := c.client.waits.Await(ctx, &f.Task)
	if !ok {
		return ErrLoadCycle
	}
	defer done()
	return f.Wait(ctx)
}

// shared is the flight's result for one of its callers: each has its own copy.
func (c *Cache[V]) shared(f *keyFlight[V], leader bool) (Entry[V], error) {
	e, err := f.Result()
	if !leader && err == nil {
		e.Value = c.own(e.Value)
	}
	return e, err
}

// fly asks Redis under the leader's context, and starts the load if it comes
// to that. The flight is settled when it returns, or by the load. now is shortly before.
func (c *Cache[V]) fly(ctx context.Context, f *keyFlight[V], load Loader[V], now int64) {
	crashed := true
	defer func() {
		if crashed { // the leader's codec or clone panicked: those who wait try for themselves
			f.Abandon()
		}
	}()
	full := c.full(f.Key())
	f.Data.full, f.Data.at, f.Data.mark = full, now, c.keys.Mark(full)
	c.conclude(ctx, f, loading[V]{load: load}, c.consult(ctx, f.Key(), full, f.Data.mark))
	crashed = false
}

// answer is what Redis (or the outbox) said of a key: an item, or nil and why.
type answer[V any] struct {
	it     *local.Item
	source Source      // of it: memory is the outbox
	junk   string      // the sum of what is there and does not decode
	missed shard.Asked // when the master was asked
	apart  bool        // its slot moves, and not the master has answered
	lost   bool        // Redis has no value, since it has lost data
	err    error
	sent   int64 // of a replica: when it was sure to have everything
	kept   bool  // memory has it as it is
	again  bool  // what a replica has is no value: the master is to be asked
	away   error // there is no master: the key waits in the outbox to be deleted
}

// conclude settles the flight by what Redis said, or starts a load that will.
func (c *Cache[V]) conclude(ctx context.Context, f *keyFlight[V], l loading[V], a answer[V]) {
	key, now := f.Key(), c.client.store.Clock.Now()
	if a.source == SourceReplica && time.Duration(now-a.sent) > c.policy.MaxStaleness { // this process was stopped
		a = c.consultMaster(ctx, key, f.Data.mark)
	}
	switch {
	case a.it != nil:
		if !a.kept {
			f.Keep(func() { c.put(key, a.it) })
		}
		e := c.entry(a.it, a.source, now, nil)
		if a.source == SourceReplica {
			e.Behind = time.Duration(now - a.sent)
		}
		// Else this process was stopped with the answer in its socket, or another master
		// has been reached meanwhile, whose proofs say nothing of the one that answered.
		e.Coherent = e.Coherent && now-f.Data.at <= shard.LeaseTerm && !f.Data.mark.Over() && !a.apart && (a.source != SourceRedis || f.Data.mark.Alone(now))
		f.Settle(e, nil)
	case a.away != nil:
		c.deleted(ctx, f, l, a.away)
	case a.err == nil:
		f.Data.missed = a.missed
		c.absent(ctx, f, l, a)
	case ctx.Err() != nil && shard.Canceled(a.err):
		f.Abandon() // the leader left; another caller leads
	default:
		c.away(ctx, f, l, a.err)
	}
}

// consult asks who knows better than memory: a write that waits in the outbox,
// else the master. A nil item without an error: the key is not there.
func (c *Cache[V]) consult(ctx context.Context, key, full string, m shard.Mark) answer[V] {
	if it, h, ok := c.held(key, m); ok {
		return c.consultHeld(ctx, key, full, m, it, &h)
	}
	a := c.heeded(ctx, key, m, c.keys.Read(ctx, full, nil, c.policy.ReadTimeout))
	if a.again {
		a = c.consultMaster(ctx, key, m)
	}
	return a
}

// consultMaster is consult without replicas.
func (c *Cache[V]) consultMaster(ctx context.Context, key string, m shard.Mark) answer[V] {
	return c.heeded(ctx, key, m, c.keys.ReadMaster(ctx, c.full(key), c.policy.ReadTimeout))
}

// heeded is what an answer means, once it is known whether a value that is not there was
// deleted.
func (c *Cache[V]) heeded(ctx context.Context, key string, m shard.Mark, a shard.Answer) answer[V] {
	if a.Missing() && c.keys.Bereft(key) {
		as := []shard.Answer{a}
		c.askDeleted(ctx, func(int) string { return key }, as)
		a = as[0]
	}
	return c.understood(ctx, a, m)
}

// understood is what an answer means for the class. m is of before it was asked.
func (c *Cache[V]) understood(ctx context.Context, a shard.Answer, m shard.Mark) answer[V] {
	switch {
	case a.Away && c.policy.OutageReads == RefuseReads:
		return answer[V]{err: c.client.store.AwayCause()}
	case a.Waits:
		return c.fromOutbox(ctx, a)
	case a.Err != nil:
		return answer[V]{err: a.Err}
	case a.TooLong:
		c.client.decodeFailures.Add(1)
		return answer[V]{junk: a.Useless, missed: a.Asked}
	case a.Useless != "":
		c.undecodable(ctx)
		return answer[V]{junk: a.Useless, missed: a.Asked}
	case !a.Found:
		return answer[V]{missed: a.Asked, lost: a.Lost}
	}
	return c.fromRedis(ctx, a, m)
}

func (c *Cache[V]) fromRedis(ctx context.Context, a shard.Answer, m shard.Mark) answer[V] {
	value, err := decode(c.codec, a.Data)
	switch {
	case err != nil && a.Replica:
		return answer[V]{again: true}
	case err != nil:
		c.undecodable(ctx)
		return answer[V]{junk: shard.Sum(a.Data), missed: a.Asked}
	case a.Replica:
		return c.fromReplica(value, a, m)
	}
	asked := c.client.store.Clock.At(a.Asked.At) // not when it was answered: this process may have been stopped since
	ttl, age := a.Left, time.Duration(0)
	if ttl < 0 {
		ttl = c.policy.TTL
	} else {
		age = max(0, c.policy.TTL-ttl)
	}
	it := c.newItem(value, asked, age, ttl)
	c.dueOfRedis(it, asked, ttl)
	if !a.Apart {
		it.Cover, it.End = m.Cover(), local.End(a.End)
	}
	return answer[V]{it: it, source: SourceRedis, apart: a.Apart}
}

// fromReplica is the answer of a replica. Where nothing covers it, it is as old as the
// replica was sure to be.
func (c *Cache[V]) fromReplica(value V, a shard.Answer, m shard.Mark) answer[V] {
	now, ttl, age := c.client.store.Clock.Now(), a.Left, time.Duration(0)
	if ttl < 0 {
		ttl = c.policy.TTL
	} else {
		age = max(0, c.policy.TTL-ttl)
	}
	it := c.newItem(value, now, age, ttl)
	c.dueOfRedis(it, now, ttl)
	it.AskAfter = min(it.AskAfter, a.Sent+int64(c.policy.L1TTL))
	it.Cover, it.End = m.Cover(), local.End(a.End)
	if a.Away {
		it = distrusted(it)
	}
	return answer[V]{it: it, source: SourceReplica, sent: a.Sent}
}

// fromOutbox is the answer of a write that waits. Where it has no value, and is no
// delete, only Redis could know more.
func (c *Cache[V]) fromOutbox(ctx context.Context, a shard.Answer) answer[V] {
	it, junk := c.waitingItem(ctx, a)
	out := answer[V]{it: it, source: SourceMemory, junk: junk, missed: a.Asked}
	switch {
	case it != nil || !a.Away:
	case a.Deleted:
		out.away = c.client.store.AwayCause()
	default:
		return answer[V]{err: c.client.store.AwayCause()}
	}
	return out
}

// waitingItem is the value of a write that waits. Memory may hold it for an outage; but
// when it has been sent, something newer may be in Redis, which was announced before.
func (c *Cache[V]) waitingItem(ctx context.Context, a shard.Answer) (it *local.Item, junk string) {
	if !a.Found {
		return nil, ""
	}
	value, err := decode(c.codec, a.Data)
	if err != nil {
		c.undecodable(ctx)
		return nil, shard.Sum(a.Data)
	}
	now := c.client.store.Clock.Now()
	return distrusted(c.newItem(value, now, time.Duration(now-a.Since), time.Duration(a.Ends-now))), ""
}

// expiryTolerance: an entry that Redis no longer has so shortly before its end
// here has expired there.
const expiryTolerance = 500 * time.Millisecond

// absent concludes a flight whose key is not in Redis.
func (c *Cache[V]) absent(ctx context.Context, f *keyFlight[V], l loading[V], a answer[V]) {
	key, now := f.Key(), c.client.store.Clock.Now()
	it := c.peek(key)
	_, moving, _ := c.keys.Settling(key, now)
	switch {
	case !lives(it, now) || !c.keys.Connected(key):
	case a.lost && !it.Absent:
		it = replaced(it, now)
		f.Keep(func() { c.put(key, it) })
	case moving && !it.Absent:
		it = movedAway(it)
		f.Keep(func() { c.put(key, it) })
	default:
		f.Keep(func() { c.drop(key) }) // somebody deleted it
		it = nil
	}
	if l.load == nil {
		f.Settle(Entry[V]{}, ErrNotFound)
		return
	}
	c.startLoad(ctx, f, l, loadPlan[V]{fallback: it, replaces: a.junk})
}

// deleted concludes a flight of a key that was deleted here while Redis is away. What
// its loads ask of the origin is bounded as that of others in an outage.
func (c *Cache[V]) deleted(ctx context.Context, f *keyFlight[V], l loading[V], cause error) {
	if l.load == nil {
		f.Settle(Entry[V]{}, ErrNotFound)
		return
	}
	c.loadAway(ctx, f, l, c.peek(f.Key()), cause) // what was loaded since
}

// shed concludes a flight whose load would be one too many.
func (c *Cache[V]) shed(f *keyFlight[V], plan loadPlan[V]) {
	c.client.loads.shed.Add(1)
	if plan.refresh {
		f.Settle(Entry[V]{}, errNoRefresh)
		return
	}
	e, err := c.orStale(plan.fallback, fmt.Errorf("%w: %w: %w", ErrUnavailable, plan.cause, errShed))
	f.Settle(e, err)
}

// away concludes a flight that Redis could not answer, as the policy says.
func (c *Cache[V]) away(ctx context.Context, f *keyFlight[V], l loading[V], cause error) {
	key, now := f.Key(), c.client.store.Clock.Now()
	it, reads := c.peek(key), c.policy.OutageReads
	unavailable := fmt.Errorf("%w: %w", ErrUnavailable, cause)
	switch {
	case reads == RefuseReads:
		f.Settle(Entry[V]{}, unavailable)
	case it.Fresh(now) && it.Absent:
		f.Settle(Entry[V]{}, ErrNotFound)
	case it.Fresh(now) && it.Newer == local.HasNewer && l.load != nil: // the loader knows better
		c.loadAway(ctx, f, l, it, cause)
	case it.Fresh(now), it.Stale(now) && (reads == ServeStale || l.load == nil):
		f.Settle(c.entry(it, SourceMemory, now, cause), nil)
	case c.copied(ctx, f, cause):
	case l.load == nil:
		f.Settle(Entry[V]{}, unavailable)
	default:
		c.loadAway(ctx, f, l, it, cause)
	}
}

// loadAway starts a load while Redis is away, as far as the policy allows it.
func (c *Cache[V]) loadAway(ctx context.Context, f *keyFlight[V], l loading[V], fallback *local.Item, cause error) {
	c.startLoad(ctx, f, l, loadPlan[V]{fallback: fallback, cause: cause})
}

// copied concludes a flight with what a replica has, while there is no master. It is as
// old as it is; memory holds it for as long as there is none.
func (c *Cache[V]) copied(ctx context.Context, f *keyFlight[V], cause error) bool {
	if c.keys.Connected(f.Key()) {
		return false
	}
	a, ok := c.keys.ReadCopy(ctx, c.full(f.Key()), c.policy.ReadTimeout)
	if !ok {
		return false
	}
	got := c.understood(ctx, a, f.Data.mark)
	if got.it == nil {
		return false
	}
	now := c.client.store.Clock.Now()
	f.Keep(func() { c.put(f.Key(), got.it) })
	e := c.entry(got.it, SourceReplica, now, cause)
	e.Behind, e.Coherent = time.Duration(now-got.sent), false
	f.Settle(e, nil)
	return true
}

var errShed = errors.New("more loads than Policy.OutageLoadRate allows in an outage")

// orStale serves what memory still holds in place of an error.
func (c *Cache[V]) orStale(it *local.Item, err error) (Entry[V], error) {
	if !c.mayServe(it) {
		return Entry[V]{}, err
	}
	return c.entry(it, SourceMemory, c.client.store.Clock.Now(), err), nil
}

// mayServe reports whether an item may be served where nothing better can be had.
func (c *Cache[V]) mayServe(it *local.Item) bool {
	return it.Stale(c.client.store.Clock.Now()) && c.policy.OutageReads != RefuseReads
}
