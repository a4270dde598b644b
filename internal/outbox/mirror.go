package outbox

import (
	"slices"
	"strings"
)

// Mirror keeps a copy of what a Box and a Ledger hold, such as in a file. It is
// told of what changes without the knowledge of who calls them: of what a Ledger
// takes up, and of what either gives up. A key and a text each have one place in
// it; what is newer there than what it is told of stays. It is called under
// locks, must not wait, and must not call back.
//
// It is not told of what Uncover, Take, Recall and Forget take out, nor of what Return
// does not keep: a record keeps its place until the caller of these knows what became of
// it. That caller notes that no barrier vouches for a record any more, and forgets those
// that neither Box nor Ledger holds.
//
// Where there are several Ledgers, one prefix can be held by each of them and by the
// Box. Left by one of them does not mean that the others do not hold it: so each needs a
// Mirror of its own, and the copy of a prefix goes with its last place.
type Mirror interface {
	// Waits: a Box holds p, perhaps in place of others that leave right after.
	Waits(p *Prefix)
	// Shrunk: a Box holds r in place of a value that had no room.
	Shrunk(r *Record)
	// Taken and TakenPrefix: a Ledger holds it under this number.
	Taken(r *Record, number uint64)
	TakenPrefix(p *Prefix, number uint64)
	// Left and LeftPrefix: what was made then is held no more.
	Left(key string, since int64)
	LeftPrefix(text string, since int64)
}

// Mirror tells m of all that changes from here on. It is to be called before
// anything else is.
func (b *Box) Mirror(m Mirror) { b.mirror = m }

// mirrorPrefix tells that p takes the place of those of the others that it covers.
func (b *Box) mirrorPrefix(p *Prefix, others []Prefix) {
	if b.mirror == nil {
		return
	}
	b.mirror.Waits(p) // first: a copy that ends here has too much, not too little
	b.mirrorGone(slices.DeleteFunc(slices.Clone(others), func(q Prefix) bool {
		return q.Text == p.Text || !strings.HasPrefix(q.Text, p.Text)
	}))
}

// mirrorGone tells of prefixes that are held no more.
func (b *Box) mirrorGone(ps []Prefix) {
	if b.mirror == nil {
		return
	}
	for i := range ps {
		b.mirror.LeftPrefix(ps[i].Text, ps[i].Since)
	}
}

func (b *Box) mirrorShrunk(r *Record) {
	if b.mirror != nil {
		b.mirror.Shrunk(r)
	}
}

// giveUp removes a record whose place a prefix has taken.
func (b *Box) giveUp(key string) {
	r := b.get(key)
	b.remove(key)
	if r != nil && b.mirror != nil {
		b.mirror.Left(key, r.Since)
	}
}

// Mirror is Box.Mirror for a Ledger.
func (l *Ledger) Mirror(m Mirror) { l.mirror = m }

func (l *Ledger) mirrorTaken(e *ledgerEntry) {
	if l.mirror != nil {
		l.mirror.Taken(&e.rec, e.number)
	}
}

func (l *Ledger) mirrorPrefix(p *heldPrefix) {
	if l.mirror != nil {
		l.mirror.TakenPrefix(&p.Prefix, p.number)
	}
}

func (l *Ledger) mirrorLeft(p *heldPrefix) {
	if l.mirror != nil {
		l.mirror.LeftPrefix(p.Text, p.Since)
	}
}

// lose drops e for good.
func (s *ledgerShard) lose(e *ledgerEntry) {
	key, since := e.rec.Key, e.rec.Since
	s.drop(e)
	if m := s.ledger.mirror; m != nil {
		m.Left(key, since)
	}
}

// Record returns what is held of a key.
func (l *Ledger) Record(key string) (Record, bool) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil {
		return e.rec, true
	}
	return Record{}, false
}

// Each calls record and prefix for all that is held, under locks.
func (l *Ledger) Each(record func(r *Record, number uint64), prefix func(p *Prefix, number uint64)) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, e := range s.entries {
			record(&e.rec, e.number)
		}
		s.mu.Unlock()
	}
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	for _, p := range l.prefixes.all.all() {
		prefix(&p.Prefix, p.number)
	}
}
