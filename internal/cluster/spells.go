package cluster

import (
	"slices"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// spells is since when something has been so for which slots, the earliest first.
type spells []spell

type spell struct {
	since time.Time
	slots slot.Set
}

// maxSpells bounds the times that are told apart; later ones count as the last.
const maxSpells = 32

// update takes for which slots it is so at a time.
func (s *spells) update(now *slot.Set, at time.Time) {
	fresh := *now
	for i := range *s {
		(*s)[i].slots.Keep(now)
		fresh.RemoveSet(&(*s)[i].slots)
	}
	*s = slices.DeleteFunc(*s, func(x spell) bool { return x.slots.Empty() })
	switch {
	case fresh.Empty():
	case len(*s) == maxSpells:
		last := &(*s)[maxSpells-1]
		last.since = at
		last.slots.AddSet(&fresh)
	default:
		*s = append(*s, spell{at, fresh})
	}
}

// all are the slots for which it is so.
func (s spells) all() slot.Set {
	var all slot.Set
	for i := range s {
		all.AddSet(&s[i].slots)
	}
	return all
}

// before are those for which it was so at a time already, and since when.
func (s spells) before(at time.Time) (slots slot.Set, since time.Time) {
	for i := range s {
		if s[i].since.After(at) {
			break
		}
		if since.IsZero() {
			since = s[i].since
		}
		slots.AddSet(&s[i].slots)
	}
	return slots, since
}
