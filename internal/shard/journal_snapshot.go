package shard

import (
	"math"

	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
)

// snapshot is all that is to be in the file, for a fresh one when the old one
// cannot be written: what earlier processes left, what the ledger holds, and,
// since it is newer, what waits. It refers to values and copies none.
func (j *journaled) snapshot(st *Store) []journal.Entry {
	es := j.snapshotEarlier()
	for _, sh := range st.shards() {
		sh.Ledger.Each(func(r *outbox.Record, number uint64) {
			es = append(es, encodeTakenRecord(r, j.clock, j.process, number))
		}, func(p *outbox.Prefix, number uint64) {
			es = append(es, encodeTaken(encodePrefix(*p, j.clock), j.process, number))
		})
	}
	for _, p := range st.Outbox.Prefixes() {
		es = append(es, encodePrefix(p, j.clock))
	}
	for _, r := range st.Outbox.Oldest(math.MaxInt32, nil) {
		r = st.WithItsSet(r)
		es = append(es, encodeRecord(&r, j.clock))
	}
	return es
}

func (j *journaled) snapshotEarlier() (es []journal.Entry) {
	j.Mu.Lock()
	defer j.Mu.Unlock()
	if len(j.gaps) > 0 {
		es = append(es, encodeGaps(j.process, j.gaps))
	}
	for process, gaps := range j.earlier.Gaps {
		es = append(es, encodeGaps(process, gaps))
	}
	for _, p := range j.earlier.Prefixes {
		es = append(es, encodeTaken(encodePrefix(p.Prefix, j.clock), p.process, p.number))
	}
	for i := len(j.earlier.Records) - 1; i >= 0; i-- { // oldest first
		r := &j.earlier.Records[i]
		es = append(es, encodeTakenRecord(&r.Record, j.clock, r.Process, r.Number))
	}
	return es
}

// WithItsSet is what the file holds for a record that waits: it has one place for
// a Touch and what that touches.
func (st *Store) WithItsSet(r outbox.Record) outbox.Record {
	if r.Kind != outbox.Touch {
		return r
	}
	if set, ok := st.of(r.Key).Ledger.Record(r.Key); ok && set.Kind == outbox.Set && set.Since < r.Since {
		set.TakeEnd(&r)
		return set
	}
	return r
}
