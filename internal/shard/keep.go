package shard

import (
	"github.com/evercache/evercache/internal/outbox"
)

// Keep puts a write into the outbox, in place of what the ledger has of its key,
// and into the journal. overtaken: a newer write of the key waits already. Where there
// is no Redis nothing is kept.
func (st *Store) Keep(r Record) (p Pending, overtaken bool, err error) {
	if st.memoryOnly() {
		return Pending{}, false, nil
	}
	ledger := st.of(r.Key).Ledger
	ledger.Follow(&r)
	if err := st.Outbox.Put(r); err != nil {
		return Pending{}, false, err
	}
	if r.Kind != outbox.Touch { // which needs what it touches
		ledger.Forget(r.Key)
	}
	if st.overtaken(r) {
		return Pending{}, true, nil // the newer one is in the journal
	}
	return st.journal.record(r, st), st.overtaken(r), nil
}

// overtaken reports whether a newer write of the key waits.
func (st *Store) overtaken(r outbox.Record) bool {
	waiting, ok := st.Outbox.Record(r.Key)
	return ok && waiting.Since > r.Since
}
