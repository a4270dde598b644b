package standalone_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

func openClass(t *testing.T, redis *redistest.Server, p evercache.Policy) *evercache.Cache[int] {
	t.Helper()
	_, c := openClient(t, redis, p)
	return c
}

func openClient(t *testing.T, redis *redistest.Server, p evercache.Policy) (*evercache.Client, *evercache.Cache[int]) {
	t.Helper()
	client, err := evercache.Open(t.Context(), evercache.Options{Addr: redis.Addr(), Logger: slog.New(slog.DiscardHandler), CloseTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	testkit.Until(t, "connected", func() bool { return client.Health().Connected })
	c, err := evercache.NewCache[int](client, class, p)
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

// connectedSince tells one time in which the client was connected without a break from
// another: 0 while it is not connected. What was announced in a break it has not heard.
func connectedSince(c *evercache.Client) (number uint64) {
	if !c.Health().Connected {
		return 0
	}
	for _, n := range c.Stats().StateTransitions {
		number += n
	}
	return number
}

// TestASetDuringAnotherProcessRefreshStands: each key is set by one process just when another
// has loaded it again and stores that. The older value is in Redis for a moment at most, and
// nobody serves it afterwards, though L1TTL would let memory. Where a busy machine has
// broken the connection since the refresh began, L1TTL counts: that key shows nothing.
func TestASetDuringAnotherProcessRefreshStands(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	client, reads := openClient(t, redis, evercache.Policy{TTL: time.Minute, L1TTL: 30 * time.Second, RefreshAhead: 0.1, MaxRefreshes: 64})
	writes := openClass(t, redis, evercache.Policy{TTL: time.Minute})
	const keys = 1500
	var version, loads, set [keys]atomic.Int64
	var since [keys]atomic.Uint64
	due := make(chan int, keys)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(due)
	for range 8 {
		wg.Go(func() {
			for i := range due {
				time.Sleep(time.Duration(500+rand.IntN(2500)) * time.Microsecond)
				if _, err := writes.Set(t.Context(), strconv.Itoa(i), int(version[i].Add(1))); err != nil {
					t.Error(err)
				}
				set[i].Store(time.Now().UnixNano())
			}
		})
	}
	load := func(_ context.Context, key string) (int, error) {
		i, err := strconv.Atoi(key)
		if err != nil {
			return 0, err
		}
		v := version[i].Load()
		if loads[i].Add(1) == 2 { // the refresh
			since[i].Store(connectedSince(client))
			due <- i
			time.Sleep(2 * time.Millisecond)
		}
		return int(v), nil
	}
	for i := range keys {
		testkit.Until(t, "it is loaded", func() bool { return got(t, reads, i, load) })
	}
	bad, judged := map[int]evercache.Entry[int]{}, map[int]bool{}
	done := func() bool {
		all := true
		for i := range keys {
			at := set[i].Load()
			if at == 0 {
				got(t, reads, i, load)
			}
			if at == 0 || time.Now().UnixNano()-at < int64(500*time.Millisecond) { // a busy machine needs its time to hear of it
				all = false
				continue
			}
			e, err := reads.Lookup(t.Context(), strconv.Itoa(i))
			if s := since[i].Load(); err != nil || e.Cause != nil || s == 0 || s != connectedSince(client) { // with a cause Redis has not answered in time
				continue
			}
			if judged[i] = true; e.Value == 0 {
				bad[i] = e
			}
		}
		return all
	}
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the refreshes do not come")
		}
	}
	if len(judged) < keys/20 {
		t.Errorf("%d of %d keys were judged: the connection broke again and again", len(judged), keys)
	}
	for i, e := range bad {
		t.Errorf("%d of %d keys are answered with the value of before the set; one of them: key %d: %+v", len(bad), keys, i, e)
		break
	}
}

// got loads a key, and reports whether it could: in an outage loads are limited.
func got(t *testing.T, c *evercache.Cache[int], i int, load evercache.Loader[int]) bool {
	t.Helper()
	_, err := c.Get(t.Context(), strconv.Itoa(i), load)
	if err != nil && !errors.Is(err, evercache.ErrUnavailable) {
		t.Fatal(err)
	}
	return err == nil
}

// TestARefreshThatOutlivesItsEntryIsTheOnlyLoad: the loader takes longer than what is left of
// the life. Redis announces the end of the key meanwhile, which is nobody's write.
func TestARefreshThatOutlivesItsEntryIsTheOnlyLoad(t *testing.T) {
	t.Parallel()
	c := openClass(t, redistest.Start(t), evercache.Policy{TTL: 2 * time.Second, RefreshAhead: 0.8})
	var running, most, loads atomic.Int64
	var seen sync.Map
	load := func(context.Context, string) (int, error) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		n := loads.Add(1)
		if n > 1 {
			time.Sleep(1200 * time.Millisecond)
		}
		return int(n), nil
	}
	var wg sync.WaitGroup
	for began := time.Now(); time.Since(began) < 12*time.Second; time.Sleep(5 * time.Millisecond) {
		wg.Go(func() {
			v, err := c.Get(t.Context(), "k", load)
			if err != nil {
				t.Error(err)
			}
			seen.Store(v, true)
		})
	}
	wg.Wait()
	if n := most.Load(); n > 1 {
		t.Errorf("%d loads of one key ran at a time", n)
	}
	var unseen strings.Builder
	for n := int64(1); n < loads.Load(); n++ { // the last may be under way
		if _, ok := seen.Load(int(n)); !ok {
			unseen.WriteString(fmt.Sprint(" ", n))
		}
	}
	if unseen.String() != "" {
		t.Errorf("nobody has got the result of the loads%s, of %d", unseen.String(), loads.Load())
	}
}
