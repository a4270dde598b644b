package evercache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
)

// journaled is the file that keeps what Redis has not taken (or not confirmed
// since), for a process that dies in an outage. It may be nil: there is none.
type journaled struct {
	file  *journal.Journal
	count atomic.Int64 // entries
	// senseless are records that were found and did not decode.
	senseless uint64

	mu      sync.Mutex // guards entries
	entries map[string]journalEntry
}

// journalEntry is what the file holds for a key or a prefix.
type journalEntry struct {
	seq     uint64
	number  uint64 // of the barrier that will cover it; 0: no master has it
	missing bool   // the file had no room for it: it holds what was there before, if anything
}

// openJournal opens the file in dir and returns what a process before us left.
func openJournal(dir string, c *Client) (*journaled, error) {
	clock, box, log := c.clock, c.outbox, c.log
	if dir == "" {
		return nil, nil
	}
	snapshot := func() (es []journal.Entry) {
		for _, p := range box.Prefixes() {
			es = append(es, encodePrefix(p, clock))
		}
		for _, r := range box.Oldest(math.MaxInt32, nil) {
			es = append(es, encodeRecord(r, clock))
		}
		return es
	}
	file, found, err := journal.Open(dir, journal.Options{Snapshot: snapshot, Log: log})
	if err != nil {
		return nil, fmt.Errorf("evercache: journal: %w", err)
	}
	j := &journaled{file: file, entries: map[string]journalEntry{}}
	var rs []outbox.Record
	var ps []outbox.Prefix
	for _, e := range found {
		if key, ok := strings.CutPrefix(e.Key, foreignKey); ok && e.Kind == entryForeign {
			c.kit.kept[key] = e.Payload
			j.note(e.Key, e.Seq)
			continue
		}
		r, p, err := decodeEntry(e, clock)
		switch {
		case err != nil:
			log.LogAttrs(context.Background(), slog.LevelError, "a record of the journal makes no sense and is left out",
				slog.String("event", "journal.record"), slog.String("error", err.Error()))
			j.senseless++
			file.Done(e.Key, e.Seq)
			continue
		case r != nil:
			rs = append(rs, *r)
		default:
			ps = append(ps, *p)
		}
		j.note(e.Key, e.Seq)
	}
	box.Return(rs, ps)
	if len(rs)+len(ps) > 0 {
		log.LogAttrs(context.Background(), slog.LevelInfo, "writes of an earlier process wait for Redis",
			slog.String("event", "journal.recovered"), slog.Int("writes", len(rs)+len(ps)))
	}
	return j, nil
}

func (j *journaled) note(key string, seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries[key] = journalEntry{seq: seq}
	j.count.Store(int64(len(j.entries)))
}

// submit takes an entry's place in the order of the file. It never waits.
func (j *journaled) submit(e journal.Entry) (journal.Commit, error) {
	c, err := j.file.Submit(e)
	switch {
	case err == nil, errors.Is(err, journal.ErrFailed): // it takes what waits when it works again
		j.note(e.Key, c.Seq)
	default:
		j.lack(e.Key)
	}
	return c, err
}

// lack notes that the file had no room for an entry.
func (j *journaled) lack(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries[key] = journalEntry{seq: j.entries[key].seq, missing: true}
	j.count.Store(int64(len(j.entries)))
}

// taken notes that a master has what the file holds for the key, or newer: the
// file forgets it once barrier number is confirmed.
func (j *journaled) taken(key string, number uint64) {
	if j == nil || j.count.Load() == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[key]; ok {
		e.number = number
		j.entries[key] = e
	}
}

// takenPrefixes is taken for prefixes, and for what was kept under them before
// and does not wait any more.
func (j *journaled) takenPrefixes(ps []outbox.Prefix, number uint64, waits func(key string) bool) {
	if j == nil || j.count.Load() == 0 {
		return
	}
	for _, p := range ps {
		j.taken(prefixKey(p.Text), number)
	}
	deleted := outbox.NewPrefixes(ps)
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, e := range j.entries {
		if rest, ok := strings.CutPrefix(key, recordKey("")); ok && e.number == 0 && len(deleted.Over(rest)) > 0 && !waits(rest) {
			e.number = number
			j.entries[key] = e
		}
	}
}

// confirmed forgets what barrier n covers.
func (j *journaled) confirmed(n uint64) {
	j.forget(func(_ string, e journalEntry) bool { return e.number != 0 && e.number <= n })
}

// done forgets what will never be sent.
func (j *journaled) done(key string) {
	if j == nil || j.count.Load() == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[key]; ok {
		j.file.Done(key, e.seq)
		delete(j.entries, key)
	}
	j.count.Store(int64(len(j.entries)))
}

// uncovered: a master holds no barrier after that one.
func (j *journaled) uncovered(held uint64) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, e := range j.entries {
		if e.number > held {
			e.number = 0
			j.entries[key] = e
		}
	}
}

func (j *journaled) forget(which func(string, journalEntry) bool) {
	if j == nil || j.count.Load() == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, e := range j.entries {
		if which(key, e) {
			j.file.Done(key, e.seq)
			delete(j.entries, key)
		}
	}
	j.count.Store(int64(len(j.entries)))
}

// safe reports whether what waits in the outbox is in the file too.
func (j *journaled) safe() bool {
	if j == nil || j.file.Status().Err != nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.entries {
		if e.missing {
			return false
		}
	}
	return true
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

// The form in the file. The key of an entry is kind-less, so that a delete takes
// the place of a set: "k" and the key, or "p" and the prefix. Times are of the
// wall clock, since ours begins anew with each process.

const (
	entryRecord byte = 1
	entryPrefix byte = 2
	// entryForeign is of another package: see kit.Kit.
	entryForeign byte = 3
)

func recordKey(key string) string  { return "k" + key }
func prefixKey(text string) string { return "p" + text }

const (
	flagInvalidate = 1 << iota
	flagCertain    // of earlier versions: it says nothing
	flagLate
	flagMixed
)

func encodeRecord(r outbox.Record, c *coarseClock) journal.Entry {
	b := []byte{byte(r.Kind), 0}
	if r.Invalidate {
		b[1] |= flagInvalidate
	}
	if r.Late {
		b[1] |= flagLate
	}
	if r.Mixed {
		b[1] |= flagMixed
	}
	for _, n := range []int64{c.wall(r.Since), c.wall(r.Ends), r.Lo, r.Hi, r.Floor, int64(r.TTL)} {
		b = binary.AppendVarint(b, n)
	}
	b = appendText(b, r.Class)
	b = appendText(b, priorsText(r))
	b = append(b, r.Value...)
	return journal.Entry{Kind: entryRecord, Key: recordKey(r.Key), Payload: b}
}

func encodePrefix(p outbox.Prefix, c *coarseClock) journal.Entry {
	var b []byte
	for _, n := range []int64{c.wall(p.Since), p.Lo, p.Hi} {
		b = binary.AppendVarint(b, n)
	}
	return journal.Entry{Kind: entryPrefix, Key: prefixKey(p.Text), Payload: b}
}

var errJournalRecord = errors.New("unknown form")

// decodeEntry returns a record or a prefix.
func decodeEntry(e journal.Entry, c *coarseClock) (*outbox.Record, *outbox.Prefix, error) {
	switch {
	case e.Kind == entryRecord && len(e.Key) > 1 && e.Key[0] == 'k':
		r, err := decodeRecord(e.Key[1:], e.Payload, c)
		return r, nil, err
	case e.Kind == entryPrefix && len(e.Key) > 0 && e.Key[0] == 'p':
		ns, rest, ok := varints(e.Payload, 3)
		if !ok || len(rest) > 0 {
			return nil, nil, errJournalRecord
		}
		return nil, &outbox.Prefix{Text: e.Key[1:], Since: c.unwall(ns[0]), Lo: ns[1], Hi: ns[2]}, nil
	}
	return nil, nil, errJournalRecord
}

func decodeRecord(key string, b []byte, c *coarseClock) (*outbox.Record, error) {
	if len(b) < 2 || outbox.Kind(b[0]) > outbox.Invalidate || b[1]&^(flagInvalidate|flagCertain|flagLate|flagMixed) != 0 {
		return nil, errJournalRecord
	}
	ns, rest, ok := varints(b[2:], 6)
	if !ok {
		return nil, errJournalRecord
	}
	class, rest, ok1 := cutText(rest)
	priors, rest, ok2 := cutText(rest)
	if !ok1 || !ok2 {
		return nil, errJournalRecord
	}
	r := &outbox.Record{
		Kind: outbox.Kind(b[0]), Key: key, Class: class, Value: rest, Priors: priorsOf(priors),
		Since: c.unwall(ns[0]), Ends: c.unwall(ns[1]), Lo: ns[2], Hi: ns[3], Floor: ns[4], TTL: time.Duration(ns[5]),
		Invalidate: b[1]&flagInvalidate != 0,
		Late:       b[1]&flagLate != 0, Mixed: b[1]&flagMixed != 0,
	}
	if r.TTL < 0 || r.TTL > MaxTTL || ns[1]-ns[0] > int64(MaxTTL) {
		return nil, errJournalRecord
	}
	return r, nil
}

// priorsText is what values of the key may be known by: "from-to", by spaces.
func priorsText(r outbox.Record) string {
	var b strings.Builder
	for _, e := range r.Known() {
		fmt.Fprintf(&b, "%d-%d ", e.From, e.To)
	}
	return strings.TrimSuffix(b.String(), " ")
}

// priorsOf reads that, and leaves out what earlier versions wrote there.
func priorsOf(text string) (ends []outbox.End) {
	for _, word := range strings.Fields(text) {
		from, to, ok := strings.Cut(word, "-")
		a, err1 := strconv.ParseInt(from, 10, 64)
		b, err2 := strconv.ParseInt(to, 10, 64)
		if ok && err1 == nil && err2 == nil && a > 0 && b >= a && len(ends) < outbox.MaxKnown {
			ends = append(ends, outbox.End{From: a, To: b})
		}
	}
	return ends
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return "", nil, false
	}
	return string(b[k:][:n]), b[k:][n:], true
}

func varints(b []byte, n int) (ns []int64, rest []byte, ok bool) {
	for range n {
		v, k := binary.Varint(b)
		if k <= 0 {
			return nil, nil, false
		}
		ns, b = append(ns, v), b[k:]
	}
	return ns, b, true
}

// pending is an entry on its way to the disk.
type pending struct {
	commit journal.Commit
	err    error
	asked  bool // there is a journal
}

// record gives the file what the outbox holds of a key after a write.
func (j *journaled) record(r outbox.Record, c *coarseClock, box *outbox.Box) pending {
	if j == nil {
		return pending{}
	}
	if kept, ok := box.Record(r.Key); ok {
		r = kept // with what it was merged with, and what it replaced
	}
	commit, err := j.submit(encodeRecord(r, c))
	return pending{commit, err, true}
}

func (j *journaled) prefix(p outbox.Prefix, c *coarseClock) pending {
	if j == nil {
		return pending{}
	}
	commit, err := j.submit(encodePrefix(p, c))
	return pending{commit, err, true}
}

// receipt waits for the disk. Without it the write is in force, but stored less
// safely than the journal promises.
func (p pending) receipt(ctx context.Context, limit time.Duration) (Receipt, error) {
	if !p.asked {
		return Receipt{Durability: Memory}, nil
	}
	err := p.err
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		err = p.commit.Wait(bounded)
	}
	if err != nil {
		return Receipt{Durability: Memory}, &DurabilityError{Asked: Journaled, Got: Memory, Cause: err}
	}
	return Receipt{Durability: Journaled}, nil
}
