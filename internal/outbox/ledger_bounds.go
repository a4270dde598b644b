package outbox

import "math"

// over reports whether more is unconfirmed than there is room for.
func (l *Ledger) over() bool { return l.tooMany() || l.tooMuch() }

func (l *Ledger) tooMany() bool { return l.records.Load() > int64(l.bounds.Entries) }
func (l *Ledger) tooMuch() bool { return l.bytes.Load() > l.bounds.Bytes }

// shed makes room, with the oldest of all shards at the time it looks: values
// go first, then keys, whose place is taken by the delete of their class.
func (l *Ledger) shed() {
	l.shedding.Lock()
	defer l.shedding.Unlock()
	for l.over() {
		if l.tooMuch() && !l.tooMany() && l.shedOldest(fullFront, (*ledgerShard).dropValue) {
			continue
		}
		if !l.shedOldest(oldestFront, (*ledgerShard).dropKey) {
			return // it has been forgotten or confirmed meanwhile
		}
	}
}

func fullFront(s *ledgerShard) *ledgerEntry { return s.full.front() }

func ringFront(s *ledgerShard) *ledgerEntry { return s.ring.front() }

func oldestFront(s *ledgerShard) *ledgerEntry {
	if e := s.bare.front(); e != nil {
		return e
	}
	return s.full.front()
}

// shedOldest does it to the oldest of what the shards have in front.
func (l *Ledger) shedOldest(front func(*ledgerShard) *ledgerEntry, do func(*ledgerShard, *ledgerEntry)) bool {
	var oldest *ledgerShard
	at := int64(math.MaxInt64)
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		if e := front(s); e != nil && (e.at < at || oldest == nil) {
			oldest, at = s, e.at
		}
		s.mu.Unlock()
	}
	if oldest == nil {
		return false
	}
	oldest.mu.Lock()
	defer oldest.mu.Unlock()
	if e := front(oldest); e != nil { // perhaps another one by then
		do(oldest, e)
	}
	return true
}

// dropValue makes e bare.
func (s *ledgerShard) dropValue(e *ledgerEntry) {
	s.pull(e)
	if e.rec.Kind == Set {
		e.rec = e.rec.keyOnly()
		s.ledger.dropped.Add(1)
	}
	s.push(&s.bare, e)
	s.ledger.mirrorTaken(e)
}

// dropKey leaves of e the delete of its class; of a Touch nothing, since its
// key then ends when it would have.
func (s *ledgerShard) dropKey(e *ledgerEntry) {
	if e.rec.Kind == Touch {
		s.ledger.dropped.Add(1)
	} else {
		s.ledger.wish(e)
		s.ledger.droppedKeys.Add(1)
	}
	s.lose(e)
}

// shrinkRing drops from the ring what is over its bound: what was confirmed
// first, and of what was confirmed together any.
func (l *Ledger) shrinkRing() {
	for l.ringTooMuch() && l.shedOldest(ringFront, (*ledgerShard).shrinkRing) {
	}
}

func (l *Ledger) ringTooMuch() bool { return l.ringBytes.Load() > l.bounds.RingBytes }

// shrinkRing drops e and what was confirmed together with it.
func (s *ledgerShard) shrinkRing(e *ledgerEntry) {
	for at := e.at; e != nil && e.at == at && s.ledger.ringTooMuch(); e = s.ring.front() {
		s.lose(e)
		s.ledger.ringDropped.Add(1)
	}
}

// LedgerDepth is what a Ledger holds and what it had no room for.
type LedgerDepth struct {
	Unconfirmed, Ring int // records and prefixes
	Bytes, RingBytes  int64
	Dropped           uint64 // values of unconfirmed records, of which the key was kept; and Touches
	DroppedKeys       uint64 // keys of unconfirmed records, of which the delete of their class was kept
	RingDropped       uint64 // confirmed records and prefixes dropped before their age
	// Oldest is the Since of the unconfirmed record or prefix that was taken
	// first; 0 when there is none.
	Oldest int64
}

// Depth tells what is held.
func (l *Ledger) Depth() LedgerDepth {
	d := LedgerDepth{
		Unconfirmed: l.Unconfirmed(),
		Bytes:       l.bytes.Load(),
		RingBytes:   l.ringBytes.Load(),
		Dropped:     l.dropped.Load(),
		DroppedKeys: l.droppedKeys.Load(),
		RingDropped: l.ringDropped.Load(),
	}
	at := int64(math.MaxInt64)
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		if e := oldestFront(s); e != nil && e.at < at {
			d.Oldest, at = e.rec.Since, e.at
		}
		s.mu.Unlock()
	}
	inRing, since := l.prefixDepth(at)
	if since != 0 {
		d.Oldest = since
	}
	d.Ring = int(l.ring.Load()) + inRing
	return d
}
