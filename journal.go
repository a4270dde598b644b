package evercache

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
	file    *journal.Journal
	clock   *clock.Clock
	process string
	log     *slog.Logger
	// senseless are records that were found and did not decode.
	senseless uint64
	limit     int64

	mu        sync.Mutex // guards what follows, and the order of the file's entries of a key
	entries   map[string]journalEntry
	lacking   int // entries that are missing
	waiting   int // entries that no master has
	refused   uint64
	refusedAt time.Time
	gaps      []gap
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
	j.entries[key] = e
	j.tally(e, 1)
}

func (j *journaled) unset(key string) {
	if was, ok := j.entries[key]; ok {
		j.tally(was, -1)
		delete(j.entries, key)
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
	j.mu.Lock()
	defer j.mu.Unlock()
	was, had := j.entries[e.Key]
	if had && was.since > since {
		return j.file.Submit()
	}
	c, err := j.file.Submit(e)
	if err == nil || errors.Is(err, journal.ErrFailed) { // it takes what waits when it works again
		j.set(e.Key, journalEntry{since: since})
		return c, err
	}
	j.full(err)
	j.set(e.Key, journalEntry{since: was.since, number: was.number, missing: true})
	return c, err
}

// foreign puts an entry of another package into the file.
func (j *journaled) foreign(e journal.Entry) (journal.Commit, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c, err := j.file.Submit(e)
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
	j.mu.Lock()
	defer j.mu.Unlock()
	if was, had := j.entries[e.Key]; had && was.since > since {
		return
	}
	if _, err := j.file.AppendLazy(e); err == nil || errors.Is(err, journal.ErrFailed) {
		j.set(e.Key, journalEntry{since: since, number: number})
		return
	} else if !errors.Is(err, journal.ErrClosed) {
		j.full(err)
		j.file.Done(e.Key, math.MaxUint64)
		j.unset(e.Key)
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

// done forgets what was made at since, or before.
func (j *journaled) done(key string, since int64) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[key]; ok && e.since <= since {
		j.file.Done(key, math.MaxUint64)
		j.unset(key)
	}
}

// mirrored is journaled as outbox and ledger see it (outbox.Mirror).
type mirrored struct{ *journaled }

func (m mirrored) Waits(p *outbox.Prefix)    { m.lazily(encodePrefix(*p, m.clock), p.Since, 0) }
func (m mirrored) Shrunk(r *outbox.Record)   { m.lazily(encodeRecord(r, m.clock), r.Since, 0) }
func (m mirrored) Left(key string, at int64) { m.done(recordKey(key), at) }

func (m mirrored) LeftPrefix(text string, at int64) { m.done(prefixKey(text), at) }

func (m mirrored) Taken(r *outbox.Record, number uint64) {
	m.lazily(encodeTakenRecord(r, m.clock, m.process, number), r.Since, number)
}

func (m mirrored) TakenPrefix(p *outbox.Prefix, number uint64) {
	m.lazily(encodeTaken(encodePrefix(*p, m.clock), m.process, number), p.Since, number)
}

// uncovered notes what the master that is being dialled does not have, and waits
// for the file: a later barrier must not vouch for it. next is the number of the
// first one that can.
func (j *journaled) uncovered(ctx context.Context, held, next uint64, rs []outbox.Record, ps []outbox.Prefix) {
	if j == nil || len(rs)+len(ps) == 0 {
		return
	}
	j.mu.Lock()
	j.gaps = addGap(j.gaps, gap{held, next})
	e := encodeGaps(j.process, j.gaps)
	c, err := j.file.SubmitLazy(e)
	j.set(e.Key, journalEntry{since: math.MaxInt64, number: math.MaxUint64})
	for i := range rs {
		j.again(recordKey(rs[i].Key))
	}
	for i := range ps {
		j.again(prefixKey(ps[i].Text))
	}
	j.mu.Unlock()
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = c.Wait(bounded)
	}
}

// again notes that no master has it. The lock is held.
func (j *journaled) again(key string) {
	if e, ok := j.entries[key]; ok {
		e.number = 0
		j.set(key, e)
	}
}

// dropped forgets those of what was put back that the outbox did not keep.
func (j *journaled) dropped(sh *shard, rs []outbox.Record) {
	if j == nil {
		return
	}
	for i := range rs {
		if key := rs[i].Key; !sh.holds(key) {
			j.done(recordKey(key), rs[i].Since)
		}
	}
}

// holds reports whether outbox or ledger has a record of the key.
func (sh *shard) holds(key string) bool {
	_, waits := sh.outbox.Record(key)
	_, held := sh.ledger.Record(key)
	return waits || held
}

// safe reports whether what waits is in the file too.
func (j *journaled) safe() bool {
	if j == nil || j.file.Status().Err != nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lacking == 0
}

func (j *journaled) close(ctx context.Context) error {
	if j == nil {
		return nil
	}
	if err := j.file.Close(ctx); err != nil {
		return fmt.Errorf("evercache: journal: %w", err)
	}
	return nil
}

// pending is an entry on its way to the disk.
type pending struct {
	commit  journal.Commit
	err     error
	asked   bool // there is a journal
	givenUp bool // the value is not in it: only the delete of its key or class
}

// record gives the file what the outbox holds of a key after a write.
func (j *journaled) record(r outbox.Record, sh *shard) pending {
	if j == nil {
		return pending{}
	}
	kept, ok := sh.outbox.Record(r.Key) // with what it was merged with, and what it replaced
	if !ok {                            // the delete of its class is there, or a master has it
		commit, err := j.file.Submit()
		return pending{commit: commit, err: err, asked: true, givenUp: true}
	}
	p := pending{asked: true, givenUp: kept.Kind == outbox.Invalidate && r.Kind != outbox.Invalidate}
	kept = sh.withItsSet(kept)
	p.commit, p.err = j.waits(encodeRecord(&kept, j.clock), kept.Since)
	if !sh.holds(r.Key) { // it was given up meanwhile
		j.done(recordKey(r.Key), kept.Since)
		p.givenUp = true
	}
	return p
}

func (j *journaled) prefix(p outbox.Prefix) pending {
	if j == nil {
		return pending{}
	}
	commit, err := j.waits(encodePrefix(p, j.clock), p.Since)
	return pending{commit: commit, err: err, asked: true}
}

// wait waits for the disk, and tells whether the file has it all. An error means that
// it is stored less safely than the journal promises.
func (p pending) wait(ctx context.Context, limit time.Duration) (journaled bool, err error) {
	if !p.asked || p.err != nil {
		return false, p.err
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = p.commit.Wait(bounded)
	return err == nil && !p.givenUp, err
}

func (j *journaled) health() health.Journal {
	if j == nil {
		return health.Journal{}
	}
	s := j.file.Status()
	j.mu.Lock()
	defer j.mu.Unlock()
	return health.Journal{
		Enabled: true, Entries: s.Live, Waiting: j.waiting, Bytes: s.FileBytes, LiveBytes: s.LiveBytes, Limit: j.limit,
		Refused: j.refused, RefusedAt: j.refusedAt, Unsaved: j.lacking, Err: s.Err,
	}
}

// found is what was found in the file of an earlier process.
func (j *journaled) found() findings.JournalFile {
	if j == nil {
		return findings.JournalFile{}
	}
	r := j.file.Report()
	return findings.JournalFile{Damage: r.Damage, SetAside: r.SetAside, Senseless: j.senseless}
}
