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
	t.Parallel()
	u := newUndone()
	for i := range 2 * undoneKept {
		u.add(strconv.Itoa(i))
	}
	pause, rounds := undoneEach, 0
	for more := true; more; rounds++ {
		var keys []string
		if keys, more = u.take(); len(keys) > undoneMost {
			t.Fatalf("%d keys in one round", len(keys))
		}
		if more {
			pause = undoneAfter(pause, true)
		}
	}
	if rounds < undoneKept/undoneMost || rounds > undoneKept/undoneMost+1 {
		t.Errorf("%d rounds", rounds)
	}
	if pause != undoneRare {
		t.Errorf("a pause of %v", pause)
	}
	if pause = undoneAfter(pause, false); pause != undoneEach {
		t.Errorf("a pause of %v after a round that found something", pause)
	}
}

// Many writes of an ended process arrive at once.
func TestManyLateWritesOfAnEndedProcessUndoNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	client := openAt(t, server.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "warm", "up") })
	reply := redisDo(t, server, "TIME").([]any)
	s, _ := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
	before := strconv.FormatInt((s-1)*1000+time.Hour.Milliseconds(), 10)
	const keys = 1000
	for i := range keys {
		key := fmt.Sprint("k", i)
		if i%2 == 0 {
			wantMaster(t, func() (Receipt, error) { return c.Delete(t.Context(), key) })
		} else {
			wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), key, "last") })
		}
	}
	redisDo(t, server, "EVAL", `for i = 0, ARGV[1] - 1 do redis.call('SET', 'c:k' .. i, 'late', 'PXAT', ARGV[2]) end`, "0", strconv.Itoa(keys), before)
	wrong := 0
	waitUntil(t, 30*time.Second, func() bool {
		wrong = 0
		for i := range keys {
			if got := redisDo(t, server, "GET", fmt.Sprint("c:k", i)); i%2 == 0 && got != nil || i%2 == 1 && got != "last" {
				wrong++
			}
		}
		return wrong == 0
	}, func() string { return fmt.Sprintf("%d keys are wrong", wrong) })
}

// What is put back once is not sent again and again: a stall leaves nothing running.
func TestAfterAStallNothingGoesOnBeingSentAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{WriteTimeout: 100 * time.Millisecond}, Policy{})
	wantMaster(t, func() (Receipt, error) { return p.a.Set(t.Context(), "warm", "up") })
	wantErr(t, p.server.Pause(), nil)
	for i := range 20 {
		_, err := p.a.Set(t.Context(), fmt.Sprint(i), "v")
		wantErr(t, err, nil)
	}
	wantErr(t, p.server.Resume(), nil)
	waitUntil(t, 30*time.Second, func() bool { return p.a.client.State() == Connected && p.a.client.outbox.Empty() }, func() string { return "not sent" })
	sent := p.a.client.replayed.Load() + p.b.client.replayed.Load()
	redisDo(t, p.server, "SET", "c:3", "of another program", "EX", "60")
	time.Sleep(6 * time.Second) // longer than any trace of a replay lives but tombstones
	if now := p.a.client.replayed.Load() + p.b.client.replayed.Load(); now != sent {
		t.Errorf("%d writes were sent again", now-sent)
	}
	if got := redisDo(t, p.server, "GET", "c:3"); got != "of another program" {
		t.Errorf("it is %v", got)
	}
}
