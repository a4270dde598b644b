package shard

import (
	"github.com/evercache/evercache/internal/outbox"
)

// Keep puts a write into the outbox, in place of what the ledger has of its key,
// and into the journal. overtaken: a newer write of the key waits already. Where there
// is no Redis nothing is kept.
func (sh *Shard) Keep(r Record) (p Pending, overtaken bool, err error) {
	if sh.memoryOnly() {
		return Pending{}, false, nil
	}
	sh.Ledger.Follow(&r)
	if err := sh.Outbox.Put(r); err != nil {
		return Pending{}, false, err
	}
	if r.Kind != outbox.Touch { // which needs what it touches
		sh.Ledger.Forget(r.Key)
	}
	if sh.overtaken(r) {
		return Pending{}, true, nil // the newer one is in the journal
	}
	return sh.journal.record(r, sh), sh.overtaken(r), nil
}

// overtaken reports whether a newer write of the key waits.
func (sh *Shard) overtaken(r outbox.Record) bool {
	waiting, ok := sh.Outbox.Record(r.Key)
	return ok && waiting.Since > r.Since
}
