package outbox

// Flushed notes that somebody has told the master to drop all that it held at barrier
// number, 0: nothing. What was taken before must not come back with a server that loses
// its data later. That counts from the next confirmed barrier on, since the master's
// successor may not have been flushed.
func (l *Ledger) Flushed(number uint64) {
	if number > 0 && number < l.next.Load() {
		l.flushed.Store(number)
	}
}

// flush leaves of the values up to the number that was flushed only their keys: to be
// deleted where a server comes back without its data, so that nobody puts older ones
// there either.
func (s *ledgerShard) flush(number uint64) {
	if number == 0 {
		return
	}
	for _, list := range []*ledgerList{&s.bare, &s.full, &s.ring} {
		for e := list.front(); e != nil && e != &list.root && e.number <= number; {
			next := e.next
			s.flushEntry(e)
			e = next
		}
	}
}

func (s *ledgerShard) flushEntry(e *ledgerEntry) {
	switch e.rec.Kind {
	case Touch:
		s.lose(e)
	case Set:
		was := e.rec.cost()
		e.rec = e.rec.keyOnly()
		s.count(e.list, 0, e.rec.cost()-was)
		s.ledger.mirrorTaken(e)
	}
}
