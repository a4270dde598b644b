package local

import (
	"iter"
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
	gone  bool // the class is not among the Store's classes any more
}

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
	it.place.Store(uint32(len(p.items)))
	return true
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
		var found []*Item
		for i := range c.parts {
			for below := c.parts[i].len(); below > 0; {
				found, below = c.parts[i].step(below, found[:0])
				for _, it := range found {
					if !yield(it) {
						return
					}
				}
			}
		}
	}
}

// end closes an empty class to further items; false: it is not empty.
func (c *class) end() bool {
	for i := range c.parts {
		c.parts[i].mu.Lock()
		defer c.parts[i].mu.Unlock()
	}
	for i := range c.parts {
		if len(c.parts[i].items) > 0 {
			return false
		}
	}
	for i := range c.parts {
		c.parts[i].gone = true
	}
	return true
}
