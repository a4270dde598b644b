package revoke

import "time"

// Stats is a snapshot of a List.
type Stats struct {
	Entries int  // in force here
	Ready   bool // a complete set has been read
	// AsOf is up to when everything is known, and Lag how long ago that was. Zero:
	// nothing is.
	AsOf time.Time
	Lag  time.Duration
	// Unconfirmed revocations of this process could still be lost by a failover,
	// and are sent again then; Untaken ones of them no master has taken yet, and
	// Unsaved ones of those no journal holds.
	Unconfirmed, Untaken, Unsaved int

	Revoked   uint64 // calls that brought something into force
	Taken     uint64 // of them, those that a master had in time
	Refused   uint64 // calls for which there was no room
	Snapshots uint64 // of the whole set
	Gaps      uint64 // in the stream
	Lost      uint64 // times that the set in Redis had lost something
	PutBack   uint64 // entries that Redis lacked
	Pruned    uint64 // entries that had expired in Redis
	Garbage   uint64 // things in Redis that are not ours

	Dormant bool // Policy.OnDemand, and nobody has used it

	Strict       uint64 // strict checks that had to ask the master
	StrictFailed uint64 // of them, those that it did not answer in time
}

// Stats tells how the list is.
func (l *List) Stats() Stats {
	s := Stats{
		Entries:   int(l.set.count.Load()),
		Ready:     l.Ready(),
		Dormant:   l.asleep.Load(),
		Revoked:   l.stats.revoked.Load(),
		Taken:     l.stats.taken.Load(),
		Refused:   l.stats.refused.Load(),
		Snapshots: l.stats.snapshots.Load(),
		Gaps:      l.stats.gaps.Load(),
		Lost:      l.stats.lost.Load(),
		PutBack:   l.stats.pushed.Load(),
		Pruned:    l.stats.pruned.Load(),
		Garbage:   l.stats.garbage.Load(),

		StrictFailed: l.stats.strictFailed.Load(), // before those that it is a part of
		Strict:       l.stats.strict.Load(),
	}
	s.Unconfirmed, s.Untaken, s.Unsaved = l.own.depth()
	now := l.now()
	asOf := l.asOf.Load()
	if l.kit.MemoryOnly() {
		asOf = now
	}
	if asOf != 0 {
		s.AsOf, s.Lag = l.start.Add(time.Duration(asOf)), time.Duration(now-asOf)
	}
	return s
}
