package outbox

import (
	"iter"

	"github.com/evercache/evercache/internal/slot"
)

// maxSlotSets bounds the sets of slots, of 2 KiB each, that the prefixes in a Box or a
// Ledger refer to.
const maxSlotSets = 64

// uniteSlots prepares ps for being held beside all, where same may be held already. What
// is one prefix then has one set, which others with the same two sets share. Where sets
// become too many, all become one: then keys in more slots wait for each prefix.
func uniteSlots(ps []Prefix, same func(text string) *Prefix, all iter.Seq[*Prefix]) {
	if !limited(ps) {
		return
	}
	united := map[[2]*slot.Set]*slot.Set{}
	sets := map[*slot.Set]bool{}
	for i := range ps {
		p := &ps[i]
		if q := same(p.Text); q != nil && p.Slots != nil && q.Slots != nil {
			two := [...]*slot.Set{p.Slots, q.Slots}
			if united[two] == nil {
				united[two] = eitherSlots(p.Slots, q.Slots)
			}
			p.Slots, q.Slots = united[two], united[two]
		}
		sets[p.Slots] = true
	}
	for q := range all {
		sets[q.Slots] = true
	}
	if len(sets) > maxSlotSets {
		oneSet(func(yield func(*Prefix) bool) {
			for i := range ps {
				yield(&ps[i])
			}
			all(yield)
		})
	}
}

func limited(ps []Prefix) bool {
	for i := range ps {
		if ps[i].Slots != nil {
			return true
		}
	}
	return false
}

// oneSet has each count in the slots of all: those in which it did not have been gone over
// for it.
func oneSet(ps iter.Seq[*Prefix]) {
	all := &slot.Set{}
	for p := range ps {
		if p.Slots != nil {
			all.AddSet(p.Slots)
		}
	}
	for p := range ps {
		if p.Slots != nil {
			p.Slots = all
		}
	}
}

func slotsWithin(a, b *slot.Set) bool {
	if a == nil || b == nil || a == b {
		return b == nil || a == b
	}
	rest := *a
	rest.RemoveSet(b)
	return rest.Empty()
}

// eitherSlots is nil, that is all slots, where one of them is.
func eitherSlots(a, b *slot.Set) *slot.Set {
	switch {
	case a == nil || b == nil:
		return nil
	case slotsWithin(a, b):
		return b
	case slotsWithin(b, a):
		return a
	}
	both := *a
	both.AddSet(b)
	return &both
}

// slotsOf are those of some that a prefix with the slots of counts in.
func slotsOf(of, some *slot.Set) *slot.Set {
	if of == nil {
		return some
	}
	both := *of
	both.Keep(some)
	return &both
}

// CountsIn reports whether p counts in any of the slots; nil: in all.
func (p *Prefix) CountsIn(slots *slot.Set) bool {
	return p.Slots == nil || slots == nil || p.Slots.Meets(slots)
}

// Reaches reports whether p counts where the key is.
func (p *Prefix) Reaches(key string) bool { return p.reaches(key) }

// lessSlots is what is left of the slots of a prefix, nil: all of them.
func lessSlots(of, without *slot.Set) *slot.Set {
	rest := *slot.SetOf(slot.Range{Last: slot.Count - 1})
	if of != nil {
		rest = *of
	}
	rest.RemoveSet(without)
	return &rest
}
