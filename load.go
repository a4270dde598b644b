package evercache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
)

// loadStats counts the runs of loaders.
type loadStats struct {
	results   counter.Labelled
	durations counter.Histogram
	inFlight  atomic.Int64
	coalesced atomic.Uint64
	shed      atomic.Uint64
	paused    atomic.Uint64 // not run after failures
	refreshed atomic.Uint64 // run ahead of an entry's end
	impatient atomic.Uint64 // not waited for
}

// loadPlan is what is known when a load starts.
type loadPlan[V any] struct {
	fallback *local.Item // served if the loader fails and it is not too old
	replaces string      // the sum of what Redis holds that does not decode
	cause    error       // the outage in which the load runs; nil: Redis has no such key
	refresh  bool        // the load is of what memory and perhaps Redis still have
	seen     shard.Seen  // of a refresh: what Redis had
}

var errLoadTimeout = errors.New("evercache: the loader took longer than Policy.LoadTimeout")

// loading is who loads: a loader of its own, or the one call of a GetMany, which
// begins when it has asked for all its keys.
type loading[V any] struct {
	load  Loader[V] // nil: nobody does
	batch *batch[V]
}

// run is one load of a key.
type run[V any] struct {
	load    Loader[V]
	plan    loadPlan[V]
	attempt *attempt
	batch   *batch[V] // whose call the loader waits for; nil: it is the key's own
}

// allowed asks the limiter of loads in an outage, once for each call of a loader.
func (c *Cache[V]) allowed(l loading[V]) bool {
	if l.batch != nil {
		return l.batch.allowed()
	}
	return c.limiter.Allow()
}

// startLoad starts the flight's load, unless another flight of the key loads: then
// this one's callers join it. After failures it may not run.
func (c *Cache[V]) startLoad(ctx context.Context, f *keyFlight[V], l loading[V], plan loadPlan[V]) {
	if plan.cause == nil && !f.BeginLoad() {
		f.Abandon()
		return
	}
	a, err := c.permit(l, f.Key())
	switch {
	case err != nil:
		e, err := c.orStale(plan.fallback, err)
		f.Settle(e, err)
		return
	case plan.cause != nil && !c.allowed(l): // asked last: what does not run takes nothing of the rate
		a.end(errOthersResult)
		c.shed(f, plan)
		return
	}
	if plan.refresh {
		c.client.loads.refreshed.Add(1)
	}
	switch r := (run[V]{l.load, plan, a, l.batch}); {
	case l.batch != nil:
		l.batch.wanted = append(l.batch.wanted, wanted[V]{f, r})
	default:
		c.runLoad(ctx, f, r)
	}
}

// runLoad runs the loader on a goroutine and a context of its own: no caller
// that leaves takes the load with it. The flight is settled after LoadTimeout
// at the latest, whatever the loader does.
func (c *Cache[V]) runLoad(ctx context.Context, f *keyFlight[V], r run[V]) {
	if !c.client.store.Spawn(func() { c.loadNow(ctx, f, r) }) {
		r.attempt.end(ErrClosed)
		f.Settle(Entry[V]{}, ErrClosed)
	}
}

func (c *Cache[V]) loadNow(ctx context.Context, f *keyFlight[V], r run[V]) {
	l := &Load[V]{cache: c}
	if r.batch != nil { // when its call has ended, what follows is not the loader's time
		l = r.batch.said
	}
	ctx, cancel := c.client.loadContext(context.WithValue(flight.Within(ctx, &f.Task), loadKey{}, l), c.policy.LoadTimeout)
	defer cancel()
	var told sync.Once // the log, of a failure
	stop := context.AfterFunc(ctx, func() {
		if r.batch != nil && r.batch.over() {
			return
		}
		defer c.rescue(f)
		r.attempt.end(context.Cause(ctx))
		e, err := c.orStale(r.plan.fallback, context.Cause(ctx))
		if f.Settle(e, err) {
			c.client.loads.results.Add("timeout")
			if cause := context.Cause(ctx); cause == errLoadTimeout && r.batch == nil {
				told.Do(func() { c.loadFailed(ctx, "timeout", cause) })
			}
		}
	})
	defer stop()
	defer c.rescue(f)
	defer r.attempt.end(errGoexit)
	defer c.offerStale(f, r.plan)()
	if c.refreshedElsewhere(ctx, f, r) {
		return
	}
	var v V
	loads, ended := ctx, func(error) {} // those of a batch are told of there
	if r.batch == nil {
		loads = c.loadStarts(ctx, 1)
		ended = func(err error) { c.loadEnds(loads, 1, err, &told) }
	}
	err := c.client.runLoader(func() (err error) {
		v, err = r.load(loads, f.Key())
		v, err = l.result(f.Key(), v, err)
		return err
	}, ended)
	r.attempt.end(err)
	c.loaded(ctx, f, r.plan, l.decision(f.Key()), v, err)
}

// rescue, deferred, settles a flight that was left in the air: by
// runtime.Goexit in a loader, which cannot be stopped, only told, or by a panic
// in the codec, the clone or the weight, on a goroutine where no caller could
// recover it.
func (c *Cache[V]) rescue(f *keyFlight[V]) {
	err := errGoexit
	if p := recover(); p != nil {
		err = &LoadPanicError{Value: p, Stack: debug.Stack()}
	}
	f.Settle(Entry[V]{}, err)
}

// loadContext keeps the values of ctx, but ends after d or with the client.
func (c *Client) loadContext(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), d, errLoadTimeout)
	ctx, cancelCause := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.store.Ctx, func() { cancelCause(ErrClosed) })
	return ctx, func() {
		stop()
		cancelCause(context.Canceled)
		cancel()
	}
}

// runLoader counts and times a loader, and turns its panic into an error.
func (c *Client) runLoader(run func() error, ended func(error)) (err error) {
	start := time.Now()
	c.loads.inFlight.Add(1)
	err = errGoexit
	defer func() {
		if p := recover(); p != nil {
			err = &LoadPanicError{Value: p, Stack: debug.Stack()}
		}
		c.loads.inFlight.Add(-1)
		c.loads.durations.Observe(time.Since(start))
		c.loads.results.Add(loadResult(err))
		ended(err)
	}()
	return run()
}

// errGoexit is what callers get when a loader ended its goroutine.
var errGoexit = &LoadPanicError{Value: "the loader ended its goroutine (runtime.Goexit)"}

func loadResult(err error) string {
	_, panicked := errors.AsType[*LoadPanicError](err)
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case panicked:
		return "panic"
	}
	return "error"
}

// loaded keeps what the loader said, settles the flight, and then fills Redis:
// no caller waits for that.
func (c *Cache[V]) loaded(ctx context.Context, f *keyFlight[V], plan loadPlan[V], d decision, v V, err error) {
	key := f.Key()
	switch {
	case f.Settled(): // it was given up: who writes the key from here on does not supersede it
		return
	case errors.Is(err, ErrNotFound) && plan.refresh:
		c.refreshedAway(ctx, f, plan)
		f.Settle(Entry[V]{}, err)
		return
	case errors.Is(err, ErrNotFound):
		f.KeepUndisturbed(func() { c.remember(key, f.Data.mark) }) // else somebody may have written it meanwhile
		f.Settle(Entry[V]{}, err)
		return
	case err != nil:
		e, err := c.orStale(plan.fallback, fmt.Errorf("evercache: load: %w", err))
		f.Settle(e, err)
		return
	}
	v = c.own(v)
	if d.noStore {
		c.notStored(f, plan, v)
		return
	}
	ttl := or(d.ttl, c.policy.TTL)
	data, err := c.encoded(ctx, v)
	if err != nil {
		c.keepHere(f, plan, ttl, v, fmt.Errorf("evercache: encode: %w", err))
		return
	}
	if plan.cause == nil && c.yields(key, plan.replaces) {
		c.keepHere(f, plan, ttl, v, nil)
		return
	}
	now := c.client.store.Clock.Now()
	it := c.newItem(v, now, 0, ttl)
	e := c.entry(it, SourceLoader, now, errors.Join(plan.cause, c.unkept(key, it, c.client.opts.MemoryOnly)))
	w := toStore{item: it, data: data, ttl: ttl, replaces: plan.replaces, seen: plan.seen}
	switch refills := plan.refresh && c.keys.Connected(key); {
	case plan.cause == nil && (refills || f.Disturbed()): // only the fill finds out whether it is worth keeping
		c.fill(ctx, f, w)
		f.Settle(e, nil)
		return
	case plan.refresh:
		f.KeepUndisturbed(func() {
			c.put(key, it)
			f.Data.kept = true
		})
		f.Settle(e, nil)
		return
	}
	f.Keep(func() { c.put(key, it) })
	if plan.cause != nil || !c.keys.Connected(key) {
		f.Settle(e, nil)
		return
	}
	if f.SettleToFill(e) {
		c.fill(ctx, f, w)
		f.Filled()
	}
}

// keepHere keeps a loaded value in the memory of this process only: it does not
// encode, or a value that is there instead is not to be overwritten. The feed covers
// it as it would what Redis holds, since the key does not change there unannounced.
func (c *Cache[V]) keepHere(f *keyFlight[V], plan loadPlan[V], ttl time.Duration, v V, cause error) {
	now := c.client.store.Clock.Now()
	it := c.newItem(v, now, 0, ttl)
	e := c.entry(it, SourceLoader, now, errors.Join(cause, plan.cause, c.unkept(f.Key(), it, cause != nil)))
	if cause != nil {
		it.KeepAlone()
	}
	if plan.cause != nil {
		f.Keep(func() { c.put(f.Key(), it) })
	} else { // what is disturbed somebody may have written meanwhile
		f.KeepUndisturbed(func() {
			it.Cover = f.Data.mark.Cover()
			c.put(f.Key(), it)
		})
	}
	f.Settle(e, nil)
}

// notStored gives what is loaded to those who wait, and to nobody else.
func (c *Cache[V]) notStored(f *keyFlight[V], plan loadPlan[V], v V) {
	now := c.client.store.Clock.Now()
	if !c.peek(f.Key()).Fresh(now) {
		f.KeepUndisturbed(func() { c.drop(f.Key()) })
	}
	e := c.entry(c.newItem(v, now, 0, c.policy.TTL), SourceLoader, now, plan.cause)
	f.Settle(e, nil)
}

// remember keeps a loader's ErrNotFound, or at least forgets the old value.
func (c *Cache[V]) remember(key string, m shard.Mark) {
	if c.policy.NegativeTTL <= 0 {
		c.drop(key)
		return
	}
	it := c.absentItem(c.client.store.Clock.Now())
	it.Cover = m.Cover()
	c.put(key, it)
}

// toStore is a loaded value on its way to Redis.
type toStore struct {
	item     *local.Item
	data     []byte
	ttl      time.Duration
	replaces string // see loadPlan
	seen     shard.Seen
	gone     bool // the origin has no such key: what was seen is to go
}

// fill writes a loaded value to Redis unless the key was written since the
// load began: here (superseded) or elsewhere (it is there, or it was deleted
// after the load's caller was told that there was none). A fill that fails is
// counted and nothing else: the caller has its value. What memory holds is
// covered by the feed once Redis holds it too.
func (c *Cache[V]) fill(ctx context.Context, f *keyFlight[V], w toStore) {
	full, it, replaces := c.full(f.Key()), w.item, w.replaces
	defer c.client.fills.enter()()
	if !c.keys.Connected(f.Key()) {
		return
	}
	ctx = context.WithoutCancel(ctx) // each question ends within its own limit
	p := deadline.New(ctx, time.Now(), c.policy.WriteTimeout)
	defer p.Release()
	held, err := c.client.store.Locks.Lock(&p, full)
	if err != nil {
		return
	}
	defer c.client.store.Locks.Unlock(held)
	if f.Superseded() || c.client.store.Waits(full) || c.yields(f.Key(), replaces) {
		return
	}
	if w.ttl != c.policy.TTL && !w.gone {
		c.mixed.Store(true)
	}
	filling, ok := c.keys.BeginFill(shard.Filling{
		Key: full, Rest: f.Key(), Data: w.data, TTL: w.ttl, Missed: f.Data.missed, Replaces: replaces, Seen: w.seen, Gone: w.gone,
	})
	if !ok {
		return
	}
	defer filling.End()
	stored, err := filling.Send(ctx)
	if stored && replaces != "" {
		c.unread.overwritten.add(f.Key())
	}
	switch {
	case f.Superseded(): // by a DeletePrefix, which takes no lock and may have passed the key already
		filling.Undo(ctx)
	case err == nil && !stored:
		c.unkeep(f.Key(), it) // ask Redis next time
	case err == nil && w.gone:
		f.Keep(func() { c.remember(f.Key(), f.Data.mark) })
	case err == nil:
		// What was announced meanwhile may be the fill itself, or what somebody wrote after
		// it: then Redis is asked before the item is served.
		f.KeepSeen(func(announced bool) {
			if announced {
				it = doubted(it)
			}
			c.put(f.Key(), it)
			f.Data.kept = true
		})
		c.cover(ctx, &filling, f, w.item)
	}
}

// cover lets the feed vouch for an item that was just stored. A script is
// announced to the one who ran it too (NOLOOP does not help: facts in
// internal/remote.Tracking), and nobody can tell that from another's write. So
// Redis is asked what it holds: the answer comes behind the announcement.
// Where the announcement is handled only after the question, it is asked again.
func (c *Cache[V]) cover(ctx context.Context, filling *shard.Fill, f *keyFlight[V], it *local.Item) {
	for range 3 {
		m := c.keys.Mark(c.full(f.Key()))
		if m.Cover() == nil || !filling.Holds(ctx, c.policy.ReadTimeout) {
			return
		}
		covered, ok := it.Copy(), false
		covered.Cover, covered.Newer = m.Cover(), local.NoNewer
		f.Exchange(func() {
			if ok = c.client.store.Undisturbed(m); ok {
				c.put(f.Key(), covered)
			}
		})
		if ok {
			return
		}
	}
}

// unkeep drops an item if memory still holds that very one.
func (c *Cache[V]) unkeep(key string, it *local.Item) {
	c.flights.Supersede(key, func() {
		if c.peek(key) == it {
			c.drop(key)
		}
	})
}

// mostFills is how many loaded values are on their way to Redis at a time: a batch
// has as many as keys. More would wait for each other, and look like a server that
// is slow.
const mostFills = 128

// fills are the turns of those that store a loaded value.
type fills chan struct{}

func newFills() fills { return make(fills, mostFills) }

// enter waits for a turn. It comes soon: whoever has one gives up when Redis does
// not answer in time.
func (f fills) enter() (leave func()) {
	f <- struct{}{}
	return func() { <-f }
}
