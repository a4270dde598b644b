package local

import (
	"iter"
	"slices"
	"sync"
)

// classParts is how many parts the items of a class are listed in. Writers of a class
// mostly wait for others of their part only.
const classParts = 8

// scanStep is how many items of a part are looked at while it is locked.
const scanStep = 128

// class lists the items of one class, so that what concerns a class needs no look at
// those of all others. An item is listed before otter has it, and until otter has it no
// more: what can be found under its key is listed.
type class struct {
	parts [classParts]part
}

// part lists items in no order. Each knows its place, so that it can be taken out: the
// last one takes its place then.
type part struct {
	mu    sync.Mutex // guards what follows, and the place of all that are listed
	items []*Item
	gone  bool     // the class is not among the Store's classes any more
	notes int      // of those who want to know what is added
	added []string // keys: an item would keep its value in memory, beyond the bound
	many  bool     // more was added than is noted
}

// mostNoted is how many items of a part are noted. Beyond it all count as added.
const mostNoted = 1024

// add lists an item; false: the class is gone. One that is listed already stays.
func (p *part) add(it *Item) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	if it.listed() {
		return true
	}
	p.items = append(p.items, it)
	if p.notes > 0 {
		p.note(it)
	}
	it.place.Store(uint32(len(p.items)))
	return true
}

func (p *part) note(it *Item) {
	if len(p.added) < mostNoted {
		p.added = append(p.added, it.key)
	} else {
		p.many = true
	}
}

// begin has what is added noted from now on; false: the class is gone.
func (p *part) begin() (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.notes++
	return true
}

func (p *part) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.notes--; p.notes == 0 {
		p.added, p.many = nil, false
	}
}

// since is what was added since begin, or was by the first of several who began; all: too
// much was.
func (p *part) since() (added []string, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.added), p.many
}

// remove takes an item out; false: it was not listed.
func (p *part) remove(it *Item) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := it.place.Load()
	if at == 0 {
		return false
	}
	last := len(p.items) - 1
	moved := p.items[last]
	p.items[at-1] = moved
	moved.place.Store(at)
	p.items[last] = nil
	p.items = p.items[:last]
	it.place.Store(0)
	if cap(p.items) > 64 && last < cap(p.items)/4 {
		p.items = append(make([]*Item, 0, cap(p.items)/2), p.items...)
	}
	return true
}

// step collects the items of the places below one, downwards, and returns the place
// below which to go on. The last item takes the place of one that is taken out: so what
// was not looked at yet stays below, however many come and go meanwhile.
func (p *part) step(below int, into []*Item) ([]*Item, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	below = min(below, len(p.items))
	from := max(0, below-scanStep)
	return append(into, p.items[from:below]...), from
}

func (p *part) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.items)
}

// of is the part for a hash, of bits that otter's table and the front do not begin with.
func (c *class) of(h uint64) *part { return &c.parts[h>>56%classParts] }

// all goes over the items that are listed for as long as that takes; of those that come or
// go meanwhile, over some.
func (c *class) all() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		for i := range c.parts {
			for it := range c.parts[i].all() {
				if !yield(it) {
					return
				}
			}
		}
	}
}

func (p *part) all() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		var found []*Item
		for below := p.len(); below > 0; {
			found, below = p.step(below, found[:0])
			for _, it := range found {
				if !yield(it) {
					return
				}
			}
		}
	}
}

// keys is all, of their keys.
func (p *part) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for it := range p.all() {
			if !yield(it.key) {
				return
			}
		}
	}
}

// Notes are of what is added to a class. End them.
type Notes struct{ of *class }

// Note begins to note what is added to a class.
func (s *Store) Note(number uint32) Notes {
	c := s.class(number)
	for !c.parts[0].begin() { // it is being let go, all parts at once
		c = s.class(number)
	}
	for i := range c.parts[1:] {
		c.parts[1+i].begin() // notes of one part keep the class
	}
	return Notes{c}
}

// End ends the notes.
func (n Notes) End() {
	for i := range n.of.parts {
		n.of.parts[i].end()
	}
}

// Keys goes over those that were added since the notes began, and perhaps over others and
// over some that have gone.
func (n Notes) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n.of.parts {
			added, many := n.of.parts[i].since()
			keys := slices.Values(added)
			if many {
				keys = n.of.parts[i].keys()
			}
			for k := range keys {
				if !yield(k) {
					return
				}
			}
		}
	}
}

// end closes an empty class to further items; false: it is not empty, or somebody makes notes.
func (c *class) end() bool {
	for i := range c.parts {
		c.parts[i].mu.Lock()
		defer c.parts[i].mu.Unlock()
	}
	for i := range c.parts {
		if len(c.parts[i].items) > 0 || c.parts[i].notes > 0 {
			return false
		}
	}
	for i := range c.parts {
		c.parts[i].gone = true
	}
	return true
}
