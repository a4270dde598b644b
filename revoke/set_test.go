package revoke

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestMergingIsInAnyOrder: the set only grows, whatever comes twice, late or
// mixed up.
func TestMergingIsInAnyOrder(t *testing.T) {
	h := newHasher("tokens", "")
	var all []entry
	for i := range 300 {
		id := fmt.Sprint(i % 40)
		all = append(all, entry{key: h.key(kindID, id), exp: uint32(2 + rand.N(50))},
			entry{key: h.key(kindSubject, id), subject: true, exp: uint32(2 + rand.N(50)), cut: uint64(1 + rand.N(50))})
	}
	want := map[key]entry{}
	for _, e := range all {
		was := want[e.key]
		was.key, was.subject = e.key, e.subject
		want[e.key] = e.merge(was)
	}
	for range 5 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		s := newSet(1000)
		for _, e := range append(all, all[:100]...) {
			if is, was, ok := s.add(e, 0); !ok || !is.covers(was) || !is.covers(e) {
				t.Fatalf("add(%v) = %v, %v, %v", e, is, was, ok)
			}
		}
		got := map[key]entry{}
		for e := range s.unseen(1) {
			got[e.key] = e
		}
		if len(got) != len(want) || int(s.count.Load()) != len(want) {
			t.Fatalf("%d entries, %d counted, want %d", len(got), s.count.Load(), len(want))
		}
		for k, e := range want {
			if got[k] != e {
				t.Errorf("%v, want %v", got[k], e)
			}
		}
	}
}

func TestASnapshotShowsWhatRedisLacks(t *testing.T) {
	s := newSet(100)
	id := entry{key: key{1}, exp: 10}
	subject := entry{key: key{2}, subject: true, exp: 10, cut: 10}
	s.add(id, 0)
	s.add(subject, 0)
	lacks := func(reading uint32, shown ...entry) (n int) {
		for _, e := range shown {
			s.add(e, reading)
		}
		for range s.unseen(reading) {
			n++
		}
		return n
	}
	shorter, earlier := id, subject
	shorter.exp, earlier.cut = 9, 9
	long, late := earlier, subject
	late.exp = 9
	if n := lacks(1); n != 2 {
		t.Errorf("an empty snapshot lacks %d", n)
	}
	if n := lacks(2, id, subject); n != 0 {
		t.Errorf("a whole one lacks %d", n)
	}
	if n := lacks(3, shorter, earlier); n != 2 {
		t.Errorf("an older state lacks %d", n)
	}
	if n := lacks(4, id, long, late); n != 0 {
		t.Errorf("a subject in two pieces lacks %d", n)
	}
	if n := s.sweep(10); n != 0 {
		t.Errorf("swept %d in the second of their expiry", n)
	}
	if n := s.sweep(11); n != 2 || s.count.Load() != 0 {
		t.Errorf("swept %d, %d left", n, s.count.Load())
	}
}

func TestTheSetIsBounded(t *testing.T) {
	s := newSet(10)
	h := newHasher("tokens", "")
	for i := range 1000 {
		_, _, ok := s.add(entry{key: h.key(kindID, fmt.Sprint(i)), exp: 5}, 0)
		if ok != (i < 10) {
			t.Fatalf("entry %d: %v", i, ok)
		}
	}
	if _, _, ok := s.add(entry{key: h.key(kindID, "3"), exp: 6}, 0); !ok || s.count.Load() != 10 {
		t.Errorf("a longer life of one that is held: %v, %d", ok, s.count.Load())
	}
}

// TestEntriesFrom1970AreCounted and swept like others: who writes into Redis by
// hand can write any time.
func TestEntriesFrom1970AreCounted(t *testing.T) {
	s := newSet(10)
	for range 3 {
		for exp := range uint32(4) {
			s.add(entry{key: key{1: byte(exp)}, exp: exp}, 0)
		}
	}
	if n := s.count.Load(); n != 4 {
		t.Errorf("%d counted, want 4", n)
	}
	if n := s.sweep(100); n != 4 || s.count.Load() != 0 {
		t.Errorf("swept %d, %d left", n, s.count.Load())
	}
}
