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
	"github.com/evercache/evercache/internal/keylock"
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

// run is one load of a key, with all that it needs.
type run[V any] struct {
	cache   *Cache[V]
	flight  *keyFlight[V]
	load    Loader[V]
	plan    loadPlan[V]
	attempt attempt
	batch   *batch[V] // whose call the loader waits for; nil: it is the key's own
	ctx     loadContext
	said    *Load[V] // of the batch, or own
	own     Load[V]
	told    sync.Once // the log, of a failure
	store   toStore   // what is to be stored when all else is done; no item: nothing
	filling shard.Fill
	held    *keylock.Held

	before, next *run[V] // of running
	listed       bool
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
	r := &run[V]{cache: c, flight: f, load: l.load, plan: plan, batch: l.batch}
	err := c.permit(&r.attempt, l, f.Key())
	switch {
	case err != nil:
		e, err := c.orStale(plan.fallback, err)
		f.Settle(e, err)
		return
	case plan.cause != nil && !c.allowed(l): // asked last: what does not run takes nothing of the rate
		r.attempt.end(errOthersResult)
		c.shed(f, plan)
		return
	}
	if plan.refresh {
		c.client.loads.refreshed.Add(1)
	}
	if l.batch != nil {
		l.batch.wanted = append(l.batch.wanted, r)
		return
	}
	r.start(ctx)
}

// start runs the loader on a goroutine and a context of its own: no caller
// that leaves takes the load with it. The flight is settled after LoadTimeout
// at the latest, whatever the loader does.
func (r *run[V]) start(ctx context.Context) {
	c := r.cache
	if r.said = &r.own; r.batch != nil { // when its call has ended, what follows is not the loader's time
		r.said = r.batch.said
	}
	r.own.cache = c
	r.ctx.task, r.ctx.load = &r.flight.Task, r.said
	r.ctx.begin(ctx, shard.Life(c.client.store), c.policy.LoadTimeout)
	if !c.running.enter(r) {
		r.refuse()
		return
	}
	if !shard.Run(c.client.store, r) {
		c.running.leave(r)
		r.refuse()
	}
}

// refuse ends a run that the end of the client comes before.
func (r *run[V]) refuse() {
	r.attempt.end(ErrClosed)
	r.flight.Settle(Entry[V]{}, ErrClosed)
}

// Call loads, and stores what is loaded when all else is done.
func (r *run[V]) Call() {
	r.now()
	if r.store.item != nil {
		r.cache.storeSoon(r)
	}
}

func (r *run[V]) now() {
	c := r.cache
	defer r.ctx.finish()
	defer c.running.leave(r)
	defer c.rescue(r.flight)
	defer r.attempt.end(errGoexit)
	defer c.offerStale(r.flight, &r.plan)()
	if c.refreshedElsewhere(&r.ctx, r) {
		return
	}
	v, err := r.run()
	r.attempt.end(err)
	c.loaded(&r.ctx, r, r.said.decision(r.flight.Key()), v, err)
}

// giveUp settles the flight since its loader has no more time.
func (r *run[V]) giveUp(cause error) {
	c := r.cache
	if r.batch != nil && r.batch.over() {
		return
	}
	defer c.rescue(r.flight)
	r.attempt.end(cause)
	e, err := c.orStale(r.plan.fallback, cause)
	if r.flight.Settle(e, err) {
		c.client.loads.results.Add("timeout")
		if cause == errLoadTimeout && r.batch == nil {
			r.told.Do(func() { c.loadFailed(&r.ctx, "timeout", cause) })
		}
	}
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

// run runs the loader, counts and times it, and turns its panic into an error.
func (r *run[V]) run() (v V, err error) {
	var ctx context.Context = &r.ctx
	if r.batch == nil { // what those of a batch do is told of there
		ctx = r.cache.loadStarts(ctx, 1)
	}
	loads := &r.cache.client.loads
	start := time.Now()
	loads.inFlight.Add(1)
	err = errGoexit
	defer func() {
		if p := recover(); p != nil {
			err = &LoadPanicError{Value: p, Stack: debug.Stack()}
		}
		loads.inFlight.Add(-1)
		loads.durations.Observe(time.Since(start))
		loads.results.Add(loadResult(err))
		if r.batch == nil {
			r.cache.loadEnds(ctx, 1, err, &r.told)
		}
	}()
	v, err = r.load(ctx, r.flight.Key())
	return r.said.result(r.flight.Key(), v, err)
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
func (c *Cache[V]) loaded(ctx context.Context, r *run[V], d decision, v V, err error) {
	f, plan, key := r.flight, &r.plan, r.flight.Key()
	switch {
	case f.Settled(): // it was given up: who writes the key from here on does not supersede it
		return
	case errors.Is(err, ErrNotFound) && plan.refresh:
		c.refreshedAway(ctx, f, *plan)
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
		c.notStored(f, *plan, v)
		return
	}
	ttl := or(d.ttl, c.policy.TTL)
	data, err := c.encoded(ctx, v)
	if err != nil {
		c.keepHere(f, *plan, ttl, v, fmt.Errorf("evercache: encode: %w", err))
		return
	}
	if plan.cause == nil && c.yields(key, plan.replaces) {
		c.keepHere(f, *plan, ttl, v, nil)
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
		r.store = w
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
