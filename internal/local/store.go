// Package local is L1: the bounded memory of this process. It holds decoded
// values under (class, key) and forgets the least useful ones at its bound.
package local

import (
	"iter"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Key is a key of one class; classes may share a Store.
type Key struct {
	Class uint32
	Key   string
}

// Item is what a Store holds.
type Item interface {
	// Weight is the item's cost in bytes.
	Weight() uint32
	// Retain is how long from its writing the item is worth keeping.
	Retain() time.Duration
}

// Clock gives the time in nanoseconds since some fixed point. It is asked on
// every read, so it should cost little more than reading a variable.
type Clock interface{ NowNano() int64 }

// Bound limits a Store by entries or by bytes; exactly one is positive.
type Bound struct {
	Entries int
	Bytes   int64
}

// Evictions counts what left a Store other than by replacement.
type Evictions struct {
	Capacity, Expired, Invalidated atomic.Uint64
}

// Store is a bounded map, safe for concurrent use. Close it: it owns a
// goroutine that removes what has expired.
type Store struct {
	cache *otter.Cache[Key, Item]
	bound Bound
	clock *tickingClock
	bytes atomic.Int64
}

// overhead is what an entry costs beside its value: node, key and item headers.
const overhead = 160

// New makes a Store. Evictions may be shared between Stores.
func New(b Bound, c Clock, ev *Evictions) *Store {
	s := &Store{bound: b, clock: newTickingClock(c)}
	o := &otter.Options[Key, Item]{
		ExpiryCalculator: otter.ExpiryWritingFunc(retain),
		Clock:            s.clock,
		OnAtomicDeletion: func(e otter.DeletionEvent[Key, Item]) { s.left(e, ev) },
		Logger:           &otter.NoopLogger{},
	}
	if b.Entries > 0 {
		o.MaximumSize = b.Entries
	} else {
		o.MaximumWeight = uint64(b.Bytes)
		o.Weigher = weigh
	}
	s.cache = otter.Must(o)
	return s
}

// retain: otter takes nothing left, and less, for no end at all.
func retain(e otter.Entry[Key, Item]) time.Duration { return max(e.Value.Retain(), 1) }

func weigh(k Key, it Item) uint32 { return it.Weight() + uint32(len(k.Key)) + overhead }

func (s *Store) left(e otter.DeletionEvent[Key, Item], ev *Evictions) {
	s.bytes.Add(-int64(weigh(e.Key, e.Value)))
	switch e.Cause {
	case otter.CauseOverflow:
		ev.Capacity.Add(1)
	case otter.CauseExpiration:
		ev.Expired.Add(1)
	case otter.CauseInvalidation:
		ev.Invalidated.Add(1)
	}
}

// Get returns the item under k, or nil.
func (s *Store) Get(k Key) Item {
	it, _ := s.cache.GetIfPresent(k)
	return it
}

// Set puts an item under k. One that weighs more than the whole bound is not
// kept, and neither is what k held.
func (s *Store) Set(k Key, it Item) {
	s.bytes.Add(int64(weigh(k, it)))
	s.cache.Set(k, it)
}

// Delete forgets k.
func (s *Store) Delete(k Key) { s.cache.Invalidate(k) }

// Keys goes over all keys, in no order.
func (s *Store) Keys() iter.Seq[Key] { return s.cache.Keys() }

// Len is the number of entries, Bytes their estimated cost.
func (s *Store) Len() int     { return s.cache.EstimatedSize() }
func (s *Store) Bytes() int64 { return max(0, s.bytes.Load()) }

// CapacityBytes is the bound in bytes, 0 for one in entries.
func (s *Store) CapacityBytes() int64 { return s.bound.Bytes }

// Clear forgets everything.
func (s *Store) Clear() { s.cache.InvalidateAll() }

// Close forgets everything and ends the Store's goroutine.
func (s *Store) Close() {
	s.cache.InvalidateAll()
	s.cache.StopAllGoroutines()
	s.clock.stop()
}
