// Package flight is single flight by key: of the callers who want one key at the same
// time one leads, and the others get its result.
//
// A write of the key supersedes its flight: callers who come later begin another, and
// the result is kept nowhere. So a read or load that began before a Set or Delete of its
// key never overwrites it. A write by another process, which is announced, does the same
// to a read; a load goes on and is marked as disturbed, a refresh is superseded. Loads that
// wait for each other are found (Waits).
package flight

import (
	"hash/maphash"
	"sync"
)

// Group is the flights of the keys of one class: at most one of each kind for each key. R is their result, D what the one who leads notes of a flight.
type Group[R, D any] struct {
	seed    maphash.Seed
	stripes [64]stripe[R, D]
}

// stripe is the flights of some of the keys, under one lock.
type stripe[R, D any] struct {
	mu      sync.Mutex // guards flights, and what is true or false of them
	flights map[keyOf]*Flight[R, D]
	// fills are the flights whose value is still on its way to the store: nobody
	// joins them, but a write of their key supersedes them as well.
	fills map[string]*Flight[R, D] // of each key the last, which leads to the others
}

// Kind is what a flight is for.
type Kind uint8

const (
	// Reads: a read without a loader, which must not decide for callers with one.
	Reads Kind = iota
	// Loads: a read that loads what is nowhere.
	Loads
	// Refreshes: a load of what memory still has. Nobody joins it who wants the key:
	// see Refreshing.
	Refreshes
)

var kinds = [...]Kind{Reads, Loads, Refreshes}

type keyOf struct {
	key  string
	kind Kind
}

// New makes a Group.
func New[R, D any]() *Group[R, D] {
	g := &Group[R, D]{seed: maphash.MakeSeed()}
	for i := range g.stripes {
		g.stripes[i].flights = map[keyOf]*Flight[R, D]{}
		g.stripes[i].fills = map[string]*Flight[R, D]{}
	}
	return g
}

func (g *Group[R, D]) stripe(key string) *stripe[R, D] {
	return &g.stripes[maphash.String(g.seed, key)%uint64(len(g.stripes))]
}

// Join returns the key's flight; leader is true for the one who must fly it
// and settle it.
func (g *Group[R, D]) Join(key string, kind Kind) (f *Flight[R, D], leader bool) {
	var made []Flight[R, D]
	return g.JoinFrom(&made, 1, key, kind)
}

// JoinFrom is Join for one of several keys: flights are made so many at a time. All of them
// are kept as long as somebody has one.
func (g *Group[R, D]) JoinFrom(made *[]Flight[R, D], most int, key string, kind Kind) (f *Flight[R, D], leader bool) {
	s, k := g.stripe(key), keyOf{key, kind}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[k]; f != nil {
		return f, false
	}
	if len(*made) == 0 {
		*made = make([]Flight[R, D], most)
	}
	f, *made = &(*made)[0], (*made)[1:]
	f.key, f.stripe = k, s
	s.flights[k] = f
	return f, true
}

// Supersede is what a write of the key does: put changes memory.
func (g *Group[R, D]) Supersede(key string, put func()) {
	s := g.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range kinds {
		s.supersede(keyOf{key, kind})
	}
	s.supersedeFills(key)
	put()
}

// Refreshing is the refresh of the key that is under way, or nil.
func (g *Group[R, D]) Refreshing(key string) *Flight[R, D] {
	s := g.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flights[keyOf{key, Refreshes}]
}

// SupersedeAll is Supersede for every key that under reports; what memory holds of them
// is dropped afterwards, key by key.
func (g *Group[R, D]) SupersedeAll(under func(key string) bool) {
	for i := range g.stripes {
		s := &g.stripes[i]
		s.mu.Lock()
		for k := range s.flights {
			if under(k.key) {
				s.supersede(k)
			}
		}
		for key := range s.fills {
			if under(key) {
				s.supersedeFills(key)
			}
		}
		s.mu.Unlock()
	}
}

// Announced is what somebody else's write of the key does. Whoever asks from
// here on does not join a read that may have come before it. A load that the store's
// own word has started goes on, unless the key was deleted: its fill finds out
// whether the key has a value meanwhile, and the end of the key's life is
// announced just when its load begins.
// doubtful: what is announced may be no write of anybody else. It may be a script of this
// process, as that of a refresh, or the end of the key's life. Then a refresh goes on too.
func (g *Group[R, D]) Announced(key string, deleted, doubtful bool, put func()) {
	s := g.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range kinds {
		k := keyOf{key, kind}
		switch f := s.flights[k]; {
		case f == nil:
		case deleted, kind == Refreshes && !doubtful:
			s.supersede(k)
		case f.loading:
			f.disturbed = true
		default:
			f.overtaken = true
			delete(s.flights, k)
		}
	}
	put()
}

// Disturb says that keys were deleted, and nobody knows which.
func (g *Group[R, D]) Disturb() {
	for i := range g.stripes {
		s := &g.stripes[i]
		s.mu.Lock()
		for _, f := range s.flights {
			f.disturbed = true
		}
		s.mu.Unlock()
	}
}

// Len is how many flights there are that others can join, and how many values are on
// their way to the store.
func (g *Group[R, D]) Len() (flights, fills int) {
	for i := range g.stripes {
		s := &g.stripes[i]
		s.mu.Lock()
		flights += len(s.flights)
		for _, f := range s.fills {
			for ; f != nil; f = f.fill {
				fills++
			}
		}
		s.mu.Unlock()
	}
	return flights, fills
}

func (s *stripe[R, D]) supersedeFills(key string) {
	for f := s.fills[key]; f != nil; f = f.fill {
		f.superseded = true
	}
}

func (s *stripe[R, D]) supersede(k keyOf) {
	if f := s.flights[k]; f != nil {
		f.superseded = true
		delete(s.flights, k)
	}
}
