package evercache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/redisproc"
)

// inspectable is a class whose entries are coherent.
func inspectable(t *testing.T, keys int) (*redisproc.Process, *Client, *Cache[string]) {
	t.Helper()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour, ReadTimeout: 5 * time.Second})
	for i := range keys {
		key := fmt.Sprint("k", i)
		_, err := c.Set(t.Context(), key, "v")
		wantErr(t, err, nil)
		coherently(t, c, key)
	}
	return p, client, c
}

// coherently reads a key until memory answers and vouches for it.
func coherently(t *testing.T, c *Cache[string], key string) {
	t.Helper()
	waitUntil(t, 20*time.Second, func() bool {
		e, err := c.Lookup(t.Context(), key)
		return err == nil && e.Source == SourceMemory && e.Coherent
	}, func() string { return key + " is not called coherent" })
}

func TestInspectFindsNothingWhereAllIsWell(t *testing.T) {
	t.Parallel()
	_, client, c := inspectable(t, 50)
	got, err := c.Inspect(t.Context(), 100)
	wantErr(t, err, nil)
	if got.Checked == 0 || got.Checked > 50 || got.Wrong != 0 || got.Worst != nil {
		t.Errorf("%+v", got)
	}
	if few, err := c.Inspect(t.Context(), 3); err != nil || few.Checked > 3 {
		t.Errorf("%+v, %v: want three at most", few, err)
	}
	for _, most := range []int{0, -1} {
		if none, err := c.Inspect(t.Context(), most); err != nil || none.Checked != 0 {
			t.Errorf("%d: %+v, %v", most, none, err)
		}
	}
	if s := client.Stats(); s.Inspected == 0 || s.InspectedWrong != 0 {
		t.Errorf("%d inspected, %d wrong", s.Inspected, s.InspectedWrong)
	}
}

// What an announcement that never came leaves behind: memory has another value than Redis, or
// one that Redis does not have, and vouches for it.
func TestInspectFindsWhatMemoryIsWrongAbout(t *testing.T) {
	t.Parallel()
	p, client, c := inspectable(t, 10)
	for _, key := range []string{"k3", "phantom"} {
		is, it := c.peek("k3"), local.NewItem("not in Redis")
		it.Cover, it.TrustUntil, it.AskAfter, it.Size = is.Cover, is.TrustUntil, is.AskAfter, is.Size
		it.FreshUntil, it.KeepUntil, it.Written = is.FreshUntil, is.KeepUntil, is.Written-int64(time.Minute)
		c.put(key, it)
	}
	got, err := c.Inspect(t.Context(), 100)
	wantErr(t, err, nil)
	if got.Wrong != 2 || len(got.Worst) != 2 || client.Stats().InspectedWrong != 2 {
		t.Fatalf("%+v", got)
	}
	lacking := map[string]bool{got.Worst[0].Key: got.Worst[0].Missing, got.Worst[1].Key: got.Worst[1].Missing}
	if is, ok := lacking[digestOf("k3")]; !ok || is {
		t.Errorf("the overwritten one: %+v", got.Worst)
	}
	if is, ok := lacking[digestOf("phantom")]; !ok || !is || got.Worst[0].Age < time.Minute {
		t.Errorf("the one that is missing: %+v", got.Worst)
	}
	waitFinding(t, client, "memory-wrong")
	// It changes nothing.
	if v := redisDo(t, p, "GET", "c:k3"); v != "v" || valueOf[string](c.peek("k3")) != "not in Redis" {
		t.Errorf("Redis holds %v, memory %q", v, valueOf[string](c.peek("k3")))
	}
}

// Others write all the time; each write is announced, and an entry that is a moment behind
// is no fault.
func TestInspectBelievesNoMomentaryDifference(t *testing.T) {
	t.Parallel()
	p, _, c := inspectable(t, 20)
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = p.Do(ctx, "SET", fmt.Sprint("c:k", n%20), fmt.Sprint("by another ", n), "EX", "3600")
		}
	})
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = c.Lookup(ctx, fmt.Sprint("k", n%20))
		}
	})
	for ctx.Err() == nil {
		if got, err := c.Inspect(ctx, 20); got.Wrong != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	wg.Wait()
}

func TestInspectSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	p, client, c := inspectable(t, 3)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Inspect(gone, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
	wantErr(t, p.Kill(), nil)
	if got, err := c.Inspect(t.Context(), 10); got.Checked != 0 || err != nil && !errors.Is(err, ErrUnavailable) {
		t.Errorf("without Redis: %+v, %v", got, err)
	}
	_ = client.Close()
	if _, err := c.Inspect(t.Context(), 10); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	memory := cacheOf[string](t, openMemory(t), "c", Policy{})
	_, _ = memory.Set(t.Context(), "k", "v")
	if got, err := memory.Inspect(t.Context(), 10); err != nil || got.Checked != 0 {
		t.Errorf("in memory only: %+v, %v", got, err)
	}
}

func TestASampleIsOfWhatIsCoherent(t *testing.T) {
	t.Parallel()
	_, _, c := inspectable(t, 30)
	it := c.peek("k1")
	for key, change := range map[string]func(){
		"distrusted": func() { c.put("k0", distrusted(it)) },
		"replaced":   func() { c.put("k2", movedAway(it)) },
		"ended":      func() { c.put("k4", ended(it, c.client.store.Clock.Now())) },
		"absent":     func() { c.put("k5", c.absentItem(c.client.store.Clock.Now())) },
	} {
		change()
		if n := len(c.sample(100)); n > 29 {
			t.Errorf("%s: %d entries are chosen", key, n)
		}
	}
	if n := len(c.sample(100)); n != 26 {
		t.Errorf("%d entries are chosen, want the other 26", n)
	}
	first := map[string]bool{}
	for range 50 {
		first[c.sample(1)[0].key] = true
	}
	if len(first) < 5 {
		t.Errorf("only %d of 26 are ever chosen", len(first))
	}
}

// A server that hangs, refuses or has lost its data makes no entry wrong, and nobody waits
// longer than for a read.
func TestInspectCallsNothingWrongWhereRedisIsInTrouble(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(t *testing.T, p *redisproc.Process){
		"hangs":        func(t *testing.T, p *redisproc.Process) { wantErr(t, p.Pause(), nil) },
		"is emptied":   func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "FLUSHALL") },
		"is a replica": func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "REPLICAOF", "127.0.0.1", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			p, _, c := inspectable(t, 10)
			trouble(t, p)
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
				began := time.Now()
				got, err := c.Inspect(t.Context(), 100)
				if got.Wrong != 0 || err != nil && !errors.Is(err, ErrUnavailable) {
					t.Fatalf("%+v, %v", got, err)
				}
				if took := time.Since(began); took > 10*time.Second { // a read, and the second look
					t.Errorf("it took %v", took)
				}
			}
		})
	}
}
