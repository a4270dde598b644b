// Package local is L1: the bounded memory of this process. It holds decoded
// values under (class, key) and forgets the least useful ones at its bound.
package local

import (
	"hash/maphash"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Key is a key of one class; classes may share a Store.
type Key struct {
	Class uint32
	Key   string
}

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

	front    atomic.Pointer[front]
	resizing sync.Mutex    // held by whoever makes another front
	untold   atomic.Uint64 // of the dice of a hit: otter is told where none of these bits is set
	classes  sync.Map      // number to *class
	entries  atomic.Int64
}

// overhead is what an entry costs beside its value and the bytes of its key: the item 112,
// otter's node 80, its places in otter's table 17 to 34, in the front 13 to 26 and in
// the list of its class 8 to 12, its part of otter's sketch 8 to 16, and what the key is
// rounded up by, with the class's name before it. A test measures it; `go run ./bound` in
// bench measures kinds of values.
const overhead = 272

// New makes a Store. Evictions may be shared between Stores.
func New(b Bound, c Clock, ev *Evictions) *Store {
	s := &Store{bound: b, clock: newTickingClock(c), seed: maphash.MakeSeed()}
	s.front.Store(newFront(0))
	s.untold.Store(toldBefore - 1)
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

func weigh(_ uint64, it *Item) uint32 { return it.Size&^alone + uint32(len(it.key)) + overhead }

func (s *Store) left(e otter.DeletionEvent[uint64, *Item], ev *Evictions) {
	if s.bound.Entries > 0 {
		s.bytes.Add(-int64(weigh(e.Key, e.Value)))
	}
	s.unlist(e.Key, e.Value)
	switch e.Cause {
	case otter.CauseOverflow:
		s.untold.Store(told - 1)
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
func (s *Store) Get(k Key) *Item { return s.get(s.hash(k), k) }

func (s *Store) get(h uint64, k Key) *Item {
	it, ok := s.cache.GetIfPresent(h)
	if !ok || !it.is(k) {
		return nil
	}
	return it
}

// Otter is told of one hit in so many. It evicts by how often and how lately a key was read,
// for which a sample does; a smaller one before anything had to be evicted.
const (
	told       = 4
	toldBefore = 16
)

// Hit is Get for a reader who has the time: it is the quicker way. It may find what is past
// its KeepUntil, and so past all its other times.
func (s *Store) Hit(k Key, now int64) *Item {
	h := s.hash(k)
	f := s.front.Load()
	dice := (uint64(now) ^ h) * 0x9e3779b97f4a7c15 >> 32
	if dice&s.untold.Load() != 0 {
		if it := f.find(h, k); it != nil {
			return it
		}
	}
	it := s.get(h, k)
	if it != nil {
		f.keep(h, it, dice>>4)
	}
	return it
}

// Set puts an item under k. One that weighs more than the whole bound is not
// kept, and neither is what k held.
func (s *Store) Set(k Key, it *Item) {
	h := s.hash(k)
	if it.listed() {
		return // memory has it already
	}
	if !it.is(k) { // else it was here before, and who found it then may read this now
		it.class, it.key = k.Class, strings.Clone(k.Key) // the caller's may be a part of a large text
	}
	if s.bound.Entries > 0 {
		s.bytes.Add(int64(weigh(0, it)))
	}
	s.list(h, it)
	s.cache.Set(h, it)
}

// list notes an item that the Store is about to hold.
func (s *Store) list(h uint64, it *Item) {
	for !s.class(it.class).of(h).add(it) { // it is being let go
	}
	s.resize(s.entries.Add(1))
}

func (s *Store) class(number uint32) *class {
	c, ok := s.classes.Load(number)
	if !ok {
		c, _ = s.classes.LoadOrStore(number, new(class))
	}
	return c.(*class)
}

// unlist notes that the Store does not hold an item any more. Nobody finds it from now on.
func (s *Store) unlist(h uint64, it *Item) {
	if c, ok := s.classes.Load(it.class); ok && c.(*class).of(h).remove(it) {
		s.front.Load().drop(h, it)
		s.resize(s.entries.Add(-1))
	}
}

// resize makes a front of the right size. It begins empty: what is read fills it. One makes
// it for all who find that it is due: of a large Store it takes many megabytes.
func (s *Store) resize(entries int64) {
	for ; !s.front.Load().suits(entries) && s.resizing.TryLock(); entries = s.entries.Load() {
		if now := s.entries.Load(); !s.front.Load().suits(now) {
			s.front.Store(newFront(now))
		}
		s.resizing.Unlock()
	}
}

// Fits reports whether an item is not too large to be kept under k.
func (s *Store) Fits(k Key, it *Item) bool {
	return s.bound.Bytes == 0 || int64(it.Size&^alone)+int64(len(k.Key))+overhead <= s.bound.Bytes
}

// Delete forgets k.
func (s *Store) Delete(k Key) { s.cache.Invalidate(s.hash(k)) }

// Keys goes over the keys of a class, in no order. One that is there all the time is
// among them; one that comes or goes meanwhile may be.
func (s *Store) Keys(number uint32) iter.Seq[string] {
	return func(yield func(string) bool) {
		c, ok := s.classes.Load(number)
		if !ok {
			return
		}
		for it := range c.(*class).all() {
			if !yield(it.key) {
				return
			}
		}
	}
}

// LenOf is the number of entries of a class.
func (s *Store) LenOf(number uint32) (n int) {
	if c, ok := s.classes.Load(number); ok {
		for i := range c.(*class).parts {
			n += c.(*class).parts[i].len()
		}
	}
	return n
}

// Forget lets go of what the Store keeps about a class, if nothing is left of it.
func (s *Store) Forget(number uint32) {
	if c, ok := s.classes.Load(number); ok && c.(*class).end() {
		s.classes.CompareAndDelete(number, c)
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
