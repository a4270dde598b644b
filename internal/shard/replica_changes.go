package shard

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// changes notes by hash of the key when it was changed last. Two keys of one place
// hold each other up until the next barrier; nothing else follows.
type changes struct {
	seed   maphash.Seed
	places [1 << 16]atomic.Uint64
}

func newChanges() *changes { return &changes{seed: maphash.MakeSeed()} }

func (c *changes) place(key string) *atomic.Uint64 {
	return &c.places[maphash.String(c.seed, key)%uint64(len(c.places))]
}

func (c *changes) of(key string) change { return change(c.place(key).Load()) }

// raise notes a change, unless a later one is known.
func raise(place *atomic.Uint64, to change) {
	for {
		was := change(place.Load())
		if was.number() >= to.number() || place.CompareAndSwap(uint64(was), uint64(to)) {
			return
		}
	}
}

// doubts are the places of own writes that may still land: no answer to them has come.
// They are not announced to the one who sent them.
type doubts struct {
	all atomic.Uint64 // not 0: there are too many to note each, or one is the delete of a prefix

	mu     sync.Mutex // guards what follows, and writes of all
	places []*atomic.Uint64
	number uint64 // the last one that all was given
}

// maxDoubts bounds them.
const maxDoubts = 1024

func (d *doubts) add(place *atomic.Uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.places) >= maxDoubts {
		d.number++
		d.all.Store(d.number)
		return
	}
	place.Store(uint64(unsure))
	d.places = append(d.places, place)
}

// addAll notes a doubt about all keys.
func (d *doubts) addAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.number++
	d.all.Store(d.number)
}

// take returns those that were noted so far.
func (d *doubts) take() (places []*atomic.Uint64, all uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	places, d.places = d.places, nil
	return places, d.all.Load()
}

// settle gives the places that were taken another change, but for those that were noted
// again meanwhile. all is what take said of all keys.
func (d *doubts) settle(places []*atomic.Uint64, all uint64, to change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all.CompareAndSwap(all, 0)
	again := make(map[*atomic.Uint64]bool, len(d.places))
	for _, p := range d.places {
		again[p] = true
	}
	for _, p := range places {
		if !again[p] {
			p.Store(uint64(to))
		}
	}
}

// giveBack notes them again.
func (d *doubts) giveBack(places []*atomic.Uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.places = append(d.places, places...)
}

// sentBarriers remembers when the last barriers were sent.
type sentBarriers struct {
	mu  sync.Mutex // guards all
	all [1024]struct {
		n  uint64
		at int64
	}
}

// note is to be called right before the barrier is sent.
func (s *sentBarriers) note(n uint64, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &s.all[n%uint64(len(s.all))]
	one.n, one.at = n, at
}

// of is when it was sent; 0: it is not remembered.
func (s *sentBarriers) of(n uint64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.all[n%uint64(len(s.all))]; one.n == n {
		return one.at
	}
	return 0
}
