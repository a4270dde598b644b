package evercache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Values that were loaded are stored together. The origin changes meanwhile, another process
// deletes what it has changed, half of the callers leave, and the server loses its scripts and
// its connections: nobody is given, in the end, what was loaded before the last delete.
func TestOfManyLoadsNoneOutlivesADelete(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	at := func(l1 time.Duration) *Cache[string] {
		client := open(t, Options{Addr: p.Addr()})
		connect(t, client, 20*time.Second)
		return cacheOf[string](t, client, "c", Policy{L1TTL: l1, TTL: time.Hour})
	}
	caches := []*Cache[string]{at(Never), at(500 * time.Millisecond)} // one asks Redis each time
	deleter := at(Never)
	const keys, callers = 300, 500
	var origin [keys]atomic.Int64
	load := func(i int) Loader[string] {
		return func(context.Context, string) (string, error) {
			v := origin[i].Load()
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
			return strconv.FormatInt(v, 10), nil
		}
	}
	end := time.Now().Add(3 * time.Second)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for time.Now().Before(end) {
				i := rand.IntN(keys)
				ctx, cancel := context.WithCancel(t.Context())
				if n%2 == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Millisecond)
				}
				_, _ = caches[n%4/2].Get(ctx, fmt.Sprint("k", i), load(i))
				cancel()
			}
		})
	}
	for n := range 4 {
		wg.Go(func() {
			for time.Now().Before(end) {
				i := rand.IntN(keys/4)*4 + n // one who changes each
				origin[i].Add(1)
				if _, err := deleter.Delete(t.Context(), fmt.Sprint("k", i)); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for n := 0; time.Now().Before(end); n++ {
			time.Sleep(200 * time.Millisecond)
			if n%2 == 0 {
				_, _ = p.Do(t.Context(), "SCRIPT", "FLUSH")
			} else {
				_, _ = p.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			}
		}
	})
	wg.Wait()
	for _, c := range append(caches, deleter) {
		waitUntil(t, 60*time.Second, func() bool { h := c.client.Health(); return h.OutboxEntries == 0 && h.Feed.Coherent },
			func() string { return fmt.Sprintf("%+v", c.client.Health()) })
	}
	time.Sleep(time.Second) // what was under way has been stored, or refused
	for i := range keys {
		for n, c := range caches {
			e, err := c.GetEntry(t.Context(), fmt.Sprint("k", i), load(i))
			if want := strconv.FormatInt(origin[i].Load(), 10); err != nil || e.Value != want {
				t.Errorf("cache %d, k%d: %+v (%v), want %q", n, i, e, err, want)
			}
		}
	}
}
