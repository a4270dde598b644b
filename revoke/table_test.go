package revoke

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// nearKey is a key of which many want the same slots.
func nearKey(n int) (k key) {
	binary.LittleEndian.PutUint64(k[:8], uint64(n/7))
	binary.LittleEndian.PutUint64(k[8:], uint64(n%7)<<32|uint64(n%3))
	return k
}

// TestATableHoldsWhatAMapHolds whatever is put in, expires and comes again.
func TestATableHoldsWhatAMapHolds(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		tab, want := newTable(0), map[key]held{}
		for range 5000 {
			switch k := nearKey(r.IntN(600)); r.IntN(100) {
			case 0:
				before := 2 + r.Uint32N(200)
				dropped := 0
				for k, h := range want {
					if h.exp < before {
						delete(want, k)
						dropped++
					}
				}
				if got := tab.expire(before); got != dropped {
					t.Fatalf("seed %d: %d expired, want %d", seed, got, dropped)
				}
			default:
				h := held{2 + r.Uint32N(200), r.Uint32()}
				if tab.full() {
					tab = tab.again()
				}
				tab.set(k, h)
				want[k] = h
			}
		}
		n := 0
		for k, h := range tab.all() {
			n++
			if want[k] != h {
				t.Fatalf("seed %d: %v holds %v, want %v", seed, k, h, want[k])
			}
		}
		if n != len(want) || tab.live != n || tab.used < n || 4*tab.used > 3*len(tab.slots) {
			t.Fatalf("seed %d: %d entries (%d live, %d of %d slots used), want %d", seed, n, tab.live, tab.used, len(tab.slots), len(want))
		}
		for i := range 600 {
			if k := nearKey(i); tab.has(k) != (want[k] != held{}) || tab.get(k) != want[k] {
				t.Fatalf("seed %d: has %v = %v, get %v, want %v", seed, k, tab.has(k), tab.get(k), want[k])
			}
		}
	}
}

// TestAnIdIsNotFoundInASlotThatAnotherTakes at that very moment: a token that nobody has
// revoked would be refused.
func TestAnIdIsNotFoundInASlotThatAnotherTakes(t *testing.T) {
	var now atomic.Pointer[table]
	now.Store(newTable(0))
	var over atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for never := nearKey(1000); !over.Load(); {
				if now.Load().has(never) {
					t.Error("what was never added is found")
					return
				}
			}
		})
	}
	for range 40_000 {
		tab := newTable(0)
		now.Store(tab)
		for i := 0; !tab.full(); i++ {
			tab.set(nearKey(i), held{exp: 1000})
		}
	}
	over.Store(true)
	readers.Wait()
}

// TestAnAddedIdIsFoundAtOnce by every reader, while tables are replaced.
func TestAnAddedIdIsFoundAtOnce(t *testing.T) {
	s := newSet(1 << 20)
	const n = 50_000
	keyOf := func(i int) (k key) {
		binary.LittleEndian.PutUint64(k[8:], uint64(i)*0x9e3779b97f4a7c15)
		binary.LittleEndian.PutUint32(k[1:5], uint32(i))
		return k
	}
	var added atomic.Int64
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for upTo := int64(0); upTo < n; {
				upTo = added.Load()
				for i := max(0, upTo-50); i < upTo; i++ {
					if !s.hasID(keyOf(int(i))) {
						t.Errorf("%d of %d is not found", i, upTo)
						return
					}
				}
				if s.hasID(keyOf(n + 1)) {
					t.Error("what was never added is found")
					return
				}
			}
		})
	}
	for i := range n {
		if _, _, ok := s.add(entry{key: keyOf(i), exp: 1000}, 0); !ok {
			t.Fatal("no room")
		}
		added.Store(int64(i + 1))
		if i%1000 == 0 {
			s.sweep(999)
		}
	}
	readers.Wait()
}

// TestChosenKeysDoNotShareAPlace puts in keys that anybody who can write to Redis can
// make: their other bits are all alike.
func TestChosenKeysDoNotShareAPlace(t *testing.T) {
	const n = 1 << 14
	for name, chosen := range map[string]func(i int) (k key){
		"the first half differs":  func(i int) (k key) { binary.LittleEndian.PutUint64(k[:8], uint64(i)<<8); return k },
		"the second half differs": func(i int) (k key) { binary.LittleEndian.PutUint64(k[8:], uint64(i)<<40); return k },
	} {
		s, tab := newSet(n), newTable(n)
		for i := range n {
			if _, _, ok := s.add(entry{key: chosen(i), exp: 1000}, 0); !ok {
				t.Fatal("no room")
			}
			tab.set(chosen(i), held{exp: 1000})
		}
		if longest := tab.longestRun(); longest > 400 {
			t.Errorf("%s: %d slots in a row are taken", name, longest)
		}
		for i := range s.shards {
			if live := s.shards[i].ids.Load().live; live > 8*n/shardCount {
				t.Errorf("%s: a shard has %d of %d entries", name, live, n)
			}
		}
	}
}

// longestRun is how many slots a look-up may have to touch.
func (t *table) longestRun() (longest int) {
	for run, i := 0, 0; i < len(t.slots); i++ {
		if run++; t.slots[i].exp.Load() == free {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}
