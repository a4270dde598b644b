package evercache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/origin"
)

// guard keeps a class's loaders from an origin that fails: see internal/origin.
type guard struct {
	pauses  *origin.Pauses
	circuit *origin.Circuit
	seed    maphash.Seed
	failed  happened // loads
	slow    happened // loads that callers did not wait for
}

func newGuard(first time.Duration) *guard {
	return &guard{pauses: origin.NewPauses(first, ownErrors[:]...), circuit: origin.NewCircuit(first), seed: maphash.MakeSeed()}
}

// known is what findings are made of.
func (g *guard) known(now time.Time, at int64, ahead bool) findings.Origin {
	o := findings.Origin{Failed: g.failed.count(), Slow: g.slow.count(), Ahead: ahead}
	if since, open := g.circuit.Open(at); open {
		o.FailingSince = now.Add(-time.Duration(at - since))
	}
	return o
}

// attempt is one run of a loader as far as it says something of the origin.
type attempt struct {
	guard   *guard
	client  *Client
	key     string
	keys    bool // its key has pauses
	failing bool // its key has failed lately
	counts  bool // for the circuit
	leave   origin.Leave
	settled atomic.Bool
}

// permit asks whether a loader may run for a key: the error says why it may not. a is new.
func (c *Cache[V]) permit(a *attempt, l loading[V], key string) error {
	now := c.client.store.Clock.Now()
	r, refused := c.guard.pauses.Refuse(key, now)
	if refused {
		c.client.loads.paused.Add(1)
		return fmt.Errorf("%w: %w (failure %d in a row; the loader runs again in %v: Policy.LoadRetryAfter)", ErrOriginPaused, r.Err, r.Failures, r.For.Round(time.Millisecond))
	}
	a.guard, a.client, a.key, a.keys, a.failing = c.guard, c.client, key, true, r.Failures > 0
	if l.batch != nil {
		return l.batch.permitted(a, now)
	}
	return a.ask(now)
}

// ask asks the circuit.
func (a *attempt) ask(now int64) error {
	leave, wait, ok := a.guard.circuit.Ask(a.failing, now)
	if !ok {
		a.client.loads.paused.Add(1)
		return fmt.Errorf("%w: loads of this class fail for most keys; two at a time at most try again, the next in %v (Policy.LoadRetryAfter)", ErrOriginPaused, wait.Round(time.Millisecond))
	}
	a.leave, a.counts = leave, true
	return nil
}

// end notes how the loader has ended. The first end counts; it may be a timeout.
func (a *attempt) end(err error) {
	if a == nil || a.guard == nil || a.settled.Swap(true) {
		return
	}
	now, failed := a.client.store.Clock.Now(), false
	switch {
	case a.client.store.Closed(), errors.Is(err, ErrLoadCycle), errors.Is(err, errOthersResult):
		if a.counts {
			a.guard.circuit.Return(a.leave)
		}
		return
	case err != nil && !errors.Is(err, ErrNotFound):
		failed = true
		a.guard.failed.note()
	}
	g := a.guard
	r := origin.Result{Key: maphash.String(g.seed, a.key), Failed: failed, Own: failed && g.pauses.Own(a.key, g.circuit.Up())}
	switch {
	case !a.keys:
	case failed:
		g.pauses.Failed(a.key, err, g.circuit.Up(), now)
	default:
		g.pauses.Forget(a.key)
	}
	if !a.counts {
		return
	}
	if change, since := g.circuit.Ended(a.leave, r, now); change == origin.Closed {
		g.pauses.Back(since, now)
	}
}

// errOthersResult ends an attempt that has run no loader.
var errOthersResult = errors.New("evercache: another load had the result")

// offerStale lets callers go on with a stale value when they have waited long enough for
// the load. stop is to be called when the load has ended.
func (c *Cache[V]) offerStale(f *keyFlight[V], plan *loadPlan[V]) (stop func()) {
	if c.policy.LoadPatience == 0 || !c.mayServe(plan.fallback) {
		return func() {}
	}
	t := time.AfterFunc(c.policy.LoadPatience, func() {
		defer func() { // the clone panicked
			if p := recover(); p != nil {
				f.Settle(Entry[V]{}, &LoadPanicError{Value: p, Stack: debug.Stack()})
			}
		}()
		if e, err := c.orStale(plan.fallback, errLoadSlow); err == nil && f.Offer(e) {
			c.guard.slow.note()
			c.client.loads.impatient.Add(1)
		}
	})
	left := time.Duration(plan.fallback.KeepUntil - c.client.store.Clock.Now())
	if left > c.policy.LoadTimeout { // the load ends before
		return func() { t.Stop() }
	}
	end := time.AfterFunc(left, f.Withdraw)
	return func() { t.Stop(); end.Stop() }
}

var errLoadSlow = errors.New("evercache: the loader has not answered within Policy.LoadPatience; it goes on")

// inTime is what a caller gets whose deadline has passed while it waited: the value that
// memory has, where the class may serve it, else the error.
func (c *Cache[V]) inTime(ctx context.Context, key string, err error) (Entry[V], error) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !c.mayServe(c.peek(key)) {
		return Entry[V]{}, err
	}
	return c.orStale(c.peek(key), fmt.Errorf("evercache: the caller's deadline has passed before a better answer: %w", err))
}
