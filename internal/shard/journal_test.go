package shard_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// end closes a client as its process would, and wants nothing to be lost.
func end(t *testing.T, c *evercache.Client) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// outageWith opens a client with a journal on a Redis that was there and is not
// any more.
func outageWith(t *testing.T, p *redisproc.Process, dir string) (*evercache.Client, *evercache.Cache[string]) {
	t.Helper()
	client := open(t, evercache.Options{Addr: p.Addr(), JournalDir: dir, CloseTimeout: time.Second})
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	connect(t, client, 20*time.Second)
	waitUntil(t, 20*time.Second, func() bool { return hasBarrier(client) }, func() string { return "the server's time is not known" })
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	return client, c
}

func TestWhatAnOutageKeptSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	p, dir := startRedis(t, redisproc.Options{}), t.TempDir()
	for _, key := range []string{"deleted", "overwritten", "p1", "theirs", "gone"} {
		redisDo(t, p, "SET", "c:"+key, "old", "PX", "3600000")
	}
	client, c := outageWith(t, p, dir)
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "overwritten", "first"))
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "overwritten", "new"))
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "touched", "new", evercache.MinDurability(evercache.Journaled)))
	wantWritten(t, evercache.Journaled)(c.Delete(t.Context(), "deleted"))
	n, r, err := c.DeletePrefix(t.Context(), "p")
	wantValue(t, n, err, -1)
	wantValue(t, r.Durability, err, evercache.Journaled)
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "p2", "after"))
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "theirs", "ours"))
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "gone", "ours"))
	wantWritten(t, evercache.Journaled)(c.Touch(t.Context(), "touched", evercache.TTL(2*time.Hour))) // from here on ends tell no order
	if h := client.Health().Journal; !h.Enabled || h.Entries != 7 || h.Bytes == 0 || h.Err != nil {
		t.Errorf("journal = %+v", h)
	}
	end(t, client)

	time.Sleep(30 * time.Millisecond)
	resume(t, p)
	other := cacheAt(t, p.Addr(), evercache.Policy{})
	wantMaster(t, func() (evercache.Receipt, error) { return other.Set(t.Context(), "theirs", "later") })
	wantMaster(t, func() (evercache.Receipt, error) { return other.Delete(t.Context(), "gone") })

	next := open(t, evercache.Options{Addr: p.Addr(), JournalDir: dir})
	connect(t, next, 20*time.Second)
	want := map[string]string{"overwritten": "new", "touched": "new", "deleted": "", "p1": "", "p2": "after", "theirs": "later", "gone": ""}
	for key, v := range want {
		wantStored(t, p, "c:"+key, v)
	}
	for key, ttl := range map[string]int64{"overwritten": 3_600_000, "touched": 7_200_000} {
		if ms := redisDo(t, p, "PTTL", "c:"+key).(int64); ms > ttl || ms < ttl-10_000 {
			t.Errorf("%s lives %d ms more, want about %d", key, ms, ttl)
		}
	}
	if r := next.Health().Recovery; r.Superseded != 2 {
		t.Errorf("recovery = %+v, want 2 superseded", r)
	}
	waitUntil(t, 20*time.Second, func() bool { return next.Health().Journal.Waiting == 0 },
		func() string {
			return fmt.Sprintf("what Redis has taken waits in the file: %+v", next.Health().Journal)
		})
	end(t, next)
	third := open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	if !shard.Of(third).Outbox.Empty() {
		t.Error("what was confirmed is sent once more")
	}
}

func TestAJournalHasOneClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	_, err := evercache.Open(t.Context(), evercache.Options{Addr: noRedis, JournalDir: dir, Logger: quiet})
	wantErr(t, err, journal.ErrInUse)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = evercache.Open(t.Context(), evercache.Options{Addr: noRedis, JournalDir: file, Logger: quiet}); err == nil {
		t.Error("a file was opened as a directory")
	}
}

func TestADamagedJournalIsSetAsideAndTold(t *testing.T) {
	t.Parallel()
	p, dir := startRedis(t, redisproc.Options{}), t.TempDir()
	client, c := outageWith(t, p, dir)
	for i := range 10 {
		wantWritten(t, evercache.Journaled)(c.Set(t.Context(), fmt.Sprint(i), "v"))
	}
	end(t, client)
	file := filepath.Join(dir, "journal")
	data, err := os.ReadFile(file)
	wantErr(t, err, nil)
	data[len(data)/2] ^= 1
	wantErr(t, os.WriteFile(file, data, 0o600), nil)
	resume(t, p)
	next := open(t, evercache.Options{Addr: p.Addr(), JournalDir: dir})
	waitFinding(t, next, "journal-damaged")
	connect(t, next, 20*time.Second)
	waitInRedis(t, p, "c:0", "v") // it was before the damage
	if aside, _ := filepath.Glob(filepath.Join(dir, "journal.damaged-*")); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
}

func TestARecordThatMakesNoSenseIsLeftOutAndTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _, err := journal.Open(dir, journal.Options{})
	wantErr(t, err, nil)
	_, err = j.Append(t.Context(), journal.Entry{Kind: shard.EntryRecord, Key: "kc:a", Payload: []byte{99}})
	wantErr(t, err, nil)
	wantErr(t, j.Close(t.Context()), nil)
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	waitFinding(t, client, "journal-damaged")
	if !shard.Of(client).Outbox.Empty() || client.Health().Journal.Entries != 0 {
		t.Errorf("health = %+v", client.Health())
	}
}

// TestWithoutItsDiskAWriteIsInForceAndSaysSo closes the file, as one that takes
// nothing any more.
func TestWithoutItsDiskAWriteIsInForceAndSaysSo(t *testing.T) {
	t.Parallel()
	p, dir := startRedis(t, redisproc.Options{}), t.TempDir()
	client, c := outageWith(t, p, dir)
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "kept", "v"))
	wantErr(t, shard.Of(client).Journal().File.Close(t.Context()), nil)
	writes := map[string]func() (evercache.Receipt, error){
		"Set":    func() (evercache.Receipt, error) { return c.Set(t.Context(), "a", "v") },
		"Delete": func() (evercache.Receipt, error) { return c.Delete(t.Context(), "b") },
		"DeletePrefix": func() (evercache.Receipt, error) {
			_, r, err := c.DeletePrefix(t.Context(), "x")
			return r, err
		},
	}
	for name, write := range writes {
		r, err := write()
		below, ok := errors.AsType[*evercache.DurabilityError](err)
		if !ok || below.Asked != evercache.Journaled || below.Got != evercache.Memory || r.Durability != evercache.Memory || !errors.Is(err, journal.ErrClosed) {
			t.Errorf("%s = %+v, %v", name, r, err)
		}
	}
	for key, want := range map[string]string{"kept": "v", "a": "v"} {
		e, err := c.Lookup(t.Context(), key)
		wantValue(t, e.Value, err, want)
	}
	err := client.Close()
	if unsaved, ok := errors.AsType[*evercache.UnsavedError](err); !ok || unsaved.Writes == 0 {
		t.Errorf("Close = %v, want the writes that are in no file", err)
	}
	resume(t, p)
}

// TestAJournalWhoseFolderIsRemovedIsToldAndMadeAnew: a write that only an
// unlinked file has would end with the process.
func TestAJournalWhoseFolderIsRemovedIsToldAndMadeAnew(t *testing.T) {
	t.Parallel()
	p, dir := startRedis(t, redisproc.Options{}), filepath.Join(t.TempDir(), "j")
	client, c := outageWith(t, p, dir)
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "before", "v"))

	wantErr(t, os.RemoveAll(dir), nil)
	wantErr(t, os.WriteFile(dir, nil, 0o600), nil) // no folder can be made there
	r, err := c.Set(t.Context(), "meanwhile", "v")
	if _, ok := errors.AsType[*evercache.DurabilityError](err); !ok || r.Durability != evercache.Memory || !errors.Is(err, journal.ErrFailed) {
		t.Errorf("Set = %+v, %v", r, err)
	}
	waitFinding(t, client, "journal-failed")

	wantErr(t, os.Remove(dir), nil)
	waitUntil(t, 15*time.Second, func() bool { return client.Health().Journal.Err == nil }, func() string { return "the journal stays failed" })
	wantWritten(t, evercache.Journaled)(c.Set(t.Context(), "after", "v"))
	b, err := os.ReadFile(filepath.Join(dir, "journal")) // what is there if the process is killed
	wantErr(t, err, nil)
	left := t.TempDir()
	wantErr(t, os.WriteFile(filepath.Join(left, "journal"), b, 0o600), nil)
	next := open(t, evercache.Options{Addr: noRedis, JournalDir: left})
	for _, key := range []string{"before", "meanwhile", "after"} {
		if _, ok := shard.Of(next).Outbox.Find("c:" + key); !ok {
			t.Errorf("%s is lost with the process", key)
		}
	}
	resume(t, p)
}

func FuzzDecodeEntry(f *testing.F) {
	clock := clock.New()
	full := outbox.Record{
		Kind: outbox.Set, Key: "p:c:a", Class: "p:c:", Value: []byte("v"), Since: -5, Ends: 1 << 40, Invalidate: true,
		Lo: 1, Hi: 2, Floor: 3, TTL: time.Hour, Late: true, Mixed: true, Prev: outbox.End{From: 1, To: 2}, Priors: []outbox.End{{From: 3, To: 4}},
	}
	for _, e := range []journal.Entry{
		shard.EncodeRecord(&full, clock), shard.EncodeRecord(&outbox.Record{Kind: outbox.Delete, Key: "k"}, clock),
		shard.EncodeRecord(&outbox.Record{Kind: outbox.Touch, Key: "k", TTL: evercache.MaxTTL}, clock),
		shard.EncodePrefix(outbox.Prefix{Text: "p:c:x", Since: 9, Lo: 1, Hi: 2}, clock), shard.EncodePrefix(outbox.Prefix{}, clock),
	} {
		f.Add(e.Kind, e.Key, slices.Concat(e.Payload, e.Rest))
	}
	f.Fuzz(func(t *testing.T, kind byte, key string, payload []byte) {
		r, p, err := shard.DecodeEntry(journal.Entry{Kind: kind, Key: key, Payload: payload}, clock)
		var again journal.Entry
		switch {
		case err != nil:
			if r != nil || p != nil {
				t.Fatalf("an error and %v, %v", r, p)
			}
			return
		case (r == nil) == (p == nil):
			t.Fatalf("%v and %v", r, p)
		case r != nil:
			if r.Key == "" || r.Kind > outbox.Invalidate || r.TTL < 0 || r.TTL > evercache.MaxTTL {
				t.Fatalf("%+v", r)
			}
			again = shard.EncodeRecord(r, clock)
		default:
			again = shard.EncodePrefix(*p, clock)
		}
		if again.Kind != kind || again.Key != key {
			t.Fatalf("%q became %q", key, again.Key)
		}
		again.Payload, again.Rest = slices.Concat(again.Payload, again.Rest), nil
		r2, p2, err := shard.DecodeEntry(again, clock)
		if err != nil || cmp.Diff(r, r2) != "" || cmp.Diff(p, p2) != "" {
			t.Fatalf("not the same again: %v %s%s", err, cmp.Diff(r, r2), cmp.Diff(p, p2))
		}
	})
}
