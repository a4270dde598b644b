package evercache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/internal/testbed"
)

// callsOf is how often a command was sent to p.
func callsOf(t *testing.T, p *redisproc.Process, command string) (n int) {
	t.Helper()
	_, after, _ := strings.Cut(redisDo(t, p, "INFO", "commandstats").(string), "cmdstat_"+command+":calls=")
	_, _ = fmt.Sscan(after, &n)
	return n
}

// waitKnown reads a key until Redis is not asked for its end any more.
func waitKnown(t *testing.T, c interface{ holds(key string) bool }, key string) {
	t.Helper()
	waitUntil(t, 10*time.Second, func() bool { return c.holds(key) }, func() string { return "its end is asked for" })
}

// holds reports whether a read of the key now would not ask for its end.
func (c *Cache[V]) holds(key string) bool {
	_, _ = c.Lookup(context.Background(), key)
	_, _, ok := c.held(key, c.keys.Mark(c.full(key)))
	return ok
}

func TestTheEndOfWhatHasNotChangedIsAskedForOnce(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	texts := cacheOf[string](t, client, "texts", Policy{TTL: time.Hour, L1TTL: Never})
	bytes := cacheOf[[]byte](t, client, "bytes", Policy{TTL: time.Hour, L1TTL: Never})
	brief := cacheOf[string](t, client, "brief", Policy{TTL: time.Hour, L1TTL: time.Millisecond})
	for name, read := range map[string]func() (Source, bool, error){
		"texts": func() (Source, bool, error) {
			e, err := texts.Lookup(t.Context(), "k")
			return e.Source, e.Value == "v" && e.Fresh && about(e.Age, 59*time.Minute), err
		},
		"bytes": func() (Source, bool, error) {
			e, err := bytes.Lookup(t.Context(), "k")
			return e.Source, string(e.Value) == "v" && e.Fresh && about(e.Age, 59*time.Minute), err
		},
		"brief": func() (Source, bool, error) {
			time.Sleep(2 * time.Millisecond) // its L1TTL
			e, err := brief.Lookup(t.Context(), "k")
			return e.Source, e.Value == "v" && e.Fresh && about(e.Age, 59*time.Minute), err
		},
	} {
		redisDo(t, p, "SET", name+":k", "v", "PX", "60000")
		holds := map[string]interface{ holds(string) bool }{"texts": texts, "bytes": bytes, "brief": brief}[name]
		testbed.Attempts(t, func(t *testing.T) error { // the lease may end on a busy machine: then it is asked for
			waitKnown(t, holds, "k")
			pttl, get := callsOf(t, p, "pttl"), callsOf(t, p, "getrange")
			const reads = 50
			for range reads {
				if source, right, err := read(); err != nil || !right || source != SourceRedis {
					t.Fatalf("%s: from %v, right: %v, %v", name, source, right, err)
				}
			}
			if asked := callsOf(t, p, "pttl") - pttl; asked > 0 {
				return fmt.Errorf("%s: the end was asked for %d times", name, asked)
			}
			if asked := callsOf(t, p, "getrange") - get; asked < reads {
				t.Errorf("%s: Redis was asked %d times", name, asked)
			}
			return nil
		})
	}
}

// about: give or take what a busy machine needs.
func about(d, want time.Duration) bool { return d > want-30*time.Second && d < want+30*time.Second }

// Whatever becomes of a key, its value and its end are those in Redis.
func TestAChangedEndIsAskedForAgain(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour, L1TTL: Never})
	for name, tt := range map[string]struct {
		change func()
		value  string
		age    time.Duration
	}{
		"another end":                            {func() { redisDo(t, p, "PEXPIRE", "c:k", "600000") }, "v", 50 * time.Minute},
		"the same value, and another end":        {func() { redisDo(t, p, "SET", "c:k", "v", "PX", "1200000") }, "v", 40 * time.Minute},
		"another value of the same length":       {func() { redisDo(t, p, "SET", "c:k", "w", "PX", "1200000") }, "w", 40 * time.Minute},
		"none any more":                          {func() { redisDo(t, p, "PERSIST", "c:k") }, "v", 0},
		"a write of our own":                     {func() { _, _ = c.Set(t.Context(), "k", "v", TTL(30*time.Minute)) }, "v", 0},
		"a longer life from here":                {func() { _, _ = c.Touch(t.Context(), "k", TTL(20*time.Minute)) }, "v", 40 * time.Minute},
		"a delete, and the value again":          {func() { redisDo(t, p, "DEL", "c:k"); redisDo(t, p, "SET", "c:k", "v", "PX", "600000") }, "v", 50 * time.Minute},
		"a flush, and the value again":           {func() { redisDo(t, p, "FLUSHALL"); redisDo(t, p, "SET", "c:k", "v", "PX", "600000") }, "v", 50 * time.Minute},
		"our own delete, and then another's SET": {func() { _, _ = c.Delete(t.Context(), "k"); redisDo(t, p, "SET", "c:k", "v", "PX", "600000") }, "v", 50 * time.Minute},
	} {
		redisDo(t, p, "SET", "c:k", "v", "PX", "60000")
		waitKnown(t, c, "k")
		tt.change()
		e, err := c.Lookup(t.Context(), "k") // it comes behind the announcement, or with it
		if err != nil || e.Value != tt.value {
			t.Errorf("%s: %q, %v", name, e.Value, err)
		}
		for range 3 { // what is announced behind the first answer stands in the next
			e, err = c.Lookup(t.Context(), "k")
		}
		if err != nil || e.Value != tt.value || !about(e.Age, tt.age) {
			t.Errorf("%s: %q, %v old, %v, want %q, %v old", name, e.Value, e.Age, err, tt.value, tt.age)
		}
	}
}

// What Redis has said once of the end holds in the outage, and not longer.
func TestWhatWasReadManyTimesEndsInAnOutageWhenItWouldHave(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour, L1TTL: Never, Stale: Never})
	redisDo(t, p, "SET", "c:k", "v", "PX", "6000")
	end := time.Now().Add(6 * time.Second) // or before
	waitKnown(t, c, "k")
	for range 100 {
		if _, err := c.Lookup(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 5*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	seen := false
	for {
		e, err := c.Lookup(t.Context(), "k")
		now := time.Now()
		if err == nil && e.Fresh && now.After(end.Add(20*time.Millisecond)) {
			t.Fatalf("it is called fresh %v after its end", now.Sub(end))
		}
		if now.After(end.Add(300 * time.Millisecond)) {
			if err == nil || !errors.Is(err, ErrUnavailable) {
				t.Errorf("after its end: %+v, %v", e, err)
			}
			break
		}
		seen = seen || err == nil && e.Fresh && e.Source == SourceMemory
		time.Sleep(5 * time.Millisecond)
	}
	if !seen {
		t.Error("memory has never answered for it")
	}
}

// Where a value is not in memory as it is in Redis nobody can see whether it is the same.
func TestTheEndOfWhatIsDecodedIsAskedForEachTime(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[struct{ N int }](t, client, "c", Policy{TTL: time.Hour, L1TTL: Never})
	redisDo(t, p, "SET", "c:k", `{"N":1}`, "PX", "60000")
	before := callsOf(t, p, "pttl")
	for range 20 {
		if e, err := c.Lookup(t.Context(), "k"); err != nil || e.Value.N != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	if asked := callsOf(t, p, "pttl") - before; asked < 20 {
		t.Errorf("the end was asked for %d times", asked)
	}
}

// Each reason for which the end is asked for all the same.
func TestWhenTheEndIsNotKnownItIsAskedFor(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour, L1TTL: Never})
	redisDo(t, p, "SET", "c:k", "v", "PX", "60000")
	testbed.Attempts(t, func(t *testing.T) error {
		waitKnown(t, c, "k")
		m := c.keys.Mark("c:k")
		_, h, ok := c.held("k", m)
		if !ok {
			return errors.New("the lease is over")
		}
		if a := c.keys.Read(t.Context(), "c:k", &h, time.Second); !a.Same || string(a.Data) != "v" {
			t.Errorf("the same value: %q, same: %v", a.Data, a.Same)
		}
		for name, change := range map[string]func(*shard.Held){
			"memory has another value":     func(h *shard.Held) { h.Text = "w" },
			"memory has a longer value":    func(h *shard.Held) { h.Text = "vv" },
			"it ends soon":                 func(h *shard.Held) { h.End.From -= 59_500; h.End.To = h.End.From },
			"it should have ended":         func(h *shard.Held) { h.End.From -= 70_000; h.End.To = h.End.From },
			"its end is not known so well": func(h *shard.Held) { h.End.To += 1000 },
			"its end is not known":         func(h *shard.Held) { h.End = shard.End{} },
		} {
			h := h
			change(&h)
			a := c.keys.Read(t.Context(), "c:k", &h, time.Second)
			if a.Same || a.Err != nil || string(a.Data) != "v" || a.Left > time.Minute || a.Left < 30*time.Second {
				t.Errorf("%s: %q for %v, same: %v, %v", name, a.Data, a.Left, a.Same, a.Err)
			}
		}
		feed := client.one().Feed
		feed.Silent() // what was announced since, nobody has heard
		feed.Cover().Renew(client.one().Clock.Now() + int64(time.Minute))
		if _, _, ok := c.held("k", c.keys.Mark("c:k")); ok {
			t.Error("an entry of an earlier epoch is still as it was")
		}
		return nil
	})
}
