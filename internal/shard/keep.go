package shard

import (
	"github.com/evercache/evercache/internal/outbox"
)

// Keep puts a write into the outbox, in place of what the ledger has of its key,
// and into the journal. overtaken: a newer write of the key waits already, or a delete of
// its prefix that came after r had got its turn. Where there is no Redis nothing is kept.
func (st *Store) Keep(r Record) (p Pending, overtaken bool, err error) {
	if st.memoryOnly() {
		return Pending{}, false, nil
	}
	ledger := st.of(r.Key).Ledger
	ledger.Follow(&r)
	overtaken, err = st.Outbox.Keep(r)
	if err != nil {
		return Pending{}, false, err
	}
	if r.Kind != outbox.Touch { // which needs what it touches
		ledger.Forget(r.Key)
	}
	if overtaken {
		return Pending{}, true, nil // the newer one is in the journal
	}
	return st.journal.record(r, st), st.overtaken(r), nil
}

// overtaken reports whether a newer write of the key waits, or a later delete of its
// prefix.
func (st *Store) overtaken(r outbox.Record) bool {
	waiting, ok := st.Outbox.Find(r.Key)
	return ok && waiting.Since > r.Since
}
