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
//   - A prefix that was Joined drops no record: those under it wait for it.
//   - What is kept gets a Seq of its own, also the record that was there: a
//     replay that had sent it to the other master may not call it Done.
//
// The bounds are those of Put, newest first, and nothing is refused: where too
// many prefixes wait already, those that have the most in common become one.
//
// Records come back some at a time, so that a write beside them need not wait for
// all: it is put in its place among them.
//
// Records and prefixes to Verify are let go where they have no room.
func (b *Box) Return(records []Record, prefixes []Prefix) {
	b.ReturnTo(records, prefixes, nil)
}

// ReturnTo is Return of what another master is to get. void is asked for each record,
// under the lock of the Box: it is to be Overtakes of that master's Ledger. What it says
// is void is dropped, or an older write would hide a newer one that this master has.
func (b *Box) ReturnTo(records []Record, prefixes []Prefix, void func(*Record) bool) {
	prefixes = bySince(prefixes, func(p Prefix) int64 { return p.Since })
	records = bySince(records, func(r Record) int64 { return r.Since })
	dropped := NewPrefixes(b.returnPrefixes(prefixes))
	gone := func(r *Record) bool { return dropped.undo(r) || void != nil && void(r) }
	for len(records) > 0 {
		from := max(0, len(records)-heldAtOnce)
		b.returnRecords(records[from:], gone)
		records = records[:from]
	}
}

// heldAtOnce is how many records are looked at while others wait for the Box.
const heldAtOnce = 256

// returnPrefixes returns those that had no room.
func (b *Box) returnPrefixes(ps []Prefix) (dropped []Prefix) {
	b.mu.Lock()
	defer b.unlock()
	ps, dropped = b.roomToVerify(ps)
	b.dropUnder(ps) // before one that is joined makes no record void any more
	uniteSlots(ps, b.prefixes.get, b.eachPrefix)
	b.dropCovered(ps)
	b.dropUnder(dropped)
	for _, p := range slices.Backward(ps) {
		b.holdPrefix(p)
	}
	return dropped
}

func (b *Box) returnRecords(rs []Record, void func(*Record) bool) {
	b.mu.Lock()
	defer b.unlock()
	b.waiting.Add(1) // who adds to that Ledger from here on does not find the Box Empty
	for _, r := range slices.Backward(rs) {
		if !void(&r) {
			b.returnRecord(r)
		}
	}
}

// ReturnFirst is Return for a prefix that is older than all that waits under it.
func (b *Box) ReturnFirst(p Prefix) {
	b.mu.Lock()
	defer b.unlock()
	b.holdPrefix(p)
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
	if r.Verify {
		b.remove(r.Key) // what is older and waits must not come after it
		b.verify.dropped++
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
	if r.Kind == Touch {
		return b.nothingLeft(r.Key)
	}
	for p := range b.prefixes.over(r.Key) {
		if p.covers(r) {
			return true
		}
	}
	return false
}

// putBack gives r the place of the record of its key, else the first of all.
func (b *Box) putBack(r Record) {
	b.seq++
	r.Seq = b.seq
	if e := b.byKey[r.Key]; e != nil {
		b.bytes += r.cost() - e.Value.(*Record).cost()
		b.verify.count(e.Value.(*Record), -1)
		b.verify.count(&r, 1)
		e.Value = &r
		return
	}
	b.byKey[r.Key] = b.order.PushFront(&r)
	b.bytes += r.cost()
	b.verify.count(&r, 1)
}

// returnPrefix also tells how many values were dropped under it.
func (b *Box) returnPrefix(p Prefix) (sets uint64) {
	sets = b.dropCovered([]Prefix{p})
	b.holdPrefix(p)
	return sets
}

// dropCovered drops what waits under one of ps and is not newer, and tells how
// many values that were.
func (b *Box) dropCovered(ps []Prefix) (sets uint64) {
	if len(ps) == 0 {
		return 0
	}
	for i := range ps {
		b.mirrorPrefix(&ps[i], nil) // before what it covers leaves
	}
	return b.dropUnder(ps)
}

func (b *Box) dropUnder(ps []Prefix) (sets uint64) {
	if len(ps) == 0 {
		return 0
	}
	var covered []string
	returned := NewPrefixes(ps)
	for _, e := range b.byKey {
		r := e.Value.(*Record)
		if !returned.undo(r) {
			continue
		}
		if r.Kind == Set {
			sets++
		}
		covered = append(covered, r.Key)
	}
	for _, key := range covered {
		b.giveUp(key)
	}
	return sets
}

// holdPrefix puts p before those that wait, and is one with one of the same text.
func (b *Box) holdPrefix(p Prefix) {
	if q := b.prefixes.get(p.Text); q != nil {
		p = p.join(q)
	}
	needless := b.removePrefixes(slices.DeleteFunc(b.prefixes.under(p.Text), func(text string) bool {
		return text != p.Text && !b.prefixes.get(text).within(&p)
	}))
	b.seq++
	p.Seq = b.seq
	b.mirrorPrefix(&p, needless)
	b.prefixes.put(p.Text, p, true)
	b.joinPrefixes()
}

// removePrefixes takes them out and returns them.
func (b *Box) removePrefixes(texts []string) (ps []Prefix) {
	for _, text := range texts {
		ps = append(ps, *b.prefixes.get(text))
		b.prefixes.remove(text)
	}
	return ps
}

// joinPrefixes makes fewer of too many. What waits between those that become one
// stays, to be sent after it: nobody asked for its delete.
func (b *Box) joinPrefixes() {
	for b.prefixes.len() > b.most || b.prefixes.bytes > maxPrefixBytes(b.maxBytes) && b.prefixes.len() > 1 {
		n := b.prefixes.len()
		for _, group := range b.prefixes.closest(max(1, n-joinedTo(n))) {
			was := b.removePrefixes(group)
			j := was[0]
			for i := range was[1:] {
				j = j.join(&was[i+1])
			}
			if q := b.prefixes.get(j.Text); q != nil {
				j = j.join(q)
			}
			b.seq++
			j.Seq = b.seq
			b.mirrorPrefix(&j, was)
			b.prefixes.put(j.Text, j, true)
			b.overflow += uint64(len(group) - 1)
		}
	}
}
