package evercache

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// The writer of a value that a network held back has ended when it arrives: nobody
// sends the write again. What others wrote and deleted meanwhile stands, whoever they
// are, and what was written later or with a life of its own stays.
func TestAWriteOfAnEndedProcessThatArrivesLateUndoesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	gone, client := openAt(t, server.Addr()), openAt(t, server.Addr())
	connect(t, gone, 20*time.Second)
	connect(t, client, 20*time.Second)
	const ttl = time.Hour
	old := cacheOf[string](t, gone, "c", Policy{TTL: ttl})
	c := cacheOf[string](t, client, "c", Policy{TTL: ttl})
	wantMaster(t, func() (Receipt, error) { return old.Set(t.Context(), "warm", "up") }) // notes the life
	now := func() int64 {
		reply := redisDo(t, server, "TIME").([]any)
		s, _ := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
		us, _ := strconv.ParseInt(fmt.Sprint(reply[1]), 10, 64)
		return s*1000 + us/1000
	}
	late := func(key string, written int64, life time.Duration) {
		redisDo(t, server, "SET", "c:"+key, "late", "PXAT", strconv.FormatInt(written+life.Milliseconds(), 10))
	}
	before := now()
	wantErr(t, gone.Close(), nil)
	time.Sleep(500 * time.Millisecond) // how exact the clocks are known on a busy machine

	keys := []string{"deleted", "p-deleted", "overwritten", "newer", "longago", "shorter", "forever"}
	for _, key := range keys {
		wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), key, "first") })
	}
	_, err := c.Delete(t.Context(), "deleted")
	wantErr(t, err, nil)
	_, _, err = c.DeletePrefix(t.Context(), "p-")
	wantErr(t, err, nil)
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "overwritten", "last") })

	late("newer", now()+1, ttl)
	late("longago", before-lateMost.Milliseconds()-1000, ttl)
	late("shorter", now()+1, 10*time.Minute)
	redisDo(t, server, "SET", "c:forever", "late")
	for _, key := range []string{"deleted", "p-deleted", "overwritten"} {
		late(key, before, ttl)
	}
	want := map[string]any{
		"deleted": nil, "p-deleted": nil, "overwritten": "last",
		"newer": "late", "longago": "late", "shorter": "late", "forever": "late",
	}
	got := map[string]any{}
	waitUntil(t, 20*time.Second, func() bool {
		for _, key := range keys {
			got[key] = redisDo(t, server, "GET", "c:"+key)
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	}, func() string { return fmt.Sprint(got) })
	waitUntil(t, 20*time.Second, client.outbox.Empty, func() string { return "not sent" })
	for _, key := range keys {
		e, err := c.Lookup(t.Context(), key)
		if want[key] == nil {
			wantErr(t, err, ErrNotFound)
			continue
		}
		wantValue(t, e.Value, err, want[key].(string))
	}
}

// A key that two processes write in turn is not fought over: what is announced is
// newer, and nothing is sent again.
func TestWhatTwoProcessesWriteInTurnIsNotSentAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{}, Policy{})
	for i := range 40 {
		c := []*Cache[string]{p.a, p.b}[i%2]
		wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "k", fmt.Sprint(i)) })
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(4 * undoneEach)
	for _, c := range []*Client{p.a.client, p.b.client} {
		if n := c.replayed.Load(); n > 0 {
			t.Errorf("%d writes were sent again", n)
		}
	}
	if got := redisDo(t, p.server, "GET", "c:k"); got != "39" {
		t.Errorf("k is %v", got)
	}
}

func TestUndoneAsksRarelyWhereThereIsAlwaysMore(t *testing.T) {
	u := newUndone()
	pause := undoneEach
	for range 10 {
		for i := range 2 * undoneMost {
			u.add(strconv.Itoa(i))
		}
		keys := u.take()
		if len(keys) != undoneMost {
			t.Fatalf("%d keys in one round", len(keys))
		}
		pause = undoneAfter(pause, len(keys))
	}
	if pause != undoneRare {
		t.Errorf("a pause of %v", pause)
	}
	if pause = undoneAfter(pause, undoneMost-1); pause != undoneEach {
		t.Errorf("a pause of %v after a small round", pause)
	}
}
