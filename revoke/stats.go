package revoke

import (
	"time"

	"github.com/evercache/evercache/stats"
)

// Stats tells how the list is.
func (l *List) Stats() stats.Denylist {
	s := stats.Denylist{
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
