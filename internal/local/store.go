// Package local is L1: the bounded memory of this process. It holds decoded
// values under (class, key) and forgets the least useful ones at its bound.
package local

import (
	"hash/maphash"
	"iter"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/evercache/evercache/internal/cover"
)

// Key is a key of one class; classes may share a Store.
type Key struct {
	Class uint32
	Key   string
}

// Item is what a Store holds of a key. What a hit looks at comes first. An Item
// is not modified once it is in a Store.
type Item struct {
	// Cover vouches for it; nil: none does.
	Cover *cover.Cover
	// Times of the Store's clock: served without asking Redis until TrustUntil
	// while it is covered, else until AskAfter, as fresh until FreshUntil,
	// worth keeping until KeepUntil.
	TrustUntil, AskAfter, FreshUntil int64
	key                              Key
	Value                            any
	KeepUntil                        int64
	Written                          int64  // when the value was written or loaded
	End                              End    // when its key ends in Redis
	Size                             uint32 // what the value takes in memory, in bytes; the highest bit: see Alone
	Absent                           bool   // there is no value, and that is known
	Newer                            Newer  // what Redis may hold in its place
	Refresh                          uint16 // the share of its life after which it is due, in 65536ths; 0: never
}

// Newer says whether a key has a newer value than an Item, or had one.
type Newer uint8

const (
	NoNewer    Newer = iota // none is known of
	MaybeNewer              // what was announced may be our own write, or hide that of another process
	HasNewer                // somebody else has written the key since, or Redis has lost it
)

// alone is a bit that no size has: an Item is as small as it can be.
const alone = 1 << 31

// KeepAlone says of an item that is not in a Store that Redis cannot hold its value.
func (it *Item) KeepAlone() { it.Size |= alone }

// Alone reports whether Redis cannot hold the value.
func (it *Item) Alone() bool { return it.Size&alone != 0 }

// Due reports whether an item is to be loaded again, since it will end soon.
func (it *Item) Due(now int64) bool {
	return it.Refresh != 0 && now-it.Written >= (it.FreshUntil-it.Written)>>16*int64(it.Refresh)
}

// DueAt makes an item that is not in a Store due at a moment of its life; one that is
// outside of its life: never.
func (it *Item) DueAt(at int64) {
	it.Refresh = 0
	if life := it.FreshUntil - it.Written; life > 1<<16 && at > it.Written && at < it.FreshUntil {
		it.Refresh = uint16(max(1, (at-it.Written)/(life>>16)))
	}
}

// End is when a key ends by its server's clock, in milliseconds, as between the two;
// zero: unknown.
type End struct{ From, To int64 }

// Fresh reports whether the item is within its TTL; a nil one is not.
func (it *Item) Fresh(now int64) bool { return it != nil && now < it.FreshUntil }

// Stale reports whether there is a value that may be served past its TTL.
func (it *Item) Stale(now int64) bool { return it != nil && !it.Absent && now < it.KeepUntil }

// Clock gives the time in nanoseconds since some fixed point. It is asked on
// every read, so it should cost little more than reading a variable. A Store forgets
// by it what is past KeepUntil, and decides nothing else: it may be late.
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
	cache *otter.Cache[uint64, *Item]
	bound Bound
	clock *tickingClock
	bytes atomic.Int64 // of a Store bounded by entries: of the other otter keeps the sum itself
	seed  maphash.Seed
}

// overhead is what an entry costs beside its value and the bytes of its key: the
// item, otter's node and its place in otter's table. A test measures it.
const overhead = 224

// New makes a Store. Evictions may be shared between Stores.
func New(b Bound, c Clock, ev *Evictions) *Store {
	s := &Store{bound: b, clock: newTickingClock(c), seed: maphash.MakeSeed()}
	o := &otter.Options[uint64, *Item]{
		ExpiryCalculator: otter.ExpiryWritingFunc(s.retain),
		Clock:            s.clock,
		OnAtomicDeletion: func(e otter.DeletionEvent[uint64, *Item]) { s.left(e, ev) },
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
func (s *Store) retain(e otter.Entry[uint64, *Item]) time.Duration {
	return max(time.Duration(e.Value.KeepUntil-s.clock.NowNano()), 1)
}

func weigh(_ uint64, it *Item) uint32 { return it.Size&^alone + uint32(len(it.key.Key)) + overhead }

func (s *Store) left(e otter.DeletionEvent[uint64, *Item], ev *Evictions) {
	if s.bound.Entries > 0 {
		s.bytes.Add(-int64(weigh(e.Key, e.Value)))
	}
	switch e.Cause {
	case otter.CauseOverflow:
		ev.Capacity.Add(1)
	case otter.CauseExpiration:
		ev.Expired.Add(1)
	case otter.CauseInvalidation:
		ev.Invalidated.Add(1)
	}
}

// hash is the key under which otter has it: hashing a number again is cheaper
// than hashing a string with a class, which was a sixth of a hit. Two keys of
// one hash replace each other: the item's own key tells them apart.
func (s *Store) hash(k Key) uint64 {
	return maphash.String(s.seed, k.Key) ^ uint64(k.Class)*0x9e3779b97f4a7c15
}

// Get returns the item under k, or nil.
func (s *Store) Get(k Key) *Item {
	it, ok := s.cache.GetIfPresent(s.hash(k))
	if !ok || it.key != k {
		return nil
	}
	return it
}

// Set puts an item under k. One that weighs more than the whole bound is not
// kept, and neither is what k held.
func (s *Store) Set(k Key, it *Item) {
	it.key = k
	if s.bound.Entries > 0 {
		s.bytes.Add(int64(weigh(0, it)))
	}
	s.cache.Set(s.hash(k), it)
}

// Fits reports whether an item is not too large to be kept under k.
func (s *Store) Fits(k Key, it *Item) bool {
	return s.bound.Bytes == 0 || int64(it.Size&^alone)+int64(len(k.Key))+overhead <= s.bound.Bytes
}

// Delete forgets k.
func (s *Store) Delete(k Key) { s.cache.Invalidate(s.hash(k)) }

// Keys goes over all keys, in no order.
func (s *Store) Keys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for it := range s.cache.Values() {
			if !yield(it.key) {
				return
			}
		}
	}
}

// Len is the number of entries, Bytes their estimated cost.
func (s *Store) Len() int { return s.cache.EstimatedSize() }

func (s *Store) Bytes() int64 {
	if s.bound.Entries > 0 {
		return max(0, s.bytes.Load())
	}
	s.cache.CleanUp() // else it does not know the latest yet
	return int64(s.cache.WeightedSize())
}

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
