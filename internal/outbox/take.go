package outbox

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"github.com/evercache/evercache/internal/slot"
)

// tenures say since when a Ledger has had each slot: the first generation whose
// acknowledgements count. There are none before the first Take.
type tenures [slot.Count]atomic.Uint32

// takenAway is the tenure of a slot that belongs to another.
const takenAway = math.MaxUint32

// Generation rises with each Take. It is to be read before a command is sent, as
// Epoch is, and given to AddIn with what the master answered.
func (l *Ledger) Generation() uint32 { return l.generation.Load() }

// left reports whether a slot has been taken away since that generation, also
// where it has been given back.
func (l *Ledger) left(s uint16, generation uint32) bool {
	t := l.tenures.Load()
	return t != nil && generation < t[s].Load()
}

// leftSince are the slots of which left is true; nil: none.
func (l *Ledger) leftSince(generation uint32) (slots *slot.Set) {
	t := l.tenures.Load()
	if t == nil || generation >= l.generation.Load() {
		return nil
	}
	for s := range uint16(slot.Count) {
		if generation < t[s].Load() {
			if slots == nil {
				slots = &slot.Set{}
			}
			slots.Add(s)
		}
	}
	return slots
}

// Take is for slots that have another owner from now on. It takes out all records
// of these slots, ordered by Since, and copies all prefixes: any of them may have
// keys there. Then Box.ReturnTo is to get them. A prefix of the ring that was deleted more
// than RingAge ago stays: what was written right after it is held no more, and cannot be
// told from what was written before.
//
// No write to one of these slots that was sent before is taken up afterwards: AddIn
// refuses it, even where Give comes first. What comes from the ring is marked Verify.
//
// It looks at every record that is held, once, so all slots that leave together
// belong into one call. Writers wait for a part of it only: each shard of the
// Ledger is locked on its own.
//
// A Mirror is told nothing: the records keep their places in it, as after Uncover,
// until the caller knows what the Box has kept of them.
func (l *Ledger) Take(slots *slot.Set, now int64) (records []Record, prefixes []Prefix) {
	if slots.Empty() {
		return nil, nil
	}
	l.moving.Lock()
	defer l.moving.Unlock()
	l.leave(slots) // first: what is added before it is found below, and nothing is added after it
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		records = s.take(slots, records)
		s.mu.Unlock()
	}
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.Since, b.Since) })
	return records, l.copyPrefixes(slots, now)
}

func (l *Ledger) leave(slots *slot.Set) {
	t := l.tenures.Load()
	if t == nil {
		t = &tenures{}
		l.tenures.Store(t)
	}
	for s := range slots.All() {
		t[s].Store(takenAway)
	}
	l.generation.Add(1)
}

// Give is for slots that belong to the master of this Ledger again. Slots that were
// never taken away belong to it from the beginning.
func (l *Ledger) Give(slots *slot.Set) {
	l.moving.Lock()
	defer l.moving.Unlock()
	t := l.tenures.Load()
	if t == nil {
		return
	}
	for s := range slots.All() {
		t[s].CompareAndSwap(takenAway, l.generation.Load())
	}
}

// take moves what is in these slots to records.
func (s *ledgerShard) take(slots *slot.Set, records []Record) []Record {
	for _, list := range []*ledgerList{&s.bare, &s.full, &s.ring} {
		for e := list.root.next; e != &list.root; {
			next := e.next
			if slots.Has(e.rec.Slot) {
				e.rec.Verify = list == &s.ring
				records = append(records, e.rec)
				s.drop(e)
			}
			e = next
		}
	}
	return records
}

// copyPrefixes are all prefixes, to be carried out in these slots once more. They
// stay here for the others.
func (l *Ledger) copyPrefixes(slots *slot.Set, now int64) (prefixes []Prefix) {
	there := *slots
	of := map[*slot.Set]*slot.Set{} // few sets, many prefixes
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	for _, p := range l.prefixes.all.all() {
		if p.ring && now-p.Since > int64(l.bounds.RingAge) {
			continue
		}
		in, ok := of[p.Slots]
		if !ok {
			in = slotsOf(p.Slots, &there)
			of[p.Slots] = in
		}
		if in.Empty() {
			continue
		}
		c := p.Prefix
		c.Slots, c.Verify = in, p.ring
		prefixes = append(prefixes, c)
	}
	slices.SortStableFunc(prefixes, func(a, b Prefix) int { return cmp.Compare(a.Since, b.Since) })
	return prefixes
}

// Overtakes reports whether what is held makes r void, which another Ledger held: a
// write of the key that is not older. It learns which values r has left. Where only a
// Touch is held that came later, a Set gets its end. Under the delete of a prefix that
// came later only the key of r is left: the delete may be a mere wish.
func (l *Ledger) Overtakes(r *Record) bool {
	s := l.shard(r.Key)
	s.mu.Lock()
	if e := s.entries[r.Key]; e != nil && e.rec.Since >= r.Since {
		if e.rec.Kind != Touch || r.Kind == Touch {
			if e.rec.Since > r.Since && r.Kind != Touch {
				e.rec.heed(r)
			}
			s.mu.Unlock()
			return true
		}
		r.TakeEnd(&e.rec)
	}
	s.mu.Unlock()
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	for p := range l.prefixes.all.over(r.Key) {
		if !p.covers(r) {
			continue
		}
		if r.Kind == Touch {
			return true
		}
		*r = r.keyOnly()
	}
	return false
}
