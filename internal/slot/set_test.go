package slot

import (
	"slices"
	"testing"
)

func TestRangesAreRead(t *testing.T) {
	for text, want := range map[string]Range{"0": {0, 0}, "16383": {16383, 16383}, "0-5460": {0, 5460}, "7-7": {7, 7}} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "16384", "5-", "-5", "5-4", "+5", "5-+6", "1-2-3", "0x1", "5 ", "99999999999999999999"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestASetHasWhatWasPutIn(t *testing.T) {
	s := SetOf(Range{60, 200}, Range{16383, 16383}, Range{5, 5})
	s.Remove(100)
	if got := s.String(); got != "5 60-99 101-200 16383" {
		t.Errorf("the set is %s", got)
	}
	if s.Len() != 142 || s.Has(100) || !s.Has(64) || s.Has(0) || s.Empty() || !(&Set{}).Empty() {
		t.Errorf("%d slots in %s", s.Len(), s)
	}
	other := SetOf(Range{0, 99})
	if !s.Meets(other) || s.Meets(SetOf(Range{0, 4})) {
		t.Error("Meets is wrong")
	}
	s.RemoveSet(other)
	if got := s.String(); got != "101-200 16383" {
		t.Errorf("the set is %s", got)
	}
	s.AddSet(other)
	if got := slices.Collect(s.Ranges()); !slices.Equal(got, []Range{{0, 99}, {101, 200}, {16383, 16383}}) {
		t.Errorf("the ranges are %v", got)
	}
	s.Keep(SetOf(Range{50, 150}))
	if got := s.String(); got != "50-99 101-150" {
		t.Errorf("the set is %s", got)
	}
	if all := SetOf(Range{0, Count - 1}); all.Len() != Count || all.String() != "0-16383" {
		t.Errorf("all slots are %s", all)
	}
}

func TestALongSetIsCutWhereItIsShown(t *testing.T) {
	var s Set
	for n := uint16(0); n < 100; n += 2 {
		s.Add(n)
	}
	if got := s.String(); got != "0 2 4 6 8 10 12 14 …" {
		t.Errorf("the set is shown as %s", got)
	}
}

// FuzzSet compares a set with a plain list of slots.
func FuzzSet(f *testing.F) {
	f.Add([]byte{0, 0, 0, 255, 1, 63, 0, 64})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var s Set
		var plain [Count]bool
		for ; len(steps) >= 4; steps = steps[4:] {
			first := (uint16(steps[1])<<8 | uint16(steps[2])) % Count
			last := min(first+uint16(steps[3]), Count-1)
			add := steps[0]%2 == 0
			for n := first; n <= last; n++ {
				plain[n] = add
			}
			if add {
				s.AddRange(Range{first, last})
			} else {
				s.RemoveSet(SetOf(Range{first, last}))
			}
		}
		var back Set
		for r := range s.Ranges() {
			back.AddRange(r)
		}
		n := 0
		for i, in := range plain {
			if in {
				n++
			}
			if s.Has(uint16(i)) != in {
				t.Fatalf("slot %d: %v", i, !in)
			}
		}
		if back != s || s.Len() != n || len(slices.Collect(s.All())) != n {
			t.Fatalf("%s: %d slots, want %d", &s, s.Len(), n)
		}
	})
}
