package outbox

import (
	"cmp"
	"slices"
	"sync"
)

// ledgerPrefixes are the prefix deletes that a master has taken, and the wishes
// for those classes whose keys had no room.
type ledgerPrefixes struct {
	mu  sync.Mutex // guards all
	all []heldPrefix
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
	l.prefixes.mu.Lock()
	if l.epoch.Load() != epoch {
		l.prefixes.mu.Unlock()
		return 0, false
	}
	number = l.next.Load()
	l.holdPrefix(heldPrefix{Prefix: p, number: number, at: now})
	l.prefixes.mu.Unlock()
	for i := range l.shards {
		l.shards[i].forgetUnder(&p, number)
	}
	return number, true
}

// forgetUnder forgets what p has deleted and vouches for. It holds in a later
// epoch too: p is then pending, or in the master.
func (s *ledgerShard) forgetUnder(p *Prefix, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.number <= number && p.covers(&e.rec) {
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
	same := func(q heldPrefix) bool { return q.Text == p.Text }
	if i := slices.IndexFunc(l.prefixes.all, same); i >= 0 {
		p = p.joinHeld(&l.prefixes.all[i])
	}
	l.mirrorPrefix(&p)
	l.prefixes.all = slices.DeleteFunc(l.prefixes.all, func(q heldPrefix) bool {
		needless := q.within(&p.Prefix) && q.number <= p.number
		if needless {
			l.countPrefix(&q, -1)
			if q.Text != p.Text {
				l.mirrorLeft(&q)
			}
		}
		return needless
	})
	l.countPrefix(&p, 1)
	l.prefixes.all = append(l.prefixes.all, p)
	for len(l.prefixes.all) > maxPrefixes {
		l.shrinkPrefixes()
	}
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

// shrinkPrefixes drops one of the ring, or else makes one of two: records
// between them that are older than the younger are then deleted with it.
func (l *Ledger) shrinkPrefixes() {
	all := l.prefixes.all
	if i := slices.IndexFunc(all, func(p heldPrefix) bool { return p.ring }); i >= 0 {
		l.mirrorLeft(&all[i])
		l.prefixes.all = slices.Delete(all, i, i+1)
		l.ringDropped.Add(1)
		return
	}
	texts := make([]string, len(all))
	for i := range all {
		texts[i] = all[i].Text
	}
	i, j := closest(texts)
	was := [2]heldPrefix{all[i], all[j]}
	all[i] = all[i].joinHeld(&all[j])
	l.mirrorPrefix(&all[i])
	for k := range was {
		if was[k].Text != all[i].Text {
			l.mirrorLeft(&was[k])
		}
	}
	l.prefixes.all = slices.Delete(all, j, j+1)
	l.wishes.Add(-1)
	l.droppedKeys.Add(1)
}

func (l *Ledger) confirmPrefixes(n uint64, now int64) {
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	if n >= l.base {
		for i := range l.prefixes.all {
			if p := &l.prefixes.all[i]; !p.ring && p.number <= n {
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
	l.prefixes.all = slices.DeleteFunc(l.prefixes.all, func(p heldPrefix) bool {
		old := p.ring && now-p.at >= int64(l.bounds.RingAge)
		if old {
			l.mirrorLeft(&p)
		}
		return old
	})
}

// uncoverPrefixes is called under all locks.
func (l *Ledger) uncoverPrefixes(held uint64) (prefixes []Prefix) {
	l.prefixes.all = slices.DeleteFunc(l.prefixes.all, func(p heldPrefix) bool {
		if p.number <= held {
			return false
		}
		l.countPrefix(&p, -1)
		prefixes = append(prefixes, p.Prefix)
		return true
	})
	slices.SortStableFunc(prefixes, func(a, b Prefix) int { return cmp.Compare(a.Since, b.Since) })
	return prefixes
}

// prefixDepth counts those of the ring, and tells the Since of the unconfirmed
// one that was taken first and before at, 0 for none.
func (l *Ledger) prefixDepth(at int64) (inRing int, since int64) {
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	for i := range l.prefixes.all {
		switch p := &l.prefixes.all[i]; {
		case p.ring:
			inRing++
		case p.at < at:
			at, since = p.at, p.Since
		}
	}
	return inRing, since
}
