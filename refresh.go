package evercache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
)

// refreshes are the loads of a class that run ahead of their entries' ends.
type refreshes struct{ n atomic.Int64 }

func (r *refreshes) enter(most int) bool {
	if r.n.Add(1) > int64(most) {
		r.n.Add(-1)
		return false
	}
	return true
}

func (r *refreshes) leave() { r.n.Add(-1) }

// spread is how much sooner than Policy.RefreshAhead says an entry may be due: what was
// loaded together is not loaded together again.
const spread = 0.25

// dueIn makes an item due after the share of its life that the class asks for.
func (c *Cache[V]) dueIn(it *local.Item) {
	if c.policy.RefreshAhead != 0 {
		it.DueAt(it.Written + c.shareOf(it.FreshUntil-it.Written))
	}
}

// dueOfRedis is dueIn for what Redis has, which is dated by the class's TTL. What has little
// left may have had little from the beginning, so it is due after a share of that: else it
// would be due at once, again and again, in each process.
func (c *Cache[V]) dueOfRedis(it *local.Item, now int64, left time.Duration) {
	if it.Due(now) {
		it.DueAt(now + c.shareOf(int64(left)))
	}
}

func (c *Cache[V]) shareOf(life int64) int64 {
	return int64(float64(life) * c.policy.RefreshAhead * (1 - spread*rand.Float64()))
}

// dueItem is what memory has of a key and is to be loaded again.
type dueItem struct {
	key  string
	item *local.Item
}

// refresh loads a key again in the background, unless the class loads enough as it is.
// Its caller has been served.
func (c *Cache[V]) refresh(ctx context.Context, key string, it *local.Item, load Loader[V]) {
	c.refreshAll(ctx, []dueItem{{key, it}}, loading[V]{load: load})
}

// refreshMany is refresh for keys that one call loads.
func (c *Cache[V]) refreshMany(ctx context.Context, due []dueItem, load ManyLoader[V]) {
	b := c.newBatch(load)
	c.refreshAll(ctx, due, loading[V]{load: b.loader(), batch: b})
}

func (c *Cache[V]) refreshAll(ctx context.Context, due []dueItem, l loading[V]) {
	if !c.ahead.enter(c.policy.MaxRefreshes) {
		return // the next who reads them tries again
	}
	rs := c.takeOff(due)
	if len(rs) == 0 || !c.client.store.Spawn(func() { c.refreshNow(context.WithoutCancel(ctx), rs, l) }) {
		c.ahead.leave()
		for _, r := range rs {
			r.flight.Settle(Entry[V]{}, ErrClosed)
		}
	}
}

// refreshing is a refresh under way.
type refreshing[V any] struct {
	flight *keyFlight[V]
	item   *local.Item // what is there meanwhile: nobody else refreshes it
}

// takeOff begins the refreshes that nobody else has begun.
func (c *Cache[V]) takeOff(due []dueItem) (rs []refreshing[V]) {
	now := c.client.store.Clock.Now()
	for _, d := range due {
		if _, paused := c.guard.pauses.Refuse(d.key, now); paused {
			continue
		}
		f, leads := c.flights.Join(d.key, flight.Refreshes)
		if !leads {
			continue
		}
		calm := d.item.Copy()
		calm.Refresh = 0
		began := false
		f.Keep(func() {
			if began = c.peek(d.key) == d.item; began {
				c.put(d.key, calm)
			}
		})
		if !began { // it was replaced meanwhile
			f.Settle(Entry[V]{}, errNoRefresh)
			continue
		}
		rs = append(rs, refreshing[V]{f, calm})
	}
	return rs
}

// errNoRefresh ends a refresh that is not needed, or not to be had now.
var errNoRefresh = errors.New("evercache: no refresh")

// errNotReplaced is an errNoRefresh whose result Redis would not take.
var errNotReplaced = fmt.Errorf("%w: scripts are forbidden", errNoRefresh)

func (c *Cache[V]) refreshNow(ctx context.Context, rs []refreshing[V], l loading[V]) {
	defer c.ahead.leave()
	if l.batch != nil {
		defer l.batch.drop()
	}
	for _, r := range rs {
		defer c.rescue(r.flight)
	}
	for _, r := range rs {
		c.refreshOne(ctx, r, l)
	}
	if l.batch != nil {
		l.batch.start(ctx)
	}
	for _, r := range rs {
		if r.flight.Wait(c.client.store.Ctx) == nil {
			c.refreshed(r)
		}
	}
}

// refreshOne asks Redis whether a load is needed, and starts it.
func (c *Cache[V]) refreshOne(ctx context.Context, r refreshing[V], l loading[V]) {
	f, key := r.flight, r.flight.Key()
	plan := loadPlan[V]{refresh: true}
	full := c.full(key)
	f.Data.full, f.Data.at, f.Data.mark = full, c.client.store.Clock.Now(), c.keys.Mark(full)
	switch a := c.keys.ReadMaster(ctx, full, c.policy.ReadTimeout); {
	case a.Waits: // a write of this process is newer than whatever is loaded now
		f.Settle(Entry[V]{}, errNoRefresh)
		return
	case a.Away:
		plan.cause = c.client.store.AwayCause()
	case a.Err != nil:
		plan.cause = a.Err
	case a.Found:
		if c.adopted(ctx, r, a) {
			return
		}
		if a.Fixed {
			f.Settle(Entry[V]{}, errNotReplaced)
			return
		}
		plan.seen, f.Data.missed = a.Seen(), a.Asked
	default:
		plan.replaces, f.Data.missed = a.Useless, a.Asked
	}
	c.startLoad(ctx, f, l, plan)
}

// adopted ends a refresh by what Redis has, if that lives longer than what memory has:
// another process has loaded it.
func (c *Cache[V]) adopted(ctx context.Context, r refreshing[V], a shard.Answer) bool {
	got := c.fromRedis(ctx, a, r.flight.Data.mark)
	if got.it == nil || got.it.FreshUntil-r.item.FreshUntil < longerLife(r.item) {
		return false
	}
	r.flight.KeepUndisturbed(func() {
		c.put(r.flight.Key(), got.it)
		r.flight.Data.kept = true
	})
	r.flight.Settle(c.entry(got.it, SourceRedis, c.client.store.Clock.Now(), nil), nil)
	return true
}

// longerLife is by how much an entry must end later than another to be a newer one: the
// clocks of a server and a process do not run alike.
func longerLife(it *local.Item) int64 {
	return (it.FreshUntil-it.Written)/50 + int64(50*time.Millisecond)
}

// refreshedAway ends a refresh whose key the origin has no more.
func (c *Cache[V]) refreshedAway(ctx context.Context, f *keyFlight[V], plan loadPlan[V]) {
	if plan.cause == nil && plan.seen.Is() {
		c.fill(ctx, f, toStore{seen: plan.seen, gone: true})
		return
	}
	f.KeepUndisturbed(func() { c.remember(f.Key(), f.Data.mark) })
}

// leastRetry is how long nobody tries a refresh again that was not needed, or that found
// something newer.
const leastRetry = time.Second

// refreshed makes what memory has due again, if it is the same still.
func (c *Cache[V]) refreshed(r refreshing[V]) {
	_, err := r.flight.Result()
	if r.flight.Data.kept || c.client.store.Closed() {
		return
	}
	now := c.client.store.Clock.Now()
	again := now + int64(max(c.policy.LoadRetryAfter, leastRetry))
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, errNotReplaced) { // the next would not be kept either
		again = max(again, now+(r.item.FreshUntil-now)/2)
	}
	if p, paused := c.guard.pauses.Refuse(r.flight.Key(), now); paused {
		again = now + int64(p.For)
	}
	r.flight.Exchange(func() {
		if c.peek(r.flight.Key()) == r.item {
			it := r.item.Copy()
			it.DueAt(again)
			c.put(r.flight.Key(), it)
		}
	})
}

// refreshedElsewhere ends a load by a refresh of its key that was under way already.
func (c *Cache[V]) refreshedElsewhere(ctx context.Context, r *run[V]) bool {
	f := r.flight
	other := c.flights.Refreshing(f.Key())
	if r.plan.refresh || r.batch != nil || other == nil {
		return false
	}
	over, ok := c.client.waits.Await(ctx, &other.Task)
	if !ok {
		return false
	}
	err := other.Wait(ctx)
	over()
	if err != nil || other.Superseded() || other.Abandoned() {
		return false
	}
	e, err := other.Result()
	if errors.Is(err, errNoRefresh) {
		return false
	}
	r.attempt.end(errOthersResult)
	switch {
	case err == nil:
		e.Value, e.Coherent = c.own(e.Value), e.Coherent && c.client.opts.MemoryOnly
	case !errors.Is(err, ErrNotFound):
		e, err = c.orStale(r.plan.fallback, err)
	}
	f.Settle(e, err)
	return true
}
