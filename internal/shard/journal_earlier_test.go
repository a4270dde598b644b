package shard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evercache/evercache"

	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

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
		return shard.EncodeRecord(&outbox.Record{
			Kind: outbox.Set, Key: "c:" + key, Class: "c:", Value: []byte("v"),
			Since: 1, Ends: int64(ttl), Lo: made, Hi: made, TTL: ttl, Sent: end,
		}, clock)
	}
	redisDo(t, p, "SET", "~b:rolledback", "3", "PX", "3600000")
	redisDo(t, p, "SET", "c:p1", "v", "PXAT", fmt.Sprint(made+ttl.Milliseconds()))
	j, _, err := journal.Open(dir, journal.Options{})
	wantErr(t, err, nil)
	_, err = j.Append(t.Context(),
		shard.EncodeTaken(shard.EncodePrefix(outbox.Prefix{Text: "c:p", Since: 1, Lo: made, Hi: made + 1000}, clock), "gone", 7),
		shard.EncodeTaken(record("taken"), "gone", 7),
		shard.EncodeTaken(record("lost"), "rolledback", 7),
		record("waited"))
	wantErr(t, err, nil)
	wantErr(t, j.Close(t.Context()), nil)

	client := open(t, evercache.Options{Addr: p.Addr(), JournalDir: dir})
	connect(t, client, 20*time.Second)
	waitUntil(t, 20*time.Second, shard.Of(client).Outbox.Empty, func() string { return "not all is sent" })
	for key, want := range map[string]string{"p1": "v", "taken": "v", "lost": "", "waited": ""} {
		wantStored(t, p, "c:"+key, want)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.Health().Journal.Waiting == 0 },
		func() string {
			return fmt.Sprintf("the file keeps what waits for nothing: %+v", client.Health().Journal)
		})
	shard.Of(client).Journal().Mu.Lock()
	defer shard.Of(client).Journal().Mu.Unlock()
	if _, kept := shard.Of(client).Journal().Entries[shard.RecordKey("c:taken")]; kept {
		t.Error("the file keeps what was let go")
	}
}

// TestAJournaledWriteIsKeptUntilItIsConfirmed follows one write through the file:
// it waits there, fsynced, until a master has it; from then on with its number,
// until it is confirmed and has had its time in the ring.
func TestAJournaledWriteIsKeptUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	c := cacheOf[string](t, client, "c", evercache.Policy{WriteTimeout: 10 * time.Second})
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "a", "v"))
	inFile := func() string {
		next := open(t, evercache.Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
		if _, waits := shard.Of(next).Outbox.Find("c:a"); waits {
			return "waits"
		}
		all := shard.Of(next).Journal().Settled()
		for _, r := range all.Records {
			if r.Process == shard.Of(client).Process() && string(r.Value) == "v" {
				if shard.Missed(all.Gaps[r.Process], r.Number) {
					return "missed"
				}
				return fmt.Sprint("taken ", r.Number)
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
		r, _ := shard.Of(client).Outbox.Record("c:a")
		number, _ = shard.Of(client).Ledger.Add(r, shard.Of(client).Ledger.Epoch(), shard.Of(client).Clock.Now())
		shard.Of(client).Outbox.Done(r.Key, r.Seq)
		return number
	}
	if got := inFile(); got != "waits" { // at once: it is fsynced
		t.Fatalf("after the acknowledgement: %s", got)
	}
	first := take()
	wantInFile("a master has it", fmt.Sprint("taken ", first))

	shard.Of(client).Ledger.NextBarrier(shard.Of(client).Ledger.Epoch())
	rs, ps := shard.Of(client).Ledger.Uncover(first - 1) // the next master does not
	shard.Of(client).Journal().Lost(t.Context(), first-1, shard.Of(client).Ledger.Next(), rs, ps)
	shard.Of(client).Outbox.Return(rs, ps)
	if got := inFile(); got != "missed" { // at once, before a later barrier can vouch for it
		t.Fatalf("a next master does not have it: %s", got)
	}

	second := take()
	shard.Of(client).Ledger.NextBarrier(shard.Of(client).Ledger.Epoch())
	shard.Of(client).Ledger.Confirm(second, shard.Of(client).Clock.Now())
	if n := shard.Of(client).Ledger.Unconfirmed(); n != 0 {
		t.Fatalf("%d unconfirmed", n)
	}
	wantInFile("confirmed, in the ring", fmt.Sprint("taken ", second))
	shard.Of(client).Ledger.Trim(shard.Of(client).Clock.Now() + int64(shard.Of(client).Config.RingAge) - int64(time.Second))
	wantInFile("its time in the ring is not over", fmt.Sprint("taken ", second))
	shard.Of(client).Ledger.Trim(shard.Of(client).Clock.Now() + int64(shard.Of(client).Config.RingAge))
	wantInFile("its time in the ring is over", "gone")
}

// TestWhatIsRecalledWaitsInTheFileToo: a write that may have been undone is put
// back, and the barrier that covers its first delivery does not vouch for it.
func TestWhatIsRecalledWaitsInTheFileToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	now := shard.Of(client).Clock.Now()
	r := outbox.Record{Kind: outbox.Set, Key: "c:a", Class: "c:", Value: []byte("v"), Since: now, Ends: now + int64(time.Hour), TTL: time.Hour}
	shard.Of(client).Ledger.Add(r, shard.Of(client).Ledger.Epoch(), now)
	shard.Of(client).RecallUndone("c:a")
	waitUntil(t, 20*time.Second, func() bool {
		next := open(t, evercache.Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
		_, waits := shard.Of(next).Outbox.Find("c:a")
		return waits
	}, func() string { return "the next process takes it for delivered" })
}

// TestAFileThatIsMadeAnewHoldsWhatRedisTookToo: the old file is gone with all that
// is in it, and only memory has what a master has taken.
func TestAFileThatIsMadeAnewHoldsWhatRedisTookToo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "j")
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	c := cacheOf[string](t, client, "c", evercache.Policy{WriteTimeout: 10 * time.Second})
	now := shard.Of(client).Clock.Now()
	r := outbox.Record{Kind: outbox.Set, Key: "c:taken", Class: "c:", Value: []byte("v"), Since: now, Ends: now + int64(time.Hour), TTL: time.Hour}
	number, _ := shard.Of(client).Ledger.Add(r, shard.Of(client).Ledger.Epoch(), now)
	shard.Of(client).Ledger.AddPrefix(outbox.Prefix{Text: "c:p", Since: now}, shard.Of(client).Ledger.Epoch(), now)
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "waits", "v"))
	wantErr(t, os.Truncate(filepath.Join(dir, "journal"), 32), nil) // nothing can be read back
	wantErr(t, os.RemoveAll(dir), nil)
	waitUntil(t, 20*time.Second, func() bool {
		_, err := c.Set(t.Context(), "another", "v")
		return err == nil
	}, func() string { return fmt.Sprintf("no file: %+v", client.Health().Journal) })
	next := open(t, evercache.Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
	if _, waits := shard.Of(next).Outbox.Find("c:waits"); !waits {
		t.Error("what waits is lost")
	}
	all := shard.Of(next).Journal().Settled()
	if len(all.Records) != 1 || all.Records[0].Number != number || string(all.Records[0].Value) != "v" || len(all.Prefixes) != 1 {
		t.Errorf("of what a master has taken there is %+v", all)
	}
}
