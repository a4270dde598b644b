package slot

import (
	"cmp"
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"
)

// Range is all slots from First to Last, both included.
type Range struct{ First, Last uint16 }

// Len is how many slots there are in r.
func (r Range) Len() int { return int(r.Last) - int(r.First) + 1 }

func (r Range) String() string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}

// ParseRange reads "5" or "0-5460", as Redis writes it.
func ParseRange(text string) (Range, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	a, errA := Parse(first)
	b, errB := Parse(last)
	if err := cmp.Or(errA, errB); err != nil {
		return Range{}, err
	}
	if a > b {
		return Range{}, fmt.Errorf("slots %s run backwards", Range{a, b})
	}
	return Range{a, b}, nil
}

// Parse reads the number of a slot.
func Parse(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n >= Count || text[0] == '+' {
		return 0, fmt.Errorf("slot %.20q is not between 0 and %d", text, Count-1)
	}
	return uint16(n), nil
}

// Set is a set of slots, 2 KiB. The zero value is the empty set, and sets can be
// compared with ==. Slots that do not exist panic.
type Set struct{ bits [Count / 64]uint64 }

// SetOf is the set of some ranges.
func SetOf(ranges ...Range) *Set {
	s := &Set{}
	for _, r := range ranges {
		s.AddRange(r)
	}
	return s
}

// Add puts a slot into the set.
func (s *Set) Add(n uint16) { s.bits[n/64] |= 1 << (n % 64) }

// AddRange puts all slots of r into the set.
func (s *Set) AddRange(r Range) {
	for n := int(r.First); n <= int(r.Last); {
		if n%64 == 0 && n+63 <= int(r.Last) {
			s.bits[n/64] = ^uint64(0)
			n += 64
			continue
		}
		s.Add(uint16(n))
		n++
	}
}

// Remove takes a slot out of the set.
func (s *Set) Remove(n uint16) { s.bits[n/64] &^= 1 << (n % 64) }

// AddSet puts all slots of other into the set.
func (s *Set) AddSet(other *Set) {
	for i, w := range other.bits {
		s.bits[i] |= w
	}
}

// RemoveSet takes all slots of other out of the set.
func (s *Set) RemoveSet(other *Set) {
	for i, w := range other.bits {
		s.bits[i] &^= w
	}
}

// Keep takes all slots out of the set that are not in other.
func (s *Set) Keep(other *Set) {
	for i, w := range other.bits {
		s.bits[i] &= w
	}
}

// Has reports whether a slot is in the set.
func (s *Set) Has(n uint16) bool { return s.bits[n/64]&(1<<(n%64)) != 0 }

// Meets reports whether the two sets have a slot in common.
func (s *Set) Meets(other *Set) bool {
	for i, w := range other.bits {
		if s.bits[i]&w != 0 {
			return true
		}
	}
	return false
}

// Empty reports whether there is no slot in the set.
func (s *Set) Empty() bool { return *s == Set{} }

// Len is how many slots are in the set.
func (s *Set) Len() int {
	n := 0
	for _, w := range s.bits {
		n += bits.OnesCount64(w)
	}
	return n
}

// All goes through the slots of the set, the lowest first.
func (s *Set) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for i, w := range s.bits {
			for ; w != 0; w &= w - 1 {
				if !yield(uint16(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// Ranges goes through the set in as few ranges as there are.
func (s *Set) Ranges() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		var r Range
		open := false
		for n := range s.All() {
			switch {
			case open && n == r.Last+1:
				r.Last = n
				continue
			case open && !yield(r):
				return
			}
			r, open = Range{n, n}, true
		}
		if open {
			yield(r)
		}
	}
}

// shown is how many ranges String writes.
const shown = 8

// String is the set as Redis writes it, cut after eight ranges: "0-5460 7000 …".
func (s *Set) String() string {
	var parts []string
	for r := range s.Ranges() {
		if len(parts) == shown {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, r.String())
	}
	return strings.Join(parts, " ")
}
