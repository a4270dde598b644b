package shard

import (
	"context"
	"errors"

	"github.com/evercache/evercache/internal/outbox"
)

// ErrChanged is why a write that a master took does not count as taken.
var ErrChanged = errors.New("the master that took it is not the master any more")

// Landed notes that a master has taken a write. number is that of the barrier that will
// cover it. newest is false where a newer write of the key waits, which got no turn in
// its lock. ok is false when the master was given up meanwhile: the next one may not
// have the write.
func (st *Store) Landed(r Record, s Sent) (number uint64, newest, ok bool) {
	if number, ok = s.shard.taken(r, s.node, s.generation); !ok {
		return 0, false, false
	}
	s.shard.noted(&r, s.Mark, s.script)
	return number, !st.newerWaits(r), true
}

// LandedMissing notes that the master does not have the key of a Touch.
func (st *Store) LandedMissing(r Record) (newest bool) { return !st.newerWaits(r) }

// newerWaits takes what a master has taken out of the outbox, and reports whether a
// newer value of its key waits there.
func (st *Store) newerWaits(r Record) bool {
	if st.Outbox.Empty() {
		return false
	}
	st.Outbox.Taken(r)
	waiting, ok := st.Outbox.Find(r.Key)
	return ok && waiting.Kind != outbox.Touch
}

// Await waits until so many replicas hold what was sent before barrier number, or until
// ctx ends, and returns how many do.
func (st *Store) Await(ctx context.Context, s Sent, number uint64, replicas int) int {
	return s.shard.Barriers.Await(ctx, s.node, number, replicas)
}
