package revoke

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// someIDs differ in their first byte, in their last, in length, or in their bytes of 0.
func someIDs() (ids []string) {
	for n := range memoIDBytes + 10 {
		base := strings.Repeat("a", n)
		ids = append(ids, base, base+"\x00", base+"b", "b"+base, "\x00"+base)
	}
	return ids
}

func TestAMemoSaysWhatTheHashSays(t *testing.T) {
	h, m := newHasher("tokens", "secret"), newMemo()
	for range 3 {
		for _, id := range someIDs() {
			for _, kind := range []byte{kindID, kindSubject} {
				if got, want := m.key(h, kind, id), h.key(kind, id); got != want {
					t.Fatalf("%c %q: %x, want %x", kind, id, got, want)
				}
			}
		}
	}
}

// Goroutines that want the same few places read what others write at that moment.
func TestAMemoThatManyUseSaysWhatTheHashSays(t *testing.T) {
	h, m := newHasher("tokens", "secret"), newMemo()
	places := make([]memoPlace, 2)
	ids, want := make([]string, 20), map[string]key{}
	for i := range ids { // whoever has compared the first word of one may go on with another
		ids[i] = string(rune('a'+i)) + strings.Repeat("-", memoIDBytes-1)
	}
	for _, id := range ids {
		want[id] = h.key(kindID, id)
	}
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 500_000 {
				id := ids[r.IntN(len(ids))]
				one, other := twoOf(places, r.Uint64())
				if k, ok := one.find(kindID, id); ok && k != want[id] {
					t.Errorf("%q: %x, want %x", id, k, want[id])
					return
				}
				other.set(kindID, id, want[id])
			}
		})
	}
	all.Wait()
	for i := range 1000 {
		if id := ids[i%len(ids)]; m.key(h, kindID, id) != want[id] {
			t.Errorf("%q has another key", id)
		}
	}
}

func TestAMemoHasABound(t *testing.T) {
	h, m := newHasher("tokens", ""), newMemo()
	for i := range 100 {
		m.key(h, kindID, fmt.Sprint("few-", i%10))
	}
	if n := len(*m.places.Load()); n != fewestPlaces {
		t.Errorf("%d places for ten ids", n)
	}
	for i := range 10 * mostPlaces {
		m.key(h, kindID, fmt.Sprint(i))
	}
	if n := len(*m.places.Load()); n != mostPlaces {
		t.Errorf("%d places, want %d", n, mostPlaces)
	}
	known := 0
	for range 20 { // what is checked often is remembered among what is not
		known = 0
		for i := range mostPlaces / 4 {
			id := fmt.Sprint("often-", i)
			one, other := m.placesOf(id)
			if _, ok := one.find(kindID, id); ok {
				known++
			} else if _, ok := other.find(kindID, id); ok {
				known++
			}
			m.key(h, kindID, id)
		}
	}
	if known < mostPlaces/4*9/10 {
		t.Errorf("%d of %d ids that are checked often are remembered", known, mostPlaces/4)
	}
}

func (m *memo) placesOf(id string) (one, other *memoPlace) {
	return twoOf(*m.places.Load(), m.at(id))
}

// An entry that is added is found by a check that knew its key before, and one that was
// pushed out of the memo by others as well.
func TestARevocationIsFoundWhateverTheMemoHas(t *testing.T) {
	h, m, s := newHasher("tokens", ""), newMemo(), newSet(1<<20)
	for i := range 3 * mostPlaces {
		id := fmt.Sprint(i)
		if s.hasID(m.key(h, kindID, id)) {
			t.Fatalf("%s is revoked by nobody", id)
		}
		if i%2 == 0 {
			s.add(entry{key: h.key(kindID, id), exp: 1000}, 0)
		}
		if got := s.hasID(m.key(h, kindID, id)); got != (i%2 == 0) {
			t.Fatalf("%s is revoked: %v", id, got)
		}
		if back := rand.IntN(i + 1); s.hasID(m.key(h, kindID, fmt.Sprint(back))) != (back%2 == 0) {
			t.Fatalf("%d is not found any more, or wrongly", back)
		}
	}
}
