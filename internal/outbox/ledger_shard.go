package outbox

import "sync"

// ledgerShard holds the records of some keys, each in one of three lists. The
// oldest unconfirmed ones are bare when there was no room for values: whatever
// is bare is older than what is not. Along a list numbers never fall.
type ledgerShard struct {
	ledger *Ledger

	mu      sync.Mutex // guards what follows
	entries map[string]*ledgerEntry
	bare    ledgerList // keys alone
	full    ledgerList
	ring    ledgerList
	unused  *ledgerEntry // linked by next
	unuseds int

	_ [64]byte // the next shard's lock is on another cache line
}

// maxUnused bounds the entries that a shard keeps for reuse. Records leave it
// as copies, so nobody else has an entry.
const maxUnused = 64

type ledgerEntry struct {
	rec        Record
	number     uint64
	at         int64 // when it was added; in the ring: when it was confirmed
	list       *ledgerList
	prev, next *ledgerEntry
}

// ledgerList is linked through its entries, oldest first, in a circle with root.
type ledgerList struct{ root ledgerEntry }

func (l *ledgerList) init() { l.root.prev, l.root.next = &l.root, &l.root }

// front is nil when the list is empty.
func (l *ledgerList) front() *ledgerEntry {
	if e := l.root.next; e != &l.root {
		return e
	}
	return nil
}

func (l *ledgerList) pushBack(e *ledgerEntry) {
	e.list = l
	e.prev, e.next = l.root.prev, &l.root
	e.prev.next, l.root.prev = e, e
}

func (e *ledgerEntry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next, e.list = nil, nil, nil
}

func (s *ledgerShard) init(l *Ledger) {
	s.ledger, s.entries = l, map[string]*ledgerEntry{}
	s.bare.init()
	s.full.init()
	s.ring.init()
}

// add looks the key up once, and once more only to enter one that it lacks.
func (s *ledgerShard) add(r *Record, number uint64, now int64) {
	e := s.entries[r.Key]
	if e == nil {
		e = s.entry()
		e.rec, e.number, e.at = *r, number, now
		s.entries[r.Key] = e
		s.push(&s.full, e)
		s.ledger.mirrorTaken(e)
		return
	}
	was := e.rec.cost()
	if !e.rec.follow(r) {
		return
	}
	if e.list == &s.ring {
		s.count(&s.ring, -1, -was)
		s.count(&s.full, 1, e.rec.cost())
	} else if more := e.rec.cost() - was; more != 0 {
		s.ledger.bytes.Add(more)
	}
	e.unlink()
	e.number, e.at = number, now
	s.full.pushBack(e)
	s.ledger.mirrorTaken(e)
}

func (s *ledgerShard) entry() *ledgerEntry {
	e := s.unused
	if e == nil {
		return &ledgerEntry{}
	}
	s.unused, e.next = e.next, nil
	s.unuseds--
	return e
}

func (s *ledgerShard) push(to *ledgerList, e *ledgerEntry) {
	to.pushBack(e)
	s.count(to, 1, e.rec.cost())
}

func (s *ledgerShard) pull(e *ledgerEntry) {
	s.count(e.list, -1, -e.rec.cost())
	e.unlink()
}

// drop forgets e's record.
func (s *ledgerShard) drop(e *ledgerEntry) {
	s.pull(e)
	delete(s.entries, e.rec.Key)
	*e = ledgerEntry{}
	if s.unuseds < maxUnused {
		e.next, s.unused = s.unused, e
		s.unuseds++
	}
}

// count keeps the sums over all shards.
func (s *ledgerShard) count(list *ledgerList, n, bytes int64) {
	l := s.ledger
	if list == &s.ring {
		l.ring.Add(n)
		l.ringBytes.Add(bytes)
		return
	}
	l.records.Add(n)
	l.bytes.Add(bytes)
}

func (s *ledgerShard) confirm(n uint64, now int64) {
	moved, bytes := int64(0), int64(0)
	for _, list := range []*ledgerList{&s.bare, &s.full} {
		for e := list.front(); e != nil && e.number <= n; e = list.front() {
			e.unlink()
			e.at = now
			s.ring.pushBack(e)
			moved, bytes = moved+1, bytes+e.rec.cost()
		}
	}
	s.count(&s.full, -moved, -bytes)
	s.count(&s.ring, moved, bytes)
}

// expire drops up to n (all, if negative) that are too old for the ring.
func (s *ledgerShard) expire(now int64, n int) {
	for e := s.ring.front(); e != nil && n != 0 && now-e.at >= int64(s.ledger.bounds.RingAge); e = s.ring.front() {
		s.lose(e)
		n--
	}
}

// uncover moves what has a higher number than held to records.
func (s *ledgerShard) uncover(held uint64, records []Record) []Record {
	for _, list := range []*ledgerList{&s.bare, &s.full, &s.ring} {
		for e := list.root.prev; e != &list.root && e.number > held; e = list.root.prev {
			records = append(records, e.rec)
			s.drop(e)
		}
	}
	return records
}
