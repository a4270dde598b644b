package revoke

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"sync/atomic"
)

// table holds the ids of a shard by open addressing. A lookup takes no lock and
// touches one or two lines of memory. All else is done under the shard's lock, and
// when it must move entries it makes another table.
//
// Keys are hashes, but whoever can write the set in Redis can write any key. So the
// place of a key follows from a secret of each table: nobody can choose keys that
// all want one place, where every look-up would go over all of them.
type table struct {
	seed  maphash.Seed
	slots []slot // a power of two of them; at least one in four is free
	used  int    // that are not free
	live  int    // that hold an entry
}

// slot is free, or belongs to a key for good. The key is written before exp, and
// read after it.
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

const smallest = 8 // slots

// newTable has room for n entries and as many again before it must grow.
func newTable(n int) *table {
	size := smallest
	for size < 2*n {
		size *= 2
	}
	return &table{seed: maphash.MakeSeed(), slots: make([]slot, size)}
}

func (k key) words() (a, b uint64) {
	return binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
}

func (s *slot) key() (k key) {
	binary.LittleEndian.PutUint64(k[:8], s.a)
	binary.LittleEndian.PutUint64(k[8:], s.b)
	return k
}

func (s *slot) holds() bool { return s.exp.Load() > gone }

// place is the key's slot, or the free one where it would be. It is for who holds the lock.
func (t *table) place(k key) *slot {
	a, b := k.words()
	mask := uint64(len(t.slots) - 1)
	for i := maphash.Bytes(t.seed, k[:]) & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.exp.Load() == free || s.a == a && s.b == b {
			return s
		}
	}
}

// has may be called at any time. Whether a slot is free is asked once: a moment later it
// may be another key's.
func (t *table) has(k key) bool {
	a, b := k.words()
	mask := uint64(len(t.slots) - 1)
	for i := maphash.Bytes(t.seed, k[:]) & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		switch exp := s.exp.Load(); {
		case exp == free:
			return false
		case s.a == a && s.b == b:
			return exp > gone
		}
	}
}

// get returns what is held under the key; zero: nothing.
func (t *table) get(k key) held {
	if s := t.place(k); s.holds() {
		return held{s.exp.Load(), s.seen}
	}
	return held{}
}

// full reports whether another key needs another table.
func (t *table) full() bool { return 4*(t.used+1) > 3*len(t.slots) }

// set puts an entry under a key. The table is not full.
func (t *table) set(k key, h held) {
	s := t.place(k)
	switch s.exp.Load() {
	case free:
		s.a, s.b = k.words()
		t.used++
		t.live++
	case gone:
		t.live++
	}
	s.seen = h.seen
	s.exp.Store(h.exp)
}

// again is a table with the same entries and room for more.
func (t *table) again() *table {
	n := newTable(t.live + 1)
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
