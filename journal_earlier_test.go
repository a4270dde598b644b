package evercache

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
)

func TestTheFateOfWhatAnEarlierProcessWrote(t *testing.T) {
	t.Parallel()
	const old = remote.TombstoneLife + time.Second
	for _, tt := range []struct {
		name         string
		held, number uint64
		age          time.Duration
		want         fate
	}{
		{"the master has it", 9, 7, time.Second, watchOver},
		{"the master has it, long ago", 9, 7, old, watchOver},
		{"the master has an older state", 3, 7, time.Second, sendAgain},
		{"the master has an older state, long ago", 3, 7, old, sendAgain},
		{"nobody knows", 0, 7, time.Second, sendAgain},
		{"nobody knows, long ago", 0, 7, old, letGo},
		{"it waited when its process ended, long ago", 0, 25, old, sendAgain},
		{"it waited, and a later master vouches", 40, 25, old, sendAgain},
	} {
		if got := fateOf(tt.held, []gap{{20, 30}}, tt.number, tt.age); got != tt.want {
			t.Errorf("%s: fate %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestARestartAfterALongStopDeletesNothingThatRedisHad: what an earlier process
// wrote eleven minutes ago cannot be put back any more. What no master ever took
// is deleted then; what Redis had is left alone, unless it is known to be gone.
func TestARestartAfterALongStopDeletesNothingThatRedisHad(t *testing.T) {
	t.Parallel()
	const age, ttl = 11 * time.Minute, time.Hour
	p, dir := startRedis(t, redisproc.Options{}), t.TempDir()
	at := time.Now().Add(-age)
	clock := &clock.Clock{Start: at}
	made := at.UnixMilli()
	record := func(key string) journal.Entry {
		redisDo(t, p, "SET", "c:"+key, "v", "PXAT", fmt.Sprint(made+ttl.Milliseconds()))
		end := outbox.End{From: made + ttl.Milliseconds(), To: made + ttl.Milliseconds()}
		return encodeRecord(&outbox.Record{
			Kind: outbox.Set, Key: "c:" + key, Class: "c:", Value: []byte("v"),
			Since: 1, Ends: int64(ttl), Lo: made, Hi: made, TTL: ttl, Sent: end,
		}, clock)
	}
	redisDo(t, p, "SET", "~b:rolledback", "3", "PX", "3600000")
	redisDo(t, p, "SET", "c:p1", "v", "PXAT", fmt.Sprint(made+ttl.Milliseconds()))
	j, _, err := journal.Open(dir, journal.Options{})
	wantErr(t, err, nil)
	_, err = j.Append(t.Context(),
		encodeTaken(encodePrefix(outbox.Prefix{Text: "c:p", Since: 1, Lo: made, Hi: made + 1000}, clock), "gone", 7),
		encodeTaken(record("taken"), "gone", 7),
		encodeTaken(record("lost"), "rolledback", 7),
		record("waited"))
	wantErr(t, err, nil)
	wantErr(t, j.Close(t.Context()), nil)

	client := open(t, Options{Addr: p.Addr(), JournalDir: dir})
	connect(t, client, 20*time.Second)
	waitUntil(t, 20*time.Second, client.shard.outbox.Empty, func() string { return "not all is sent" })
	for key, want := range map[string]string{"p1": "v", "taken": "v", "lost": "", "waited": ""} {
		wantStored(t, p, "c:"+key, want)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.Health().Journal.Waiting == 0 },
		func() string {
			return fmt.Sprintf("the file keeps what waits for nothing: %+v", client.Health().Journal)
		})
	client.shard.journal.mu.Lock()
	defer client.shard.journal.mu.Unlock()
	if _, kept := client.shard.journal.entries[recordKey("c:taken")]; kept {
		t.Error("the file keeps what was let go")
	}
}

// TestAJournaledWriteIsKeptUntilItIsConfirmed follows one write through the file:
// it waits there, fsynced, until a master has it; from then on with its number,
// until it is confirmed and has had its time in the ring.
func TestAJournaledWriteIsKeptUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := open(t, Options{Addr: noRedis, JournalDir: dir})
	c := cacheOf[string](t, client, "c", Policy{WriteTimeout: 10 * time.Second})
	wantWritten(t, Journaled)(c.Set(t.Context(), "a", "v"))
	inFile := func() string {
		next := open(t, Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
		if _, waits := next.shard.outbox.Find("c:a"); waits {
			return "waits"
		}
		all := next.shard.journal.settled()
		for _, r := range all.records {
			if r.process == client.shard.process && string(r.Value) == "v" {
				if missed(all.gaps[r.process], r.number) {
					return "missed"
				}
				return fmt.Sprint("taken ", r.number)
			}
		}
		return "gone"
	}
	wantInFile := func(when, want string) {
		t.Helper()
		if got := inFile(); got != want {
			waitUntil(t, 20*time.Second, func() bool { got = inFile(); return got == want },
				func() string { return fmt.Sprintf("%s: %s, want %s", when, got, want) })
		}
	}
	take := func() (number uint64) {
		r, _ := client.shard.outbox.Record("c:a")
		number, _ = client.shard.ledger.Add(r, client.shard.ledger.Epoch(), client.shard.clock.Now())
		client.shard.outbox.Done(r.Key, r.Seq)
		return number
	}
	if got := inFile(); got != "waits" { // at once: it is fsynced
		t.Fatalf("after the acknowledgement: %s", got)
	}
	first := take()
	wantInFile("a master has it", fmt.Sprint("taken ", first))

	client.shard.ledger.NextBarrier(client.shard.ledger.Epoch())
	rs, ps := client.shard.ledger.Uncover(first - 1) // the next master does not
	client.shard.journal.uncovered(t.Context(), first-1, client.shard.ledger.Next(), rs, ps)
	client.shard.outbox.Return(rs, ps)
	if got := inFile(); got != "missed" { // at once, before a later barrier can vouch for it
		t.Fatalf("a next master does not have it: %s", got)
	}

	second := take()
	client.shard.ledger.NextBarrier(client.shard.ledger.Epoch())
	client.shard.ledger.Confirm(second, client.shard.clock.Now())
	if n := client.shard.ledger.Unconfirmed(); n != 0 {
		t.Fatalf("%d unconfirmed", n)
	}
	wantInFile("confirmed, in the ring", fmt.Sprint("taken ", second))
	client.shard.ledger.Trim(client.shard.clock.Now() + int64(client.opts.RingAge) - int64(time.Second))
	wantInFile("its time in the ring is not over", fmt.Sprint("taken ", second))
	client.shard.ledger.Trim(client.shard.clock.Now() + int64(client.opts.RingAge))
	wantInFile("its time in the ring is over", "gone")
}

// TestWhatIsRecalledWaitsInTheFileToo: a write that may have been undone is put
// back, and the barrier that covers its first delivery does not vouch for it.
func TestWhatIsRecalledWaitsInTheFileToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := open(t, Options{Addr: noRedis, JournalDir: dir})
	now := client.shard.clock.Now()
	r := outbox.Record{Kind: outbox.Set, Key: "c:a", Class: "c:", Value: []byte("v"), Since: now, Ends: now + int64(time.Hour), TTL: time.Hour}
	client.shard.ledger.Add(r, client.shard.ledger.Epoch(), now)
	client.shard.recallUndone("c:a")
	waitUntil(t, 20*time.Second, func() bool {
		next := open(t, Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
		_, waits := next.shard.outbox.Find("c:a")
		return waits
	}, func() string { return "the next process takes it for delivered" })
}

// TestAFileThatIsMadeAnewHoldsWhatRedisTookToo: the old file is gone with all that
// is in it, and only memory has what a master has taken.
func TestAFileThatIsMadeAnewHoldsWhatRedisTookToo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "j")
	client := open(t, Options{Addr: noRedis, JournalDir: dir})
	c := cacheOf[string](t, client, "c", Policy{WriteTimeout: 10 * time.Second})
	now := client.shard.clock.Now()
	r := outbox.Record{Kind: outbox.Set, Key: "c:taken", Class: "c:", Value: []byte("v"), Since: now, Ends: now + int64(time.Hour), TTL: time.Hour}
	number, _ := client.shard.ledger.Add(r, client.shard.ledger.Epoch(), now)
	client.shard.ledger.AddPrefix(outbox.Prefix{Text: "c:p", Since: now}, client.shard.ledger.Epoch(), now)
	wantWritten(t, Journaled)(c.Set(t.Context(), "waits", "v"))
	wantErr(t, os.Truncate(filepath.Join(dir, "journal"), 32), nil) // nothing can be read back
	wantErr(t, os.RemoveAll(dir), nil)
	waitUntil(t, 20*time.Second, func() bool {
		_, err := c.Set(t.Context(), "another", "v")
		return err == nil
	}, func() string { return fmt.Sprintf("no file: %+v", client.Health().Journal) })
	next := open(t, Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
	if _, waits := next.shard.outbox.Find("c:waits"); !waits {
		t.Error("what waits is lost")
	}
	all := next.shard.journal.settled()
	if len(all.records) != 1 || all.records[0].number != number || string(all.records[0].Value) != "v" || len(all.prefixes) != 1 {
		t.Errorf("of what a master has taken there is %+v", all)
	}
}
