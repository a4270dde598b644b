package shard

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// earlierWrites are of earlier processes: a master had taken them. Whether it
// has them still is told by the barriers of those processes.
type earlierWrites struct {
	Records  []earlierRecord
	Prefixes []earlierPrefix
	Gaps     map[string][]Gap // by process
	bytes    int64
}

type earlierRecord struct {
	outbox.Record
	Process string
	Number  uint64
}

type earlierPrefix struct {
	outbox.Prefix
	process string
	number  uint64
}

// maxProcesses bounds the earlier processes that are asked for.
const maxProcesses = 16

// openJournal opens the file in dir and takes up what a process before us left.
func openJournal(dir string, st *Store) (*journaled, error) {
	if dir == "" {
		return nil, nil
	}
	j := &journaled{
		clock: st.Clock, process: st.process, log: st.Log, Limit: journalLimit(st.Config.OutboxBytes, st.Config.RingBytes),
		Entries: map[string]journalEntry{}, earlier: earlierWrites{Gaps: map[string][]Gap{}},
	}
	var err error
	j.File, _, err = journal.Open(dir, journal.Options{MaxBytes: j.Limit, Snapshot: func() []journal.Entry { return j.snapshot(st) }, Recovery: &takeUp{j: j, st: st, oldest: math.MaxInt64}, Log: st.Log})
	if err != nil {
		return nil, fmt.Errorf("evercache: journal (Options.JournalDir, EVERCACHE_JOURNAL_DIR): %w", err)
	}
	st.Outbox.Mirror(mirrored{j})
	if st.one != nil {
		st.one.Ledger.Mirror(mirrored{j})
	}
	if n := st.Outbox.Depth().Entries; n > 0 {
		st.Log.LogAttrs(context.Background(), slog.LevelInfo, "writes of an earlier process wait for Redis",
			slog.String("event", "journal.recovered"), slog.Int("writes", n))
	}
	return j, nil
}

// takeUp is journal.Recovery: what waited goes into the outbox, newest first,
// within its bounds.
type takeUp struct {
	j      *journaled
	st     *Store
	oldest int64           // Since of the oldest record so far
	texts  map[string]bool // of the prefixes that wait, once all is found
}

func (t *takeUp) Found(e journal.Entry) {
	since, number, err := t.take(e)
	if err == nil {
		t.j.set(e.Key, journalEntry{since: since, number: number})
		return
	}
	t.st.Log.LogAttrs(context.Background(), slog.LevelError, "a record of the journal makes no sense and is left out",
		slog.String("event", "journal.record"), slog.String("error", err.Error()))
	t.j.senseless++
}

func (t *takeUp) take(e journal.Entry) (since int64, number uint64, err error) {
	switch e.Kind {
	case entryForeign:
		key, ok := strings.CutPrefix(e.Key, foreignKey)
		if !ok {
			return 0, 0, errJournalRecord
		}
		t.st.kept[key] = e.Payload
		return 0, math.MaxUint64, nil
	case entryGaps:
		gaps, ok := decodeGaps(e.Payload)
		if !ok || len(e.Key) < 2 {
			return 0, 0, errJournalRecord
		}
		t.j.earlier.Gaps[e.Key[1:]] = gaps
		return 0, math.MaxUint64, nil
	case entryTaken, entryTakenPrefix:
		return t.earlier(e)
	}
	r, p, err := decodeEntry(e, t.st.Clock)
	switch {
	case err != nil:
		return 0, 0, err
	case r != nil:
		r.Slot, r.Carried = t.st.slotOf(r.Key), t.st.clustered()
		t.oldest = min(t.oldest, r.Since)
		t.st.Outbox.Return([]outbox.Record{*r}, nil)
		return r.Since, 0, nil
	}
	p.Since = t.before(p)
	t.st.Outbox.ReturnFirst(*p)
	return p.Since, 0, nil
}

// before dates a prefix before all that came into the file after it: such a
// record was kept after it, though its caller may have begun earlier.
func (t *takeUp) before(p *outbox.Prefix) int64 {
	since := p.Since
	if since < t.oldest { // as a rule; else all would be looked at for each of many
		return since
	}
	t.st.Outbox.Oldest(math.MaxInt32, func(r *outbox.Record) bool {
		if strings.HasPrefix(r.Key, p.Text) {
			since = min(since, r.Since-1)
		}
		return false
	})
	return since
}

// earlier takes up what a master had taken, within the bounds of the ledger.
func (t *takeUp) earlier(e journal.Entry) (since int64, number uint64, err error) {
	w, process, number, ok := cutTaken(e)
	if !ok {
		return 0, 0, errJournalRecord
	}
	r, p, err := decodeEntry(w, t.st.Clock)
	all := &t.j.earlier
	switch {
	case err != nil:
		return 0, 0, err
	case p != nil:
		all.Prefixes = append(all.Prefixes, earlierPrefix{*p, process, number})
		return p.Since, number, nil
	}
	r.Slot = t.st.slotOf(r.Key)
	all.bytes += int64(len(e.Key) + len(e.Payload))
	if all.bytes-t.st.Config.OutboxBytes <= t.st.Config.RingBytes && len(all.Records) < 2*t.st.Config.OutboxEntries {
		all.Records = append(all.Records, earlierRecord{*r, process, number})
	} else {
		number = leftOut
	}
	return r.Since, number, nil
}

// leftOut marks for Kept what had no room.
const leftOut = math.MaxUint64 - 1

func (t *takeUp) Kept(key string) bool {
	e, ok := t.j.Entries[key]
	kept := ok && e.number != leftOut
	if kept && e.number == 0 {
		kept = t.waits(key)
	}
	if !kept {
		t.j.unset(key)
	}
	return kept
}

func (t *takeUp) waits(key string) bool {
	if text, ok := strings.CutPrefix(key, prefixKey("")); ok {
		if t.texts == nil {
			t.texts = map[string]bool{}
			for _, p := range t.st.Outbox.Prefixes() {
				t.texts[p.Text] = true
			}
		}
		return t.texts[text]
	}
	_, ok := t.st.Outbox.Record(strings.TrimPrefix(key, recordKey("")))
	return ok
}

// Added is what came into being because not all had room.
func (t *takeUp) Added() (es []journal.Entry) {
	for _, p := range t.st.Outbox.Prefixes() {
		e := encodePrefix(p, t.st.Clock)
		t.j.set(e.Key, journalEntry{since: p.Since})
		es = append(es, e)
	}
	invalidates := func(r *outbox.Record) bool { return r.Kind == outbox.Invalidate }
	for _, r := range t.st.Outbox.Oldest(math.MaxInt32, invalidates) {
		e := encodeRecord(&r, t.st.Clock)
		t.j.set(e.Key, journalEntry{since: r.Since})
		es = append(es, e)
	}
	return es
}

// processes returns what names the keys of the barriers of earlier processes,
// as long as a master must be asked for them. nil: there is no journal.
func (j *journaled) processes(keyPrefix string) func() []string {
	if j == nil {
		return nil
	}
	return func() (keys []string) {
		j.Mu.Lock()
		defer j.Mu.Unlock()
		seen := map[string]bool{}
		ask := func(process string) {
			if !seen[process] && len(seen) < maxProcesses {
				seen[process] = true
				keys = append(keys, barrierKey(keyPrefix, process))
			}
		}
		for i := range j.earlier.Records {
			ask(j.earlier.Records[i].Process)
		}
		for i := range j.earlier.Prefixes {
			ask(j.earlier.Prefixes[i].process)
		}
		return keys
	}
}

func barrierKey(keyPrefix, process string) string { return keyPrefix + "~b:" + process }

// Settled takes out what earlier processes left, once a master has been asked.
func (j *journaled) Settled() (all earlierWrites) {
	j.Mu.Lock()
	defer j.Mu.Unlock()
	all, j.earlier = j.earlier, earlierWrites{}
	return all
}

// fate is what becomes of what an earlier process wrote and a master had taken.
type fate int

const (
	sendAgain fate = iota // the master does not have it, or nobody knows
	watchOver             // it has it; the next one need not
	letGo                 // nobody knows, and it is too old to be put back
)

// fateOf decides by the barrier of that process which the master holds, 0 for
// none. Without one, such as an hour after the end of the process, nothing tells
// that anything is missing; and what is older than tombstones live would be put
// back as a delete, of a value that is most likely good.
func fateOf(held uint64, gaps []Gap, number uint64, age time.Duration) fate {
	switch {
	case vouched(gaps, held, number):
		return watchOver
	case held == 0 && age > remote.TombstoneLife && !Missed(gaps, number):
		return letGo
	}
	return sendAgain
}

// settleEarlier sends again what the master does not have of what earlier
// processes wrote there, and lets the ledger watch over the rest: the next
// master need not have it.
func (sh *Shard) settleEarlier(h remote.Held) (again int) {
	if sh.journal == nil || h.Earlier == nil {
		return 0
	}
	all := sh.journal.Settled()
	now := sh.Clock.Now()
	fateOf := func(process string, number uint64, since int64) fate {
		held := h.Earlier[barrierKey(sh.Config.KeyPrefix, process)]
		return fateOf(held, all.Gaps[process], number, time.Duration(now-since))
	}
	var rs []outbox.Record
	var ps, there []outbox.Prefix
	for _, p := range all.Prefixes {
		switch fateOf(p.process, p.number, p.Since) {
		case watchOver:
			there = append(there, p.Prefix)
		case letGo:
			sh.journal.Done(prefixKey(p.Text), p.Since)
		case sendAgain:
			ps = append(ps, p.Prefix)
		}
	}
	if len(there) > 0 {
		sh.Ledger.AddPrefixes(there, sh.Ledger.Epoch(), now)
	}
	for i := len(all.Records) - 1; i >= 0; i-- { // oldest first
		r := all.Records[i]
		switch fateOf(r.Process, r.Number, r.Since) {
		case watchOver:
			if _, newer := sh.Outbox.Record(r.Key); !newer {
				sh.Ledger.Add(r.Record, sh.Ledger.Epoch(), now)
			}
		case letGo:
			sh.journal.Done(recordKey(r.Key), r.Since)
		case sendAgain:
			rs = append(rs, r.Record)
		}
	}
	sh.Outbox.Return(rs, ps)
	sh.journal.waitAgain(rs, ps)
	sh.journal.dropped(sh.Store, rs)
	for process := range all.Gaps {
		sh.journal.Done(gapsKey(process), math.MaxInt64)
	}
	return len(rs) + len(ps)
}

// settleUnasked is settleEarlier in a Cluster. No shard can be asked how much it has of
// what an earlier process wrote: slots may have moved since. So all of it is sent again
// that is not too old to be put back. What is there already stays.
func (st *Store) settleUnasked() {
	if st.journal == nil {
		return
	}
	all := st.journal.Settled()
	now := st.Clock.Now()
	old := func(since int64) bool { return now-since > int64(remote.TombstoneLife) }
	var rs []outbox.Record
	var ps []outbox.Prefix
	for _, p := range all.Prefixes {
		if old(p.Since) {
			st.journal.Done(prefixKey(p.Text), p.Since)
			continue
		}
		p.Lo, p.Hi = 0, 0
		ps = append(ps, p.Prefix)
	}
	for i := len(all.Records) - 1; i >= 0; i-- { // oldest first
		r := all.Records[i].Record
		if old(r.Since) {
			st.journal.Done(recordKey(r.Key), r.Since)
			continue
		}
		r.Carried = true // for all that is known
		rs = append(rs, r)
	}
	st.Outbox.Return(rs, ps)
	st.journal.waitAgain(rs, ps)
	st.journal.dropped(st, rs)
	for process := range all.Gaps {
		st.journal.Done(gapsKey(process), math.MaxInt64)
	}
}

// earlier is whom to ask the master for. In a Cluster nobody is: see settleUnasked.
func (sh *Shard) earlier() func() []string {
	if sh.clustered() {
		return nil
	}
	return sh.journal.processes(sh.Config.KeyPrefix)
}

func (j *journaled) waitAgain(rs []outbox.Record, ps []outbox.Prefix) {
	if j == nil {
		return
	}
	j.Mu.Lock()
	defer j.Mu.Unlock()
	for i := range rs {
		j.again(recordKey(rs[i].Key))
	}
	for i := range ps {
		j.again(prefixKey(ps[i].Text))
	}
}
