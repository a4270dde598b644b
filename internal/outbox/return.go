package outbox

import (
	"cmp"
	"slices"
)

// Return puts back, as pending, what a master that had taken it turns out not
// to have. All of it was made before what waits, except where Since says
// otherwise:
//
//   - A key for which a newer record waits keeps that one, which then knows when
//     the returned one was made; a Touch that waits is merged into a returned Set.
//   - A returned record under a prefix that waits and is not older is dropped,
//     as it would be deleted; so is what waits under a returned prefix and is not
//     newer. What is newer waits for the prefix.
//   - What is kept gets a Seq of its own, also the record that was there: a
//     replay that had sent it to the other master may not call it Done.
//
// The bounds are those of Put, newest first, and nothing is refused: where too
// many prefixes wait already, the two that have the most in common become one.
func (b *Box) Return(records []Record, prefixes []Prefix) {
	b.mu.Lock()
	defer b.unlock()
	for _, p := range slices.Backward(bySince(prefixes, func(p Prefix) int64 { return p.Since })) {
		b.returnPrefix(p)
	}
	for _, r := range slices.Backward(bySince(records, func(r Record) int64 { return r.Since })) {
		b.returnRecord(r)
	}
}

func bySince[T any](all []T, since func(T) int64) []T {
	return slices.SortedStableFunc(slices.Values(all), func(x, y T) int { return cmp.Compare(since(x), since(y)) })
}

func (b *Box) returnRecord(r Record) {
	if b.undone(&r) {
		return
	}
	old := b.get(r.Key)
	if old != nil {
		r.follow(old)
	}
	if b.fits(r) {
		b.putBack(r)
		return
	}
	b.overflow++
	switch d := r.keyOnly(); {
	case r.Kind == Touch:
	case b.fits(d):
		b.putBack(d)
		b.mirrorShrunk(&d)
	default:
		b.remove(r.Key)
		b.overflow += b.returnPrefix(r.wish())
	}
}

// undone reports whether a prefix that waits makes r void.
func (b *Box) undone(r *Record) bool {
	if r.Kind == Touch { // there will be nothing to touch
		return b.covered(r.Key) != nil
	}
	return slices.ContainsFunc(b.prefixes, func(p Prefix) bool { return p.covers(r) })
}

// putBack gives r the place of the record of its key, else the first of all.
func (b *Box) putBack(r Record) {
	b.seq++
	r.Seq = b.seq
	if e := b.byKey[r.Key]; e != nil {
		b.bytes += r.cost() - e.Value.(*Record).cost()
		e.Value = &r
		return
	}
	b.byKey[r.Key] = b.order.PushFront(&r)
	b.bytes += r.cost()
}

// returnPrefix also tells how many values were dropped under it.
func (b *Box) returnPrefix(p Prefix) (sets uint64) {
	var covered []string
	for _, e := range b.byKey {
		r := e.Value.(*Record)
		if !p.covers(r) {
			continue
		}
		if r.Kind == Set {
			sets++
		}
		covered = append(covered, r.Key)
	}
	b.seq++
	p.Seq = b.seq
	for _, q := range b.prefixes {
		if q.Text == p.Text {
			seq := p.Seq
			p = p.join(&q)
			p.Seq = seq
		}
	}
	b.mirrorPrefix(&p, b.prefixes)
	for _, key := range covered {
		b.giveUp(key)
	}
	kept := slices.DeleteFunc(b.prefixes, func(q Prefix) bool { return q.within(&p) })
	b.prefixes = slices.Insert(kept, 0, p)
	if len(b.prefixes) > maxPrefixes {
		b.joinPrefixes()
	}
	return sets
}

// joinPrefixes makes one of two prefixes. What waits between them stays, to be
// sent after it: nobody asked for its delete.
func (b *Box) joinPrefixes() {
	texts := make([]string, len(b.prefixes))
	for i := range b.prefixes {
		texts[i] = b.prefixes[i].Text
	}
	i, j := closest(texts)
	p := b.prefixes[i].join(&b.prefixes[j])
	b.seq++
	p.Seq = b.seq
	b.mirrorPrefix(&p, []Prefix{b.prefixes[i], b.prefixes[j]})
	b.prefixes[i] = p
	b.prefixes = slices.Delete(b.prefixes, j, j+1)
	b.overflow++
}
