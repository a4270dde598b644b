package evercache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/stats"
)

// GetMany reads several keys at once: from memory, then Redis in pipelines,
// then load (nil: none) for those that are nowhere. Keys without a value are
// left out. The error is about the keys that nobody could answer for; what
// could be had is returned beside it.
func (c *Cache[V]) GetMany(ctx context.Context, keys []string, load ManyLoader[V]) (map[string]V, error) {
	got := make(map[string]V, len(keys))
	var missing []string
	var due []dueItem
	now := c.client.store.Clock.Now()
	for i, key := range keys {
		it := c.hitAt(key, now)
		if it == nil {
			if missing == nil {
				missing = make([]string, 0, len(keys)-i)
			}
			missing = append(missing, key)
			continue
		}
		c.client.requests.add(stats.OpGet, stats.TierL1, stats.ResultHit)
		if !it.Absent {
			got[key] = c.own(valueOf[V](it))
		}
		if it.Due(now) && load != nil {
			due = append(due, dueItem{key, it})
		}
	}
	if len(due) > 0 {
		c.refreshMany(ctx, due, load)
	}
	if len(missing) == 0 {
		return got, nil
	}
	start := time.Now()
	err := c.readMany(ctx, missing, load, got)
	c.client.durations[stats.OpGet].Observe(time.Since(start))
	return got, err
}

// readMany leads the flights that nobody flies yet, waits for the others, and
// asks again for those whose leader left.
func (c *Cache[V]) readMany(ctx context.Context, keys []string, load ManyLoader[V], got map[string]V) error {
	var errs []error
	for len(keys) > 0 {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
		if c.client.store.Closed() {
			return errors.Join(append(errs, ErrClosed)...)
		}
		fs, again := c.flyMany(ctx, keys, load), []string(nil)
		var late error // the caller's own end
		for i, key := range keys {
			f := fs[i].flight
			if f == nil {
				errs = append(errs, fs[i].err)
				c.client.countRead(stats.OpGet, SourceNone, false, fs[i].err)
				continue
			}
			e, err, ended := f.Ended()
			if !ended {
				err = c.await(ctx, f)
			}
			switch {
			case ended: // as most are: Redis has answered
				if !fs[i].leader && err == nil {
					e.Value = c.own(e.Value)
				}
			case err != nil:
				if ctx.Err() == nil { // a cycle
					return errors.Join(append(errs, err)...)
				}
				if e, err = c.inTime(ctx, key, err); err != nil {
					late = err
					continue
				}
			case f.Abandoned():
				again = append(again, key)
				continue
			default:
				e, err = c.shared(f, fs[i].leader)
			}
			c.client.countRead(stats.OpGet, e.Source, e.Fresh, err)
			if err == nil {
				got[key] = e.Value
			} else if !errors.Is(err, ErrNotFound) {
				errs = append(errs, err)
			}
		}
		if late != nil {
			return errors.Join(append(errs, late)...)
		}
		keys = again
	}
	return oneOf(errs)
}

// oneOf is one error for many keys: one of each kind, since in an outage they
// all say the same.
func oneOf(errs []error) error {
	const most = 4
	var kinds []error
	seen := map[string]bool{}
	for _, err := range errs {
		if text := err.Error(); !seen[text] && len(kinds) < most {
			seen[text] = true
			kinds = append(kinds, err)
		}
	}
	err := errors.Join(kinds...)
	if len(errs) > len(kinds) {
		return fmt.Errorf("%d keys: %w", len(errs), err)
	}
	return err
}

// joined is one key of GetMany: its flight, or why it has none.
type joined[V any] struct {
	flight *keyFlight[V]
	leader bool
	err    error
}

func (c *Cache[V]) flyMany(ctx context.Context, keys []string, load ManyLoader[V]) []joined[V] {
	js, lead := make([]joined[V], len(keys)), make([]*keyFlight[V], 0, len(keys))
	var made []keyFlight[V]
	for i, key := range keys {
		if err := validKey(key); err != nil {
			js[i].err = err
			continue
		}
		js[i].flight, js[i].leader = c.flights.JoinFrom(&made, min(len(keys)-i, shard.MaxBatch), key, kindOf(load != nil))
		if js[i].leader {
			lead = append(lead, js[i].flight)
		}
	}
	b := c.newBatch(load)
	defer b.drop()
	loads := loading[V]{load: b.loader(), batch: b}
	crashed := true
	defer func() { // see fly
		if crashed {
			for _, f := range lead {
				f.Abandon()
			}
		}
	}()
	for chunk := range slices.Chunk(lead, shard.MaxBatch) {
		for i, a := range c.askMany(ctx, chunk) {
			f := chunk[i]
			said := c.understood(ctx, a, f.Data.mark)
			if said.again {
				said = c.consultMaster(ctx, f.Key(), f.Data.mark)
			}
			c.conclude(ctx, f, loads, said)
		}
	}
	crashed = false
	b.start(ctx)
	return js
}

// batch is one call of a ManyLoader for the keys of a GetMany that have to be
// loaded. Each key's flight has a Loader that waits for it. All begin when the last
// key has been asked for: the time that this takes is not the loader's.
type batch[V any] struct {
	cache   *Cache[V]
	load    ManyLoader[V]
	wanted  []*run[V] // of the keys to be loaded
	rated   bool      // whether an outage lets it run has been decided
	runs    bool      // it does
	attempt *attempt
	refusal error // why the circuit does not let it run
	begun   bool  // the call is made
	task    flight.Task
	said    *Load[V]
	done    chan struct{} // closed when values and err are final
	values  map[string]V
	err     error
}

func (c *Cache[V]) newBatch(load ManyLoader[V]) *batch[V] {
	return &batch[V]{cache: c, load: load, said: &Load[V]{cache: c}, done: make(chan struct{})}
}

// over reports whether the call has ended.
func (b *batch[V]) over() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// permitted asks the circuit of the class, once for the call. The call counts for one key,
// the first that is to be loaded: the same call, made again, says nothing about others. It
// asks again for a key that has a better chance.
func (b *batch[V]) permitted(a *attempt, now int64) error {
	if b.attempt == nil || b.refusal != nil && b.attempt.failing && !a.failing {
		b.attempt = &attempt{guard: a.guard, client: a.client, key: a.key, failing: a.failing}
		b.refusal = b.attempt.ask(now)
	}
	return b.refusal
}

// drop gives back what the call was allowed, if it is not made after all.
func (b *batch[V]) drop() {
	if !b.begun {
		b.attempt.end(errOthersResult)
	}
}

// allowed asks the limiter of loads in an outage, once for the call.
func (b *batch[V]) allowed() bool {
	if !b.rated {
		b.rated, b.runs = true, b.cache.limiter.Allow()
	}
	return b.runs
}

// loader is the Loader of one flight; nil without a ManyLoader.
func (b *batch[V]) loader() Loader[V] {
	if b.load == nil {
		return nil
	}
	return func(ctx context.Context, key string) (V, error) {
		var none V
		over, ok := b.cache.client.waits.Await(ctx, &b.task)
		if !ok {
			return none, ErrLoadCycle
		}
		defer over()
		select {
		case <-b.done:
		case <-ctx.Done():
			select {
			case <-b.done: // in time
			default:
				return none, context.Cause(ctx)
			}
		}
		v, ok := b.values[key]
		switch err := errorOf(b.err, key); {
		case err != nil:
			return none, err
		case !ok:
			return none, ErrNotFound
		}
		return v, nil
	}
}

// verdict is what the call says about the origin.
func (b *batch[V]) verdict() error {
	_, some := errors.AsType[KeyErrors](b.err)
	if errors.Is(b.err, ErrNotModified) || some && len(b.values) > 0 { // it has answered
		return nil
	}
	return b.err
}

// start runs the loader, and the flights that wait for it.
func (b *batch[V]) start(ctx context.Context) {
	if len(b.wanted) == 0 {
		return
	}
	b.begun = true
	c := b.cache
	keys := make([]string, len(b.wanted))
	slices.SortFunc(b.wanted, func(x, y *run[V]) int { return strings.Compare(x.flight.Key(), y.flight.Key()) })
	for i, w := range b.wanted {
		keys[i] = w.flight.Key()
	}
	if !c.client.store.Spawn(func() { b.call(ctx, keys) }) {
		b.err = ErrClosed
		b.attempt.end(ErrClosed)
		close(b.done)
	}
	for _, w := range b.wanted {
		w.start(ctx)
	}
}

func (b *batch[V]) call(ctx context.Context, keys []string) {
	c := b.cache
	defer close(b.done)
	defer func() {
		b.attempt.end(b.verdict())
	}()
	own := &loadContext{task: &b.task, load: b.said}
	own.begin(ctx, shard.Life(c.client.store), c.policy.LoadTimeout)
	defer own.finish()
	ctx = own
	var told sync.Once // the log, of a failure
	defer context.AfterFunc(ctx, func() {
		b.attempt.end(context.Cause(ctx))
		if cause := context.Cause(ctx); cause == errLoadTimeout {
			told.Do(func() { c.loadFailed(ctx, "timeout", cause) })
		}
	})()
	loads := c.loadStarts(ctx, len(keys))
	defer func() { c.loadEnds(loads, len(keys), b.verdict(), &told) }()
	b.err = errGoexit
	defer func() {
		if p := recover(); p != nil {
			b.err = &LoadPanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	b.values, b.err = b.load(loads, keys)
}

// askMany asks about a chunk of flights.
func (c *Cache[V]) askMany(ctx context.Context, fs []*keyFlight[V]) []shard.Answer {
	full := make([]string, len(fs))
	now, bytes := c.client.store.Clock.Now(), 0
	for _, f := range fs {
		bytes += len(c.prefix) + len(f.Key())
	}
	var all strings.Builder // one string for all: none of them is kept
	all.Grow(bytes)
	for i, f := range fs {
		from := all.Len()
		all.WriteString(c.prefix)
		all.WriteString(f.Key())
		full[i] = all.String()[from:]
		f.Data.full, f.Data.at, f.Data.mark = full[i], now, c.keys.Mark(full[i])
	}
	found := c.keys.ReadMany(ctx, full, c.policy.ReadTimeout)
	c.askDeleted(ctx, func(i int) string { return fs[i].Key() }, found)
	return found
}

// SetMany stores several values in pipelines. The receipt is that of the least
// safely stored one; the error that of the first that was not acknowledged. While
// Redis does not take them the whole call waits no longer than Policy.WriteTimeout,
// and keeps the rest for the next master.
func (c *Cache[V]) SetMany(ctx context.Context, values map[string]V, options ...WriteOption) (Receipt, error) {
	all, ws := make([]write, len(values)), make([]*write, 0, len(values))
	for key, v := range values {
		w := &all[len(ws)]
		if err := c.setOf(ctx, w, key, v, options); err != nil {
			c.client.requests.add(stats.OpSet, stats.TierNone, stats.ResultRejected)
			return Receipt{}, err
		}
		ws = append(ws, w)
	}
	if len(ws) == 0 {
		return Receipt{}, nil
	}
	slices.SortFunc(ws, func(a, b *write) int { // locks are taken in one order everywhere
		return strings.Compare(a.Rec.Key, b.Rec.Key)
	})
	start := time.Now()
	worst, errs := c.setApart(ctx, ws)
	c.client.durations[stats.OpSet].Observe(time.Since(start))
	return worst, oneOf(errs)
}

// setApart sends what belongs to each shard, side by side: one that is away holds up no
// other.
func (c *Cache[V]) setApart(ctx context.Context, ws []*write) (worst Receipt, errs []error) {
	parts := shard.Apart(c.client.store, ws, func(w *write) string { return w.Rec.Key })
	if len(parts) == 1 {
		return c.setPart(ctx, ws)
	}
	receipts, failed := make([]Receipt, len(parts)), make([][]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { receipts[i], failed[i] = c.setPart(ctx, part) })
	}
	wg.Wait()
	return slices.MinFunc(receipts, compareReceipts), slices.Concat(failed...)
}

// setPart sends what belongs to one shard. The errors are in the order of the keys.
func (c *Cache[V]) setPart(ctx context.Context, ws []*write) (worst Receipt, errs []error) {
	worst = Receipt{Durability: Replicated, Replicas: 1 << 30}
	a := allowance{c.policy.WriteTimeout}
	for chunk := range byBytes(ws) {
		for i, res := range c.writeMany(ctx, chunk, &a) {
			if res.err == nil {
				res.err = chunk[i].checkMin(res.receipt, c.awayCauseIf(res.receipt, chunk[i]))
			}
			c.client.countWrite(stats.OpSet, res.receipt, res.err)
			if res.err != nil {
				errs = append(errs, res.err)
			}
			worst = weaker(worst, res.receipt)
		}
	}
	return worst, errs
}

// largestPipeline bounds the bytes of one pipeline of SetMany: each has the write
// timeout of the class.
const largestPipeline = 512 << 10

// byBytes cuts writes into pipelines.
func byBytes(ws []*write) iter.Seq[[]*write] {
	return func(yield func([]*write) bool) {
		first, sum := 0, 0
		for i, w := range ws {
			n := len(w.Rec.Value)
			if i > first && (i-first == shard.MaxBatch || sum+n > largestPipeline) {
				if !yield(ws[first:i]) {
					return
				}
				first, sum = i, 0
			}
			sum += n
		}
		if first < len(ws) {
			yield(ws[first:])
		}
	}
}

func weaker(a, b Receipt) Receipt {
	if compareReceipts(b, a) < 0 {
		return b
	}
	return a
}

func compareReceipts(a, b Receipt) int {
	return cmp.Or(cmp.Compare(a.Durability, b.Durability), cmp.Compare(a.Replicas, b.Replicas))
}

type written struct {
	receipt Receipt
	err     error
}

// writeMany sends a sorted chunk of Sets. Those whose lock is not free in time,
// or which must wait behind a prefix, go the way of a single write.
func (c *Cache[V]) writeMany(ctx context.Context, ws []*write, a *allowance) []written {
	out := make([]written, len(ws))
	began := time.Now()
	patience := deadline.New(ctx, began, a.left)
	patience.Whole = c.policy.WriteTimeout
	p := &patience
	defer p.Release()
	var pipe *shard.Pipeline
	if a.left > 0 {
		if pipe = c.keys.NewPipeline(p, len(ws), ws[0].Rec.Key); pipe == nil {
			a.spend(began, Receipt{})
		}
	}
	entered := c.client.writers.Enter()
	if entered {
		defer c.client.writers.Leave()
	}
	if !entered || ctx.Err() != nil || pipe == nil {
		for i, w := range ws {
			out[i] = c.writeOne(ctx, w, a)
		}
		return out
	}
	if pipe.Begin(p, ws[0].TTL) != nil { // they have one
		a.spend(began, Receipt{})
	}
	var index []int
	for i, w := range ws {
		if pipe.Lock(&w.Outgoing) {
			c.inTurn(w)
			pipe.Put(&w.Outgoing)
			index = append(index, i)
		}
	}
	sent := make([]bool, len(ws))
	for j, s := range pipe.Send() {
		i := index[j]
		sent[i] = true
		out[i].receipt, out[i].err = c.delivered(p, ws[i], s)
		pipe.Unlock(j)
	}
	if len(index) > 0 {
		a.spend(began, leastOf(out, index))
	}
	for i, w := range ws {
		if !sent[i] {
			out[i] = c.writeOne(ctx, w, a)
		}
	}
	return out
}

// leastOf is the weakest receipt of some.
func leastOf(out []written, index []int) Receipt {
	least := Receipt{Durability: Replicated}
	for _, i := range index {
		least = weaker(least, out[i].receipt)
	}
	return least
}

// writeOne is a single write of many. When they have waited long enough it is kept
// at once.
func (c *Cache[V]) writeOne(ctx context.Context, w *write, a *allowance) (res written) {
	began := time.Now()
	p := deadline.New(ctx, began, a.left)
	p.Whole = c.policy.WriteTimeout
	defer p.Release()
	if a.left > 0 {
		res.receipt, res.err = c.writeLocked(&p, w)
		a.spend(began, res.receipt)
		return res
	}
	switch {
	case !c.client.writers.Enter():
		return written{err: ErrClosed}
	case ctx.Err() != nil:
		res.err = context.Cause(ctx)
	default:
		res.receipt, res.err = c.undelivered(ctx, w, errWaited)
	}
	c.client.writers.Leave()
	return res
}

var errWaited = errors.New("the call has waited for Redis as long as Policy.WriteTimeout allows")

// allowance is how long all writes of one call may wait in vain together. What a
// master takes costs nothing of it.
type allowance struct{ left time.Duration }

// spend takes off what a step has cost that began at some time and ended in r.
func (a *allowance) spend(began time.Time, r Receipt) {
	if r.Durability < Master {
		a.left -= time.Since(began)
	}
}
