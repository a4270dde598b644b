package evercache

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/evercache/evercache/internal/shard"
)

// flights are the reads and loads under way, at most one for each key. A write
// of a key takes its flight off the table and marks it superseded: callers who
// come later do not join it, and its result is kept nowhere. So a read or load
// begun before a Set or Delete of its key never overwrites it.
type flights[V any] struct {
	seed   maphash.Seed
	shards [64]flightShard[V]
}

type flightShard[V any] struct {
	mu      sync.Mutex // guards flights, and what is true or false of them
	flights map[flightKey]*flight[V]
	// fills are the flights whose value is still on its way to Redis: nobody
	// joins them, but a write of their key supersedes them as well.
	fills map[string][]*flight[V]
}

// flightKey: a read without a loader must not decide for callers with one.
type flightKey struct {
	key   string
	loads bool
}

type flight[V any] struct {
	key        flightKey
	shard      *flightShard[V]
	done       chan struct{} // made for the first who waits; closed when settled
	settled    bool          // entry, err and abandoned are final
	superseded bool
	overtaken  bool        // somebody else's write was announced before Redis's answer was there
	loading    bool        // Redis has said that it has no value
	disturbed  bool        // somebody else's write was announced since
	missed     shard.Asked // when Redis said that it has no value
	asked      int64       // when Redis was asked, and where the feed stood then
	mark       shard.Mark
	// abandoned: the one who flew gave up on its own account; try again.
	abandoned bool
	awaited   awaited
	entry     Entry[V]
	err       error
}

func newFlights[V any]() *flights[V] {
	f := &flights[V]{seed: maphash.MakeSeed()}
	for i := range f.shards {
		f.shards[i].flights = map[flightKey]*flight[V]{}
		f.shards[i].fills = map[string][]*flight[V]{}
	}
	return f
}

func (fs *flights[V]) shard(key string) *flightShard[V] {
	return &fs.shards[maphash.String(fs.seed, key)%uint64(len(fs.shards))]
}

// join returns the key's flight; leader is true for the one who must fly it
// and settle it.
func (fs *flights[V]) join(key string, loads bool) (f *flight[V], leader bool) {
	s, k := fs.shard(key), flightKey{key, loads}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[k]; f != nil {
		return f, false
	}
	f = &flight[V]{key: k, shard: s}
	s.flights[k] = f
	return f, true
}

// keep runs put unless the key was written since the flight began, or the
// flight was settled without it. No write of the key can come between the
// check and the put.
func (fs *flights[V]) keep(f *flight[V], put func()) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if !f.superseded && !f.overtaken && !f.settled {
		put()
	}
}

// superseded reports whether the key was written since the flight began.
func (fs *flights[V]) superseded(f *flight[V]) bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	return f.superseded
}

// settle gives the flight its result, takes it off the table and lets those
// who wait go on. The first result stands; false: there was one already.
func (fs *flights[V]) settle(f *flight[V], e Entry[V], err error) bool {
	return fs.end(f, func() { f.entry, f.err = e, err })
}

// settleToFill is settle for a flight whose value is still to be written to
// Redis. Until filled is called a write of the key supersedes it.
func (fs *flights[V]) settleToFill(f *flight[V], e Entry[V]) bool {
	return fs.end(f, func() {
		f.entry = e
		f.shard.fills[f.key.key] = append(f.shard.fills[f.key.key], f)
	})
}

// filled ends what settleToFill began.
func (fs *flights[V]) filled(f *flight[V]) {
	s, key := f.shard, f.key.key
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fills[key] = slices.DeleteFunc(s.fills[key], func(o *flight[V]) bool { return o == f })
	if len(s.fills[key]) == 0 {
		delete(s.fills, key)
	}
}

// abandon ends the flight without a result: those who wait try again.
func (fs *flights[V]) abandon(f *flight[V]) {
	fs.end(f, func() { f.abandoned = true })
}

func (fs *flights[V]) end(f *flight[V], set func()) bool {
	s := f.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.settled {
		return false
	}
	f.settled = true
	set()
	if s.flights[f.key] == f {
		delete(s.flights, f.key)
	}
	if f.done != nil {
		close(f.done)
	}
	return true
}

// supersede is what a write of the key does: put changes memory.
func (fs *flights[V]) supersede(key string, put func()) {
	s := fs.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.supersede(flightKey{key, false})
	s.supersede(flightKey{key, true})
	s.supersedeFills(key)
	put()
}

// announced is what somebody else's write of the key does. Whoever asks from
// here on does not join a read that may have come before it. A load that Redis's
// own word has started goes on, unless the key was deleted: its fill finds out
// whether the key has a value meanwhile, and the end of the key's life is
// announced just when its load begins.
func (fs *flights[V]) announced(key string, deleted bool, put func()) {
	s := fs.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, loads := range []bool{false, true} {
		k := flightKey{key, loads}
		switch f := s.flights[k]; {
		case f == nil:
		case deleted:
			s.supersede(k)
		case f.loading:
			f.disturbed = true
		default:
			f.overtaken = true
			delete(s.flights, k)
		}
	}
	put()
}

// loads notes that the flight has come to its load. What overtook it may have
// been the end of the key's life, so others join it again. false: another flight
// has taken off meanwhile, and may load too.
func (fs *flights[V]) loads(f *flight[V]) bool {
	s := f.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	f.loading = true
	switch {
	case f.superseded || !f.overtaken:
		return true
	case s.flights[f.key] != nil:
		return false
	}
	s.flights[f.key], f.overtaken, f.disturbed = f, false, true
	return true
}

// disturb says that keys were deleted, and nobody knows which.
func (fs *flights[V]) disturb() {
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		for _, f := range s.flights {
			f.disturbed = true
		}
		s.mu.Unlock()
	}
}

// disturbed reports whether somebody else has written the key, or may have,
// since Redis said that it has no value.
func (fs *flights[V]) disturbed(f *flight[V]) bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	return f.disturbed
}

// exchange runs put unless the key was written here since the flight began. It
// is for one that is settled.
func (fs *flights[V]) exchange(f *flight[V], put func()) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if !f.superseded {
		put()
	}
}

func (s *flightShard[V]) supersedeFills(key string) {
	for _, f := range s.fills[key] {
		f.superseded = true
	}
}

func (s *flightShard[V]) supersede(k flightKey) {
	if f := s.flights[k]; f != nil {
		f.superseded = true
		delete(s.flights, k)
	}
}

// supersedeAll does the same for every key that under reports.
func (fs *flights[V]) supersedeAll(under func(key string) bool) {
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		for k := range s.flights {
			if under(k.key) {
				s.supersede(k)
			}
		}
		for key := range s.fills {
			if under(key) {
				s.supersedeFills(key)
			}
		}
		s.mu.Unlock()
	}
}

// wait waits for the flight under the waiter's own context.
func (f *flight[V]) wait(ctx context.Context) error {
	f.shard.mu.Lock()
	settled := f.settled
	if !settled && f.done == nil {
		f.done = make(chan struct{})
	}
	done := f.done
	f.shard.mu.Unlock()
	if settled {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaited is a load, as far as others wait for it, or a call of a ManyLoader.
type awaited struct{ on []*awaited } // what it waits for; guarded by cycles

// cycles finds loads that wait for each other: without it they would until
// LoadTimeout. Who waits is known by the value in the loader's context.
type cycles struct{ mu sync.Mutex }

type loadKey struct{}

// within is the context of a load.
func within(ctx context.Context, l *awaited) context.Context {
	return context.WithValue(ctx, loadKey{}, l)
}

// await notes that the load of ctx waits for another, until done is called. In a
// context that is of no load it does nothing.
func (c *cycles) await(ctx context.Context, on *awaited) (done func(), err error) {
	from, _ := ctx.Value(loadKey{}).(*awaited)
	if from == nil {
		return func() {}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if on.leadsTo(from, map[*awaited]bool{}) {
		return nil, ErrLoadCycle
	}
	from.on = append(from.on, on)
	return func() { c.over(from, on) }, nil
}

// over takes one wait away.
func (c *cycles) over(from, on *awaited) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range from.on {
		if o == on {
			last := len(from.on) - 1
			from.on[i], from.on[last] = from.on[last], nil
			from.on = from.on[:last]
			return
		}
	}
}

// leadsTo reports whether a waits for to, or for one that does; the caller holds mu.
func (a *awaited) leadsTo(to *awaited, seen map[*awaited]bool) bool {
	if a == to {
		return true
	}
	for _, next := range a.on {
		if !seen[next] {
			seen[next] = true
			if next.leadsTo(to, seen) {
				return true
			}
		}
	}
	return false
}
