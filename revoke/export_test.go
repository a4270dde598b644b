package revoke

import "time"

// SetClock replaces the wall clock of a list, before it is used.
func (l *List) SetClock(now func() time.Time) { l.wall = now }

// Sweep does what is done now and then.
func (l *List) Sweep() {
	l.sweep()
	l.prune(l.ctx)
}

// Fill brings ids into force here only.
func (l *List) Fill(ids []string, expiresAt time.Time) {
	for _, id := range ids {
		l.set.add(entry{key: l.hash.key(kindID, id), exp: uint32(expiresAt.Unix())}, 0)
	}
}
