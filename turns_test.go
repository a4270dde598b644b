package evercache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/shard"
)

// master makes a client whose goroutines do not run, so that nothing is
// replayed unless the test does it, with a verified node aside.
func master(t *testing.T, p *redisproc.Process) (*Client, *remote.Node) {
	t.Helper()
	c := newClient(Options{Addr: p.Addr(), Logger: quiet}.withDefaults())
	node, err := remote.Dial(t.Context(), c.one().NodeConfig(p.Addr()), c.one().Heartbeat(), c.one().Redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		node.Abandon()
		c.memory.Close()
	})
	return c, node
}

// wantWritten fails the test unless a write is exactly as safe as wanted.
func wantWritten(t *testing.T, want Durability) func(Receipt, error) {
	return func(r Receipt, err error) {
		t.Helper()
		if err != nil || r.Durability != want {
			t.Errorf("written as %v, %v, want %v", r.Durability, err, want)
		}
	}
}

func wantInRedis(t *testing.T, p *redisproc.Process, key string, want any) {
	t.Helper()
	if got := redisDo(t, p, "GET", key); got != want {
		t.Errorf("Redis holds %v under %s, want %v", got, key, want)
	}
}

func TestATouchGoesBehindTheWriteThatWaits(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client, node := master(t, p)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
	redisDo(t, p, "SET", "c:a", "old", "PX", "59000")
	wantWritten(t, Memory)(c.Set(t.Context(), "a", "new"))

	client.one().Publish(node) // the master is back, and the replay has not come to the key
	wantWritten(t, Memory)(c.Touch(t.Context(), "a", TTL(time.Hour)))
	wantInRedis(t, p, "c:a", "old")
	if err := client.one().Drain(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	wantInRedis(t, p, "c:a", "new")
	if ms := redisDo(t, p, "PTTL", "c:a").(int64); ms < 59*60_000 {
		t.Errorf("it lives for %d ms, want the hour of the Touch", ms)
	}
}

func TestATouchKnowsOfTheWriteThatWaitsWhenMemoryHasForgotten(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client, node := master(t, p)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
	_, _ = c.Set(t.Context(), "set", "v")
	_, _ = c.Delete(t.Context(), "deleted")
	client.memory.Clear()
	for range 2 { // without the master, and with it
		wantWritten(t, Memory)(c.Touch(t.Context(), "set"))
		_, err := c.Touch(t.Context(), "deleted")
		wantErr(t, err, ErrNotFound)
		client.one().Publish(node)
	}
	if err := client.one().Drain(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	wantInRedis(t, p, "c:set", "v")
	wantInRedis(t, p, "c:deleted", nil)
}

func TestATouchBringsNothingDeletedBack(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(context.Context, *Cache[string]) error{
		"delete":        func(ctx context.Context, c *Cache[string]) error { _, err := c.Delete(ctx, "a"); return err },
		"delete prefix": func(ctx context.Context, c *Cache[string]) error { _, _, err := c.DeletePrefix(ctx, ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			p := startRedis(t, redisproc.Options{})
			client, node := master(t, p)
			c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
			redisDo(t, p, "SET", "c:a", "old", "PX", "59000")
			if err := remove(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Get(t.Context(), "a", constant("loaded")); err != nil { // memory knows a value again
				t.Fatal(err)
			}
			if _, err := c.Touch(t.Context(), "a", TTL(time.Hour)); err != nil {
				t.Fatal(err)
			}
			client.one().Publish(node)
			client.memory.Clear()
			e, err := c.Lookup(t.Context(), "a") // before the replay, too
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("read %q, %v", e.Value, err)
			}
			if err := client.one().Drain(t.Context(), node); err != nil {
				t.Fatal(err)
			}
			wantInRedis(t, p, "c:a", nil)
		})
	}
}

// A write that gets no turn in time is kept, while an older one is on its way.
func TestANewerWriteThatIsKeptOutlivesAnOlderOneThatLands(t *testing.T) {
	t.Parallel()
	for name, newer := range map[string]func(*Cache[string]) (*write, error){
		"set":    func(c *Cache[string]) (*write, error) { return setOf(c, "a", "newer") },
		"delete": func(c *Cache[string]) (*write, error) { return deleteOf(c, "a") },
	} {
		t.Run(name, func(t *testing.T) {
			p := startRedis(t, redisproc.Options{})
			client, node := master(t, p)
			client.one().Publish(node)
			c := cacheOf[string](t, client, "c", Policy{L1TTL: time.Hour})
			older, err := setOf(c, "a", "older")
			if err != nil {
				t.Fatal(err)
			}
			c.inTurn(older)
			sent := c.keys.Write(patient(t, time.Second), &older.Outgoing)
			if sent.Err != nil {
				t.Fatal(sent.Err)
			}
			w, err := newer(c)
			if err != nil {
				t.Fatal(err)
			}
			wantWritten(t, Memory)(c.undelivered(t.Context(), w, shard.ErrBehind))
			wantWritten(t, Master)(c.delivered(patient(t, time.Second), older, sent)) // the answer comes now

			want, wantErr := "newer", error(nil)
			var inRedis any = "newer"
			if w.Rec.Kind == outbox.Delete {
				want, wantErr, inRedis = "", ErrNotFound, nil
			}
			if e, err := c.Lookup(t.Context(), "a"); e.Value != want || !errors.Is(err, wantErr) {
				t.Errorf("read %q, %v, want %q, %v", e.Value, err, want, wantErr)
			}
			if err := client.one().Drain(t.Context(), node); err != nil {
				t.Fatal(err)
			}
			wantInRedis(t, p, "c:a", inRedis)
		})
	}
}

func TestAWriteThatLandsTakesThePlaceOfTheOneThatWaits(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client, node := master(t, p)
	c := cacheOf[string](t, client, "c", Policy{})
	wantWritten(t, Memory)(c.Set(t.Context(), "set", "kept"))
	wantWritten(t, Memory)(c.Set(t.Context(), "delete", "kept"))
	wantWritten(t, Memory)(c.Delete(t.Context(), "add"))
	client.one().Publish(node)
	wantWritten(t, Master)(c.Set(t.Context(), "set", "landed"))
	wantWritten(t, Master)(c.Delete(t.Context(), "delete"))
	if !client.one().Waits("c:add") || client.one().Waits("c:set") || client.one().Waits("c:delete") {
		t.Errorf("what waits: %+v", client.Health())
	}
	if err := client.one().Drain(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	wantInRedis(t, p, "c:set", "landed")
	wantInRedis(t, p, "c:delete", nil)
}

func patient(t *testing.T, limit time.Duration) *deadline.Budget {
	p := deadline.New(t.Context(), time.Now(), limit)
	t.Cleanup(p.Release)
	return &p
}

func deleteOf(c *Cache[string], key string) (*write, error) {
	w := new(write)
	return w, c.begin(w, outbox.Delete, key, nil)
}

func setOf[V any](c *Cache[V], key string, v V) (*write, error) {
	w := new(write)
	return w, c.setOf(context.Background(), w, key, v, nil)
}

// A replay that is held up by one key must carry out a new DeletePrefix before
// what was written after it.
func TestWhatIsWrittenAfterADeletePrefixDuringAReplayStays(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client, node := master(t, p)
	c := cacheOf[string](t, client, "c", Policy{})
	redisDo(t, p, "SET", "c:p1", "old", "PX", "3590000")
	wantWritten(t, Memory)(c.Set(t.Context(), "x", "v"))
	client.one().Publish(node)
	held := client.one().Locks.TryLock("c:x")
	drained := make(chan error, 1)
	go func() { drained <- client.one().Drain(t.Context(), node) }()

	if _, r, err := c.DeletePrefix(t.Context(), "p"); err != nil || r.Durability != Memory {
		t.Fatalf("DeletePrefix: %v, %v", r, err)
	}
	if _, err := c.Set(t.Context(), "p1", "new"); err != nil { // kept, or taken if the prefix is gone already
		t.Fatal(err)
	}
	waitUntil(t, 30*time.Second, func() bool { return redisDo(t, p, "GET", "c:p1") == "new" }, func() string { return "the new value is not sent" })
	client.one().Locks.Unlock(held)
	for range 2 {
		select {
		case err := <-drained:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the replay does not end")
		}
		go func() { drained <- client.one().Drain(t.Context(), node) }() // the next round
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	wantInRedis(t, p, "c:p1", "new")
	if client.Health().OutboxEntries != 0 {
		t.Errorf("left over: %+v", client.Health())
	}
}

// Of writes that are kept at the same time, memory and outbox hold the same.
func TestMemoryAndOutboxEndWithTheSameWrite(t *testing.T) {
	client := newClient(Options{Logger: quiet}.withDefaults())
	t.Cleanup(client.memory.Close)
	c := cacheOf[int](t, client, "c", Policy{})
	for round := range 200 {
		var wg sync.WaitGroup
		key := fmt.Sprint(round)
		for i := range 8 {
			wg.Go(func() {
				w, err := setOf(c, key, i)
				if err == nil {
					_, err = c.undelivered(t.Context(), w, shard.ErrBehind)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		r, _ := client.one().Find("c:" + key)
		e, err := c.Lookup(t.Context(), key)
		if err != nil || string(r.Value) != fmt.Sprint(e.Value) {
			t.Fatalf("memory holds %d, %v, the outbox %s", e.Value, err, r.Value)
		}
	}
}
