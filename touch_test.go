package evercache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
)

// wantLife fails the test unless a key lives for so long from now, or up to half a
// minute less.
func wantLife(t *testing.T, p *redisproc.Process, key string, life time.Duration) {
	t.Helper()
	got := time.Duration(redisDo(t, p, "PTTL", key).(int64)) * time.Millisecond
	if got > life || got < life-30*time.Second {
		t.Errorf("%s lives for %v, want %v", key, got, life)
	}
}

func TestATouchMayEndAKeySooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{TTL: 100 * time.Second})
		_, _ = c.Set(t.Context(), "a", "v")
		_, err := c.Touch(t.Context(), "a", TTL(10*time.Second))
		wantErr(t, err, nil)
		time.Sleep(9 * time.Second)
		e, err := c.Lookup(t.Context(), "a")
		wantValue(t, e.Value, err, "v")
		time.Sleep(2 * time.Second)
		_, err = c.Lookup(t.Context(), "a")
		wantErr(t, err, ErrNotFound)
	})
}

func TestATouchEndsAKeySoonerInRedisAndInEveryMemory(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	one, other := cacheAt(t, p.Addr(), Policy{TTL: time.Hour}), cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
	_, err := one.Set(t.Context(), "long", "v")
	wantErr(t, err, nil)
	wantMaster(t, func() (Receipt, error) { return one.Touch(t.Context(), "long", TTL(20*time.Minute)) })
	wantLife(t, p, "c:long", 20*time.Minute)

	_, err = one.Set(t.Context(), "brief", "v")
	wantErr(t, err, nil)
	waitCovers(t, one, "brief", "v")
	waitCovers(t, other, "brief", "v")
	wantMaster(t, func() (Receipt, error) { return one.Touch(t.Context(), "brief", TTL(briefly)) })
	gone(t, p, "c:brief")
	for name, c := range map[string]*Cache[string]{"its own": one, "another's": other} {
		waitUntil(t, 20*time.Second, func() bool { _, err := c.Lookup(t.Context(), "brief"); return err != nil }, func() string { return name + " memory has it still" })
		_, err := c.Lookup(t.Context(), "brief")
		wantErr(t, err, ErrNotFound)
	}
}

// What another process kept before does not come back because the touched value has
// ended.
func TestAnOlderValueDoesNotComeBackWhenATouchHasEndedTheKey(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
	for i := range 10 {
		_, err := p.b.Set(t.Context(), fmt.Sprint(i), "on")
		wantErr(t, err, nil)
	}
	p.cut(t)
	for i := range 10 {
		wantWritten(t, Memory)(p.a.Set(t.Context(), fmt.Sprint(i), "off"))
	}
	time.Sleep(20 * time.Millisecond) // more than the order needs
	for i := range 10 {
		if !wantMaster(t, func() (Receipt, error) { return p.b.Touch(t.Context(), fmt.Sprint(i), TTL(briefly)) }) {
			return
		}
	}
	for i := range 10 {
		gone(t, p.server, fmt.Sprint("c:", i))
	}
	p.heal(t)
	for i := range 10 {
		wantStored(t, p.server, fmt.Sprint("c:", i), "")
	}
}

// A Touch that was kept moves the end of what was there before it, and of nothing
// that another process has written or touched since.
func TestATouchThatWasKeptMovesOnlyAnOlderEnd(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{30 * time.Minute, 2 * time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			t.Parallel()
			p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
			for _, key := range []string{"alone", "set", "touched"} {
				_, err := p.b.Set(t.Context(), key, "v")
				wantErr(t, err, nil)
				waitCovers(t, p.a, key, "v")
			}
			_, err := p.a.Set(t.Context(), "waits", "older")
			wantErr(t, err, nil)
			p.cut(t)
			wantWritten(t, Memory)(p.a.Set(t.Context(), "waits", "v"))
			for _, key := range []string{"alone", "set", "touched", "waits"} {
				wantWritten(t, Memory)(p.a.Touch(t.Context(), key, TTL(life)))
			}
			time.Sleep(20 * time.Millisecond) // more than the order needs
			wantMaster(t, func() (Receipt, error) { return p.b.Set(t.Context(), "set", "newer") })
			wantMaster(t, func() (Receipt, error) { return p.b.Touch(t.Context(), "touched", TTL(50*time.Minute)) })
			p.heal(t)
			wantStored(t, p.server, "c:set", "newer")
			wantStored(t, p.server, "c:waits", "v")
			wantLife(t, p.server, "c:alone", life)
			wantLife(t, p.server, "c:waits", life)
			wantLife(t, p.server, "c:set", time.Hour)
			wantLife(t, p.server, "c:touched", 50*time.Minute)
		})
	}
}

// A Touch that the next master lacks is put back, with its value and without.
func TestATouchThatRedisLostIsPutBack(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	for _, key := range []string{"sooner", "later", "unsaved"} {
		wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), key, "v") })
	}
	waitUntil(t, 20*time.Second, func() bool { return client.Stats().RedisRequests["heartbeat"]["ok"] > 2 }, func() string { return "no barrier" })
	redisDo(t, p, "SAVE")
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "unsaved", "v2") })
	lives := map[string]time.Duration{"sooner": 30 * time.Minute, "later": 2 * time.Hour, "unsaved": 30 * time.Minute}
	for key, life := range lives {
		wantMaster(t, func() (Receipt, error) { return c.Touch(t.Context(), key, TTL(life)) })
	}
	n := times(client)
	kill(t, p)
	restart(t, p, redisproc.KeepData)
	returned(t, client, n)
	wantStored(t, p, "c:unsaved", "v2")
	for key, life := range lives {
		wantLife(t, p, "c:"+key, life)
	}
}

// A kept Touch says, before it is sent, that an end tells no more when a value was
// written: others would take what it has touched for newer or older than it is.
func TestATouchThatIsSentLaterIsNotedFirst(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
	_, err := p.b.Set(t.Context(), "k", "v")
	wantErr(t, err, nil)
	waitCovers(t, p.a, "k", "v")
	p.cut(t)
	wantWritten(t, Memory)(p.a.Touch(t.Context(), "k", TTL(30*time.Minute)))
	if got := redisDo(t, p.server, "HEXISTS", remote.LivesKey("", "c:k"), "~"); got != int64(0) {
		t.Fatalf("noted before: %v", got)
	}
	p.heal(t)
	wantLife(t, p.server, "c:k", 30*time.Minute)
	if got := redisDo(t, p.server, "HEXISTS", remote.LivesKey("", "c:k"), "~"); got != int64(1) {
		t.Errorf("not noted: %v", got)
	}
}

// The journal has one place for a Touch that waits and the Set that a master has.
func TestTheJournalKeepsATouchWithItsSet(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "a", "v") })
	set, ok := client.one().Ledger.Record("c:a")
	if !ok {
		t.Fatal("the ledger does not hold it")
	}
	touch := outbox.Record{Kind: outbox.Touch, Key: "c:a", Since: set.Since + 1, Ends: set.Ends + 1, TTL: 2 * time.Hour}
	if r := client.one().WithItsSet(touch); r.Kind != outbox.Set || string(r.Value) != string(set.Value) || r.Ends != touch.Ends || r.TTL != touch.TTL {
		t.Errorf("%+v", r)
	}
	touch.Since = set.Since - 1 // it touched what was there before
	if r := client.one().WithItsSet(touch); r.Kind != outbox.Touch {
		t.Errorf("%+v", r)
	}
}
