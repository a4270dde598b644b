// Package outbox keeps the writes that a failover must not lose: in a Box those
// that no master has taken yet, in a Ledger those that one has taken and that
// are not known to survive it. Both keep the newest one of each key, within
// bounds, in the order in which they were made. Nothing is forgotten silently: a
// value that does not fit becomes the wish to delete its key, and keys that do
// not fit become the wish to delete their whole class, since a miss is always
// safe and an old value is not.
//
// In a Cluster there is one Box, and a Ledger for each shard. Where slots get another
// owner, Ledger.Take and Box.ReturnTo carry over what is owed of them, before anything
// is sent to the new owner.
package outbox

import (
	"container/list"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrFull means that a write could not be kept in any form.
var ErrFull = errors.New("the outbox is full")

// Box is an outbox, safe for concurrent use.
type Box struct {
	maxEntries int
	maxBytes   int64
	most       int // prefixes

	waiting atomic.Int64 // records and prefixes, readable without the lock
	mirror  Mirror       // nil: nobody keeps a copy

	mu       sync.Mutex // guards what follows
	seq      uint64
	byKey    map[string]*list.Element
	order    *list.List // of *Record, oldest first
	bytes    int64
	prefixes *prefixIndex[Prefix] // oldest first
	overflow uint64
	verify   verifying

	arrived map[uint16]arrival // slots of a Cluster that have got another master
}

// New makes an empty Box with these bounds. Prefixes have bounds of their own: they
// may cost maxBytes beside the records, or 64 KiB if that is more.
func New(maxEntries int, maxBytes int64) *Box {
	return &Box{maxEntries: maxEntries, maxBytes: maxBytes, most: maxPrefixes, byKey: map[string]*list.Element{}, order: list.New(), prefixes: newPrefixIndex[Prefix]()}
}

// Put is Keep for those who do not ask what came of r.
func (b *Box) Put(r Record) error {
	_, err := b.Keep(r)
	return err
}

// Keep keeps r in place of an older record of its key. A Touch is merged into
// the Set that waits for its key, and changes nothing where a delete of the key
// waits: there will be nothing to touch. One that does not fit is left out,
// since the key then ends when it would have. Another record that does not fit
// becomes an Invalidate, and that the delete of its class. A newer record of the
// key stays, and so does the delete of a prefix of it: that came after r, which is
// void then. overtaken: it was so. ErrFull: r is not kept, and nothing else has changed.
func (b *Box) Keep(r Record) (overtaken bool, _ error) {
	b.mu.Lock()
	defer b.unlock()
	b.carryLate(&r)
	switch old := b.get(r.Key); {
	case r.Kind == Touch && b.deletes(r.Key):
		return false, nil
	case r.Kind == Touch && old != nil && old.Kind == Set && r.Since < old.Since:
		return true, nil // it touched what was there before
	case r.Kind == Touch && old != nil && old.Kind == Set:
		touch := r
		r = *old
		if r.TakeEnd(&touch); old.Verify && !b.fits(r) {
			b.overflow++ // a master has the value: it is not deleted for want of room
			return false, nil
		}
	case old != nil && old.Since > r.Since:
		old.yielded(&r)
		return true, nil
	case old != nil:
		r.learn(old)
	case b.deletedSince(&r):
		return true, nil
	}
	if b.fits(r) {
		b.put(r)
		return false, nil
	}
	lost, err := uint64(1), error(nil)
	switch d := r.keyOnly(); {
	case r.Kind == Touch:
	case b.fits(d):
		b.put(d)
	default:
		if lost, err = b.putPrefix(r.wish()); err != nil {
			return false, err
		}
		lost++
	}
	b.overflow += lost
	return false, nil
}

// deletedSince reports whether a prefix of the key waits that was deleted after r was
// made: r was kept only now. It would not settle the key, which others may have written
// between the two. Under a prefix that was made of several nobody knows whether it was
// one of these.
func (b *Box) deletedSince(r *Record) bool {
	p := b.covered(r.Key)
	if p == nil || r.Since >= p.Since {
		return false
	}
	if p.Joined && r.Kind == Set {
		b.overflow++
	}
	return true
}

// deletes reports whether what waits for the key is its delete.
func (b *Box) deletes(key string) bool {
	if r := b.get(key); r != nil {
		return r.removes()
	}
	return b.nothingLeft(key)
}

// nothingLeft reports whether there will be nothing to touch. A prefix that counts in
// some slots is carried out there once more: what was written since stays.
func (b *Box) nothingLeft(key string) bool {
	p := b.covered(key)
	return p != nil && p.Slots == nil
}

func (b *Box) eachPrefix(yield func(*Prefix) bool) {
	for _, p := range b.prefixes.all() {
		if !yield(p) {
			return
		}
	}
}

func (b *Box) unlock() {
	b.waiting.Store(int64(len(b.byKey) + b.prefixes.len()))
	b.mu.Unlock()
}

// Empty reports whether nothing waits. It takes no lock: every read asks.
func (b *Box) Empty() bool { return b.waiting.Load() == 0 }

func (b *Box) get(key string) *Record {
	if e := b.byKey[key]; e != nil {
		return e.Value.(*Record)
	}
	return nil
}

func (b *Box) fits(r Record) bool {
	entries, bytes := len(b.byKey)+1, b.bytes+r.cost()
	old := b.get(r.Key)
	if old != nil {
		entries, bytes = entries-1, bytes-old.cost()
	}
	if !r.Verify {
		n, cost := b.verify.without(old)
		entries, bytes = entries-n, bytes-cost
	}
	return entries <= b.maxEntries && bytes <= b.maxBytes
}

func (b *Box) put(r Record) {
	b.remove(r.Key)
	b.seq++
	r.Seq = b.seq
	b.byKey[r.Key] = b.order.PushBack(&r)
	b.bytes += r.cost()
	b.verify.count(&r, 1)
}

func (b *Box) remove(key string) {
	e := b.byKey[key]
	if e == nil {
		return
	}
	b.bytes -= e.Value.(*Record).cost()
	b.verify.count(e.Value.(*Record), -1)
	b.order.Remove(e)
	delete(b.byKey, key)
}

// PutPrefix keeps the wish to delete a prefix. What waits under it is dropped:
// it would be deleted anyway. ErrFull: too many prefixes wait already, or they
// have too many bytes.
func (b *Box) PutPrefix(p Prefix) error {
	b.mu.Lock()
	defer b.unlock()
	_, err := b.putPrefix(p)
	return err
}

// putPrefix also tells how many values were dropped under it. All that it takes the
// place of is dropped, also what got its turn later than p: so p becomes as new as the
// newest of it. What others wrote before that must go too.
func (b *Box) putPrefix(p Prefix) (sets uint64, err error) {
	under := b.prefixes.under(p.Text) // p covers them
	bytes := b.prefixes.bytes + prefixCost(p.Text)
	for _, text := range under {
		bytes -= prefixCost(text)
	}
	if b.prefixes.len()-len(under) >= b.most || bytes > maxPrefixBytes(b.maxBytes) {
		return 0, ErrFull
	}
	var dropped []string
	was := b.removePrefixes(under)
	for i := range was {
		p.noOlderThan(was[i].Since)
	}
	for key := range b.byKey {
		if r := b.get(key); strings.HasPrefix(key, p.Text) {
			if r.Kind == Set {
				sets++
			}
			p.noOlderThan(r.Since)
			dropped = append(dropped, key)
		}
	}
	if b.deletedAnyway(&p) {
		b.mirrorGone(was)
	} else {
		b.mirrorPrefix(&p, was)
		b.seq++
		p.Seq = b.seq
		b.prefixes.put(p.Text, p, false)
	}
	for _, key := range dropped {
		b.giveUp(key)
	}
	return sets, nil
}

// deletedAnyway reports whether a shorter prefix waits that was deleted later: p is put
// late. Whoever carries that one out began when p's keys had been written.
func (b *Box) deletedAnyway(p *Prefix) bool {
	for q := range b.prefixes.over(p.Text) {
		if p.Since < q.Since && p.within(q) {
			return true
		}
	}
	return false
}

// Find tells what waits for a key: its record, or, under a prefix that is to
// be deleted, a Delete.
func (b *Box) Find(key string) (r Record, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waits := b.get(key)
	if waits != nil && waits.Kind != Touch {
		return *waits, true
	}
	p := b.covered(key)
	if waits != nil && (p == nil || p.Slots == nil) {
		return *waits, true
	}
	if p != nil {
		return Record{Kind: Delete, Key: key, Since: p.Since, Seq: p.Seq}, true
	}
	return Record{}, false
}

// Record returns the record that waits for a key, whatever prefix is to be
// deleted before.
func (b *Box) Record(key string) (Record, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.get(key); r != nil {
		return *r, true
	}
	return Record{}, false
}

// Ready returns the record of a key if it may be sent now: one under a prefix
// that is still to be deleted would be deleted with it.
func (b *Box) Ready(key string) (Record, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.get(key); r != nil && b.covered(key) == nil {
		return *r, true
	}
	return Record{Key: key}, false
}

// Covered reports whether a prefix of the key is to be deleted.
func (b *Box) Covered(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.covered(key) != nil
}

// covered returns the prefix of the key that was deleted last. The slot of the key is
// computed only under a prefix that waits for some slots.
func (b *Box) covered(key string) (latest *Prefix) {
	for p := range b.prefixes.over(key) {
		if (latest == nil || p.Since > latest.Since) && p.reaches(key) {
			latest = p
		}
	}
	return latest
}

// Oldest returns up to n records that are Ready and that want approves (nil:
// all), in the order they were made. They stay until Done.
//
// It looks at some at a time, so that writes need not wait for it: of what is put
// or done meanwhile it may tell or not.
func (b *Box) Oldest(n int, want func(*Record) bool) []Record {
	s := scan{box: b, n: n, want: want}
	for s.next() {
	}
	return s.found
}

// Prefixes returns the prefixes that wait. They are to be deleted before the
// records under them are sent, since every one of those is newer.
func (b *Box) Prefixes() []Prefix {
	b.mu.Lock()
	defer b.mu.Unlock()
	ps := make([]Prefix, 0, b.prefixes.len())
	for _, p := range b.prefixes.all() {
		ps = append(ps, *p)
	}
	return ps
}

// Done forgets the record of key unless a newer one than seq has replaced it.
func (b *Box) Done(key string, seq uint64) {
	b.mu.Lock()
	defer b.unlock()
	if r := b.get(key); r != nil && r.Seq <= seq {
		b.remove(key)
	}
}

// DonePrefix forgets the prefix with this number.
func (b *Box) DonePrefix(seq uint64) {
	b.mu.Lock()
	defer b.unlock()
	for text, p := range b.prefixes.all() {
		if p.Seq == seq {
			b.prefixes.remove(text)
			return
		}
	}
}

// Taken notes that the master has taken r otherwise: what waits for its key and
// is not newer is forgotten. A Touch takes the place of nothing but a Touch. What
// is newer learns which value r has left, and takes no floor from a time at which it was
// acknowledged itself.
func (b *Box) Taken(r Record) {
	b.mu.Lock()
	defer b.unlock()
	switch old := b.get(r.Key); {
	case old == nil:
	case old.Since > r.Since && r.Kind == Touch: // it moved the end of the key, not its value
	case old.Since > r.Since:
		old.yielded(&r)
	case r.Kind != Touch || old.Kind == Touch:
		b.remove(r.Key)
	}
}

// Depth is what waits.
type Depth struct {
	Entries    int // records and prefixes
	Bytes      int64
	Oldest     int64 // Since of the oldest; 0 when nothing waits
	Overflowed uint64
	Verify     int    // of Entries: a master most likely has them
	Unverified uint64 // such that had no room
}

// Depth tells what waits.
func (b *Box) Depth() Depth {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := Depth{Entries: len(b.byKey) + b.prefixes.len(), Bytes: b.bytes + b.prefixes.bytes, Overflowed: b.overflow, Verify: b.verify.entries, Unverified: b.verify.dropped}
	for _, p := range b.prefixes.all() {
		if p.Verify {
			d.Verify++
		}
	}
	if e := b.order.Front(); e != nil {
		d.Oldest = e.Value.(*Record).Since
	}
	for _, p := range b.prefixes.all() {
		if d.Oldest == 0 || p.Since < d.Oldest {
			d.Oldest = p.Since
		}
	}
	return d
}
