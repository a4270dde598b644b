package revoke

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"
	"sync/atomic"
)

// table holds the ids of a shard by open addressing, in groups of eight slots. A lookup
// takes no lock. It looks at the tags of a group first: they are a byte for each slot, so
// those of a million ids are in the processor's cache, where the slots are not. An id that
// is not held, which is what most are asked for, touches no slot. All else is done
// under the shard's lock, and when it must move entries it makes another table.
//
// Keys are hashes, but whoever can write the set in Redis can write any key. So the
// place of a key follows from a secret of this process: nobody can choose keys that
// all want one place, where every look-up would go over all of them.
type table struct {
	seed  maphash.Seed
	tags  []atomic.Uint64 // of a group; the slots of a group are taken in order
	slots []slot          // a power of two of them; at least one in four is free
	used  int             // that are not free
	live  int             // that hold an entry
}

// slot is free, or belongs to a key for good. All of it is written before its tag, and read
// after that: so who finds a tag finds the key.
type slot struct {
	a, b uint64
	exp  atomic.Uint32 // free, gone, or when the entry expires
	seen uint32        // the last reading of Redis that had it so
}

// No entry expires in the first seconds of 1970.
const (
	free uint32 = 0
	gone uint32 = 1
)

const (
	grouped  = 8       // slots of a group
	smallest = grouped // slots
)

// Each byte of a group's tags; 0 is the tag of a free slot.
const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeros has the highest bit of the first byte that is 0, and of no byte before it; of
// those behind it more may have theirs.
func zeros(w uint64) uint64 { return (w - lows) &^ w & highs }

// newTable has room for n entries and as many again before it must grow.
func newTable(n int) *table { return tableOf(n, maphash.MakeSeed()) }

// tableOf is newTable with the secret of a set, whose hash of a key has served to choose
// the shard already. That took other bits of it.
func tableOf(n int, seed maphash.Seed) *table {
	size := smallest
	for size < 2*n {
		size *= 2
	}
	return &table{seed: seed, tags: make([]atomic.Uint64, size/grouped), slots: make([]slot, size)}
}

func (k key) words() (a, b uint64) {
	return binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
}

func keyOf(a, b uint64) (k key) {
	binary.LittleEndian.PutUint64(k[:8], a)
	binary.LittleEndian.PutUint64(k[8:], b)
	return k
}

func (s *slot) key() key { return keyOf(s.a, s.b) }

func (s *slot) holds() bool { return s.exp.Load() > gone }

// look finds the key's slot. Without one it returns where that would be, and nil.
func (t *table) look(k key, h uint64) (at int, s *slot) {
	a, b := k.words()
	tag := tagOf(h) * lows
	for g := h; ; g++ {
		group := int(g & uint64(len(t.tags)-1))
		tags := t.tags[group].Load()
		for same := zeros(tags ^ tag); same != 0; same &= same - 1 {
			at = group*grouped + bits.TrailingZeros64(same)/8
			if s = &t.slots[at]; s.a == a && s.b == b {
				return at, s
			}
		}
		if free := zeros(tags); free != 0 {
			return group*grouped + bits.TrailingZeros64(free)/8, nil
		}
	}
}

// tagOf is never 0. It is of other bits than those that choose the group.
func tagOf(h uint64) uint64 { return h>>56 | 0x80 }

func (t *table) hash(k key) uint64 { return maphash.Bytes(t.seed, k[:]) }

// has may be called at any time.
func (t *table) has(k key) bool { return t.hasHashed(k, t.hash(k)) }

func (t *table) hasHashed(k key, h uint64) bool {
	_, s := t.look(k, h)
	return s != nil && s.holds()
}

// get returns what is held under the key; zero: nothing.
func (t *table) get(k key) held {
	if _, s := t.look(k, t.hash(k)); s != nil && s.holds() {
		return held{s.exp.Load(), s.seen}
	}
	return held{}
}

// full reports whether another key needs another table.
func (t *table) full() bool { return 4*(t.used+1) > 3*len(t.slots) }

// set puts an entry under a key. The table is not full.
func (t *table) set(k key, is held) {
	h := t.hash(k)
	at, s := t.look(k, h)
	if s == nil {
		s = &t.slots[at]
		s.a, s.b = k.words()
		s.seen = is.seen
		s.exp.Store(is.exp)
		tags := &t.tags[at/grouped]
		tags.Store(tags.Load() | tagOf(h)<<(at%grouped*8)) // from here on it is found
		t.used++
		t.live++
		return
	}
	if !s.holds() {
		t.live++
	}
	s.seen = is.seen
	s.exp.Store(is.exp)
}

// again is a table with the same entries and room for more.
func (t *table) again() *table {
	n := tableOf(t.live+1, t.seed)
	for k, h := range t.all() {
		n.set(k, h)
	}
	return n
}

// expire drops what expired before that second.
func (t *table) expire(before uint32) (dropped int) {
	for i := range t.slots {
		if s := &t.slots[i]; s.holds() && s.exp.Load() < before {
			s.exp.Store(gone)
			dropped++
		}
	}
	t.live -= dropped
	return dropped
}

func (t *table) all() iter.Seq2[key, held] {
	return func(yield func(key, held) bool) {
		for i := range t.slots {
			if s := &t.slots[i]; s.holds() && !yield(s.key(), held{s.exp.Load(), s.seen}) {
				return
			}
		}
	}
}
