package heapsize

import "slices"

// seen are the pointers and maps of one value that were looked at, so that what it
// has twice, or what leads back to it, counts once.
type seen struct {
	few   [8]place
	n     int
	table []place // once there are more: each near where hash says
}

// place is one of them. A struct and its first field are at the same address.
type place struct {
	plan *plan // nil: none is here
	at   uintptr
}

// first reports whether it had not been there, and notes it.
func (s *seen) first(p *plan, at uintptr) bool {
	here := place{p, at}
	if s.table == nil {
		if slices.Contains(s.few[:s.n], here) {
			return false
		}
		if s.n < len(s.few) {
			s.few[s.n] = here
			s.n++
			return true
		}
	}
	if 2*s.n >= len(s.table) {
		s.grow()
	}
	return s.enter(here)
}

// grow makes a table of four times the size.
func (s *seen) grow() {
	was := s.table
	if was == nil {
		was = s.few[:]
	}
	s.table, s.n = make([]place, 4*len(was)), 0
	for _, p := range was {
		if p.plan != nil {
			s.enter(p)
		}
	}
}

// enter reports whether it was not in the table, in which there is room.
func (s *seen) enter(here place) bool {
	for i := here.hash(); ; i++ {
		switch p := &s.table[i%uint64(len(s.table))]; {
		case *p == here:
			return false
		case p.plan == nil:
			*p = here
			s.n++
			return true
		}
	}
}

func (p place) hash() uint64 { return uint64(p.at) * 0x9e3779b97f4a7c15 >> 32 }
