package outbox

import "github.com/evercache/evercache/internal/slot"

// DonePrefixesIn forgets that the prefixes with these numbers are to be deleted in some
// slots. What is left in none is forgotten.
func (b *Box) DonePrefixesIn(seqs map[uint64]bool, slots *slot.Set) {
	b.mu.Lock()
	defer b.unlock()
	left := map[*slot.Set]*slot.Set{} // few sets, many prefixes
	var done []string
	for text, p := range b.prefixes.all() {
		if !seqs[p.Seq] {
			continue
		}
		rest := left[p.Slots]
		if rest == nil {
			rest = lessSlots(p.Slots, slots)
			left[p.Slots] = rest
		}
		if p.Slots = rest; rest.Empty() {
			done = append(done, text)
		}
	}
	for _, text := range done {
		b.prefixes.remove(text)
	}
	b.fewSets()
}

// fewSets holds the number of sets of slots within its bound.
func (b *Box) fewSets() {
	sets := map[*slot.Set]bool{}
	for p := range b.eachPrefix {
		sets[p.Slots] = true
	}
	if len(sets) > maxSlotSets {
		oneSet(b.eachPrefix)
	}
}
