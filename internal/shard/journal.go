package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
)

// journaled is the file of what this process owes a Redis: what waits in the
// outbox, and what the ledger holds, for a process that dies in an outage or
// together with Redis. What both give up leaves the file, so that their bounds
// are its bounds. It may be nil: there is none.
type journaled struct {
	File    *journal.Journal
	clock   *clock.Clock
	process string
	log     *slog.Logger
	// senseless are records that were found and did not decode.
	senseless uint64
	Limit     int64

	Mu        sync.Mutex // guards what follows, and the order of the file's entries of a key
	Entries   map[string]journalEntry
	lacking   int // entries that are missing
	waiting   int // entries that no master has
	refused   uint64
	refusedAt time.Time
	gaps      []Gap
	earlier   earlierWrites
}

// journalEntry is what the file holds for a key or a prefix.
type journalEntry struct {
	since   int64  // of the owner's clock
	number  uint64 // of the barrier that will cover it; 0: it waits
	missing bool   // the file had no room for it: it holds what was there before, if anything
}

// journalLimit is how much can be live in the file: what outbox, ledger and ring
// hold of records, outbox and ledger of prefixes, and more for what a record is
// longer there; and what other packages keep.
func journalLimit(outboxBytes, ringBytes int64) int64 {
	return max(min(outboxBytes, math.MaxInt64/16), 64<<10)*5 + min(ringBytes, math.MaxInt64/16)*3/2 + foreignBytes
}

const foreignBytes = 32 << 20

// set changes what is known of a key. The lock is held.
func (j *journaled) set(key string, e journalEntry) {
	j.unset(key)
	j.Entries[key] = e
	j.tally(e, 1)
}

func (j *journaled) unset(key string) {
	if was, ok := j.Entries[key]; ok {
		j.tally(was, -1)
		delete(j.Entries, key)
	}
}

func (j *journaled) tally(e journalEntry, n int) {
	if e.missing {
		j.lacking += n
	}
	if e.number == 0 {
		j.waiting += n
	}
}

// waits puts what waits into the file, to be fsynced. A newer entry of the key
// stays; the commit then is of that one. It never waits for the disk.
func (j *journaled) waits(e journal.Entry, since int64) (journal.Commit, error) {
	j.Mu.Lock()
	defer j.Mu.Unlock()
	was, had := j.Entries[e.Key]
	if had && was.since > since {
		return j.File.Submit()
	}
	c, err := j.File.Submit(e)
	if err == nil || errors.Is(err, journal.ErrFailed) { // it takes what waits when it works again
		j.set(e.Key, journalEntry{since: since})
		return c, err
	}
	j.full(err)
	j.set(e.Key, journalEntry{since: was.since, number: was.number, missing: true})
	return c, err
}

// Foreign puts an entry of another package into the file.
func (j *journaled) Foreign(e journal.Entry) (journal.Commit, error) {
	j.Mu.Lock()
	defer j.Mu.Unlock()
	c, err := j.File.Submit(e)
	if err == nil || errors.Is(err, journal.ErrFailed) {
		j.set(e.Key, journalEntry{number: math.MaxUint64})
	} else {
		j.full(err)
	}
	return c, err
}

// lazily puts into the file what nobody waits for. Where it cannot be had, the
// older entry of the key is not to come back.
func (j *journaled) lazily(e journal.Entry, since int64, number uint64) {
	j.Mu.Lock()
	defer j.Mu.Unlock()
	if was, had := j.Entries[e.Key]; had && was.since > since {
		return
	}
	if _, err := j.File.AppendLazy(e); err == nil || errors.Is(err, journal.ErrFailed) {
		j.set(e.Key, journalEntry{since: since, number: number})
		return
	} else if !errors.Is(err, journal.ErrClosed) {
		j.full(err)
		j.File.Done(e.Key, math.MaxUint64)
		j.unset(e.Key)
		if number == 0 {
			j.set(e.Key, journalEntry{since: since, missing: true})
		}
	}
}

// full counts what the file had no room for. The lock is held.
func (j *journaled) full(err error) {
	if errors.Is(err, journal.ErrClosed) {
		return
	}
	if time.Since(j.refusedAt) > time.Minute {
		j.log.LogAttrs(context.Background(), slog.LevelError, "the journal has no room for a write",
			slog.String("event", "journal.full"), slog.String("error", err.Error()))
	}
	j.refused++
	j.refusedAt = time.Now()
}

// Done forgets what was made at since, or before.
func (j *journaled) Done(key string, since int64) {
	if j == nil {
		return
	}
	j.Mu.Lock()
	defer j.Mu.Unlock()
	if e, ok := j.Entries[key]; ok && e.since <= since {
		j.File.Done(key, math.MaxUint64)
		j.unset(key)
	}
}

// mirrored is journaled as outbox and ledger see it (outbox.Mirror).
type mirrored struct{ *journaled }

func (m mirrored) Waits(p *outbox.Prefix)    { m.lazily(encodePrefix(*p, m.clock), p.Since, 0) }
func (m mirrored) Shrunk(r *outbox.Record)   { m.lazily(encodeRecord(r, m.clock), r.Since, 0) }
func (m mirrored) Left(key string, at int64) { m.Done(recordKey(key), at) }

func (m mirrored) LeftPrefix(text string, at int64) { m.Done(prefixKey(text), at) }

func (m mirrored) Taken(r *outbox.Record, number uint64) {
	m.lazily(encodeTakenRecord(r, m.clock, m.process, number), r.Since, number)
}

func (m mirrored) TakenPrefix(p *outbox.Prefix, number uint64) {
	m.lazily(encodeTaken(encodePrefix(*p, m.clock), m.process, number), p.Since, number)
}

// Uncovered notes what the master that is being dialled does not have, and waits
// for the file: a later barrier must not vouch for it. next is the number of the
// first one that can.
func (j *journaled) lost(ctx context.Context, held, next uint64, rs []outbox.Record, ps []outbox.Prefix) {
	if j == nil || len(rs)+len(ps) == 0 {
		return
	}
	j.Mu.Lock()
	j.gaps = addGap(j.gaps, Gap{held, next})
	e := encodeGaps(j.process, j.gaps)
	c, err := j.File.SubmitLazy(e)
	j.set(e.Key, journalEntry{since: math.MaxInt64, number: math.MaxUint64})
	for i := range rs {
		j.again(recordKey(rs[i].Key))
	}
	for i := range ps {
		j.again(prefixKey(ps[i].Text))
	}
	j.Mu.Unlock()
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = c.Wait(bounded)
	}
}

// again notes that no master has it. The lock is held.
func (j *journaled) again(key string) {
	if e, ok := j.Entries[key]; ok {
		e.number = 0
		j.set(key, e)
	}
}

// dropped forgets those of what was put back that the outbox did not keep.
func (j *journaled) dropped(st *Store, rs []outbox.Record) {
	if j == nil {
		return
	}
	for i := range rs {
		if key := rs[i].Key; !st.holds(key) {
			j.Done(recordKey(key), rs[i].Since)
		}
	}
}

// holds reports whether outbox or ledger has a record of the key.
func (st *Store) holds(key string) bool {
	_, waits := st.Outbox.Record(key)
	_, held := st.of(key).Ledger.Record(key)
	return waits || held
}

// safe reports whether what waits is in the file too.
func (j *journaled) safe() bool {
	if j == nil || j.File.Status().Err != nil {
		return false
	}
	j.Mu.Lock()
	defer j.Mu.Unlock()
	return j.lacking == 0
}

func (j *journaled) Close(ctx context.Context) error {
	if j == nil {
		return nil
	}
	if err := j.File.Close(ctx); err != nil {
		return fmt.Errorf("evercache: journal: %w", err)
	}
	return nil
}

// Pending is an entry on its way to the disk.
type Pending struct {
	commit  journal.Commit
	err     error
	asked   bool // there is a journal
	givenUp bool // the value is not in it: only the delete of its key or class
}

// record gives the file what the outbox holds of a key after a write.
func (j *journaled) record(r outbox.Record, st *Store) Pending {
	if j == nil {
		return Pending{}
	}
	kept, ok := st.Outbox.Record(r.Key) // with what it was merged with, and what it replaced
	if !ok {                            // the delete of its class is there, or a master has it
		commit, err := j.File.Submit()
		return Pending{commit: commit, err: err, asked: true, givenUp: true}
	}
	p := Pending{asked: true, givenUp: kept.Kind == outbox.Invalidate && r.Kind != outbox.Invalidate}
	kept = st.WithItsSet(kept)
	p.commit, p.err = j.waits(encodeRecord(&kept, j.clock), kept.Since)
	if !st.holds(r.Key) { // it was given up meanwhile
		j.Done(recordKey(r.Key), kept.Since)
		p.givenUp = true
	}
	return p
}

// prefix is what the file has of a prefix that the outbox was given: the outbox told of
// it while it held its lock (mirrored.Waits). Told of it here, after that, the file might
// keep for good what has been carried out meanwhile.
func (j *journaled) prefix(text string) Pending {
	if j == nil {
		return Pending{}
	}
	j.Mu.Lock()
	defer j.Mu.Unlock()
	commit, err := j.File.Submit()
	if err == nil && j.Entries[prefixKey(text)].missing {
		err = journal.ErrFull
	}
	return Pending{commit: commit, err: err, asked: true}
}

// Wait waits for the disk, and tells whether the file has it all. An error means that
// it is stored less safely than the journal promises.
func (p Pending) Wait(ctx context.Context, limit time.Duration) (journaled bool, err error) {
	if !p.asked || p.err != nil {
		return false, p.err
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = p.commit.Wait(bounded)
	return err == nil && !p.givenUp, err
}

func (j *journaled) Health() health.Journal {
	if j == nil {
		return health.Journal{}
	}
	s := j.File.Status()
	j.Mu.Lock()
	defer j.Mu.Unlock()
	return health.Journal{
		Enabled: true, Entries: s.Live, Waiting: j.waiting, Bytes: s.FileBytes, LiveBytes: s.LiveBytes, Limit: j.Limit,
		Refused: j.refused, RefusedAt: j.refusedAt, Unsaved: j.lacking, Err: s.Err,
	}
}

// Found is what was found in the file of an earlier process.
func (j *journaled) Found() findings.JournalFile {
	if j == nil {
		return findings.JournalFile{}
	}
	r := j.File.Report()
	return findings.JournalFile{Damage: r.Damage, SetAside: r.SetAside, Senseless: j.senseless}
}
