package outbox

import (
	"cmp"
	"slices"
	"sync"

	"github.com/evercache/evercache/internal/slot"
)

// ledgerPrefixes are the prefix deletes that a master has taken, and the wishes
// for those classes whose keys had no room.
type ledgerPrefixes struct {
	mu  sync.Mutex // guards all
	all *prefixIndex[heldPrefix]

	most int // so many
}

type heldPrefix struct {
	Prefix
	number uint64
	at     int64
	ring   bool
}

// AddPrefix notes that the master of this epoch has deleted p, like Add. What
// is held under p and is not newer is forgotten.
func (l *Ledger) AddPrefix(p Prefix, epoch uint64, now int64) (number uint64, ok bool) {
	return l.AddPrefixes([]Prefix{p}, epoch, now)
}

// AddPrefixes is AddPrefix for several.
func (l *Ledger) AddPrefixes(ps []Prefix, epoch uint64, now int64) (number uint64, ok bool) {
	number, _, ok = l.AddPrefixesIn(ps, epoch, 0, now)
	return number, ok
}

// AddPrefixesIn is AddPrefixes for deletes that began in this generation. Keys in the
// slots that have left since may not have been met: there they are to be deleted once
// more, by the Slots of a Prefix. nil: none have left.
func (l *Ledger) AddPrefixesIn(ps []Prefix, epoch uint64, generation uint32, now int64) (number uint64, left *slot.Set, ok bool) {
	l.prefixes.mu.Lock()
	if l.epoch.Load() != epoch {
		l.prefixes.mu.Unlock()
		return 0, nil, false
	}
	left = l.leftSince(generation)
	number = l.next.Load()
	deleted := NewPrefixes(ps) // as they were carried out: one that is joined below makes no record void
	ps = slices.Clone(ps)
	uniteSlots(ps, l.heldPrefix, l.eachPrefix)
	for _, p := range ps {
		p.Verify = false // this master may lose it
		l.holdPrefix(heldPrefix{Prefix: p, number: number, at: now})
	}
	l.prefixes.mu.Unlock()
	for i := range l.shards {
		l.shards[i].forgetUnder(deleted, number)
	}
	return number, left, true
}

func (l *Ledger) heldPrefix(text string) *Prefix {
	if p := l.prefixes.all.get(text); p != nil {
		return &p.Prefix
	}
	return nil
}

func (l *Ledger) eachPrefix(yield func(*Prefix) bool) {
	for _, p := range l.prefixes.all.all() {
		if !yield(&p.Prefix) {
			return
		}
	}
}

// forgetUnder forgets what ps have deleted and vouch for. It holds in a later
// epoch too: they are then pending, or in the master.
func (s *ledgerShard) forgetUnder(ps Prefixes, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		covers := func(p Prefix) bool { return p.covers(&e.rec) }
		if e.number <= number && slices.ContainsFunc(ps.Over(e.rec.Key), covers) {
			s.lose(e)
		}
	}
}

// wish holds the delete of the class of e, which is unconfirmed.
func (l *Ledger) wish(e *ledgerEntry) {
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	l.holdPrefix(heldPrefix{Prefix: e.rec.wish(), number: e.number, at: e.at})
}

// holdPrefix holds p, which is unconfirmed, in place of those that it makes
// needless. It is one with a wish for the same text.
func (l *Ledger) holdPrefix(p heldPrefix) {
	if q := l.prefixes.all.get(p.Text); q != nil {
		p = p.joinHeld(q)
		l.dropPrefix(p.Text)
	}
	l.mirrorPrefix(&p)
	for _, text := range l.prefixes.all.under(p.Text) {
		if q := l.prefixes.all.get(text); q.within(&p.Prefix) && q.number <= p.number {
			l.mirrorLeft(q)
			l.dropPrefix(text)
		}
	}
	l.countPrefix(&p, 1)
	l.prefixes.all.put(p.Text, p, false)
	if l.tooManyPrefixes() {
		l.shrinkPrefixes()
	}
}

func (l *Ledger) tooManyPrefixes() bool {
	all := l.prefixes.all
	return all.len() > l.prefixes.most || all.len() > 1 && all.bytes > maxPrefixBytes(l.bounds.Bytes)
}

func (l *Ledger) dropPrefix(text string) {
	l.countPrefix(l.prefixes.all.get(text), -1)
	l.prefixes.all.remove(text)
}

// joinHeld makes one of p, which is unconfirmed, and q.
func (p *heldPrefix) joinHeld(q *heldPrefix) heldPrefix {
	at := p.at
	if !q.ring {
		at = min(at, q.at)
	}
	return heldPrefix{Prefix: p.join(&q.Prefix), number: max(p.number, q.number), at: at}
}

func (l *Ledger) countPrefix(p *heldPrefix, n int64) {
	if !p.ring {
		l.wishes.Add(n)
	}
}

// shrinkPrefixes drops those of the ring, or else makes fewer of them: what is
// between those that become one and is older than the youngest is then deleted
// with it, where no record of it is held here.
func (l *Ledger) shrinkPrefixes() {
	all := l.prefixes.all
	to := joinedTo(all.len())
	for text, p := range all.all() {
		if p.ring && (all.len() > to || l.tooManyPrefixes()) {
			l.mirrorLeft(p)
			l.dropPrefix(text)
			l.ringDropped.Add(1)
		}
	}
	for l.tooManyPrefixes() {
		n := all.len()
		for _, group := range all.closest(max(1, n-joinedTo(n))) {
			l.joinGroup(group)
		}
	}
}

func (l *Ledger) joinGroup(texts []string) {
	j := *l.prefixes.all.get(texts[0])
	was := []heldPrefix{j}
	for _, text := range texts[1:] {
		q := l.prefixes.all.get(text)
		was = append(was, *q)
		j = j.joinHeld(q)
	}
	for _, text := range texts {
		l.dropPrefix(text)
	}
	if q := l.prefixes.all.get(j.Text); q != nil {
		j = j.joinHeld(q)
		l.dropPrefix(j.Text)
	}
	l.mirrorPrefix(&j)
	for i := range was {
		if was[i].Text != j.Text {
			l.mirrorLeft(&was[i])
		}
	}
	l.countPrefix(&j, 1)
	l.prefixes.all.put(j.Text, j, false)
	l.droppedKeys.Add(uint64(len(texts) - 1))
}

func (l *Ledger) confirmPrefixes(n uint64, now int64) {
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	if n >= l.base {
		for _, p := range l.prefixes.all.all() {
			if !p.ring && p.number <= n {
				l.countPrefix(p, -1)
				p.ring, p.at = true, now
			}
		}
	}
	l.expirePrefixesLocked(now)
}

func (l *Ledger) expirePrefixes(now int64) {
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	l.expirePrefixesLocked(now)
}

func (l *Ledger) expirePrefixesLocked(now int64) {
	for text, p := range l.prefixes.all.all() {
		if p.ring && now-p.at >= int64(l.bounds.RingAge) {
			l.mirrorLeft(p)
			l.prefixes.all.remove(text)
		}
	}
}

// uncoverPrefixes is called under all locks.
func (l *Ledger) uncoverPrefixes(held uint64) (prefixes []Prefix) {
	for text, p := range l.prefixes.all.all() {
		if p.number > held {
			prefixes = append(prefixes, p.Prefix)
			l.dropPrefix(text)
		}
	}
	slices.SortStableFunc(prefixes, func(a, b Prefix) int { return cmp.Compare(a.Since, b.Since) })
	return prefixes
}

// prefixDepth counts those of the ring, and tells the Since of the unconfirmed
// one that was taken first and before at, 0 for none.
func (l *Ledger) prefixDepth(at int64) (inRing int, since int64) {
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	for _, p := range l.prefixes.all.all() {
		switch {
		case p.ring:
			inRing++
		case p.at < at:
			at, since = p.at, p.Since
		}
	}
	return inRing, since
}
