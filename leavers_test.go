package evercache

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// Thousands of callers share pipelines, half of them leave after a millisecond, and the
// server stalls, loses its connections and its scripts meanwhile. Nobody's write may be
// overtaken by one that he gave up before, and nothing may be left of those who left.
func TestOfManyCallersWhoLeaveEachHasHisLastWrite(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr()})
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never, TTL: time.Hour})
	connect(t, client, 20*time.Second)
	before := runtime.NumGoroutine()
	const callers = 2000
	end := time.Now().Add(3 * time.Second)
	tried, acknowledged := make([]int, callers), make([]int, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			key := fmt.Sprint("k", i)
			for n := 1; time.Now().Before(end); n++ {
				ctx, cancel := context.WithCancel(t.Context())
				if n%2 == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Millisecond)
				}
				tried[i] = n
				if _, err := c.Set(ctx, key, strconv.Itoa(n)); err == nil {
					acknowledged[i] = n
				}
				cancel()
				if n%3 == 0 {
					_, _ = c.Lookup(t.Context(), key)
				}
			}
		})
	}
	wg.Go(func() {
		for n := 0; time.Now().Before(end); n++ {
			time.Sleep(200 * time.Millisecond)
			switch n % 3 {
			case 0:
				_ = p.Pause()
				time.Sleep(150 * time.Millisecond)
				_ = p.Resume()
			case 1:
				_, _ = p.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			case 2:
				_, _ = p.Do(t.Context(), "SCRIPT", "FLUSH")
			}
		}
	})
	wg.Wait()
	waitUntil(t, 60*time.Second, func() bool { return client.Health().State == health.Connected && client.Health().OutboxEntries == 0 },
		func() string { return fmt.Sprintf("%+v", client.Health()) })
	for i := range callers {
		e, err := c.Lookup(t.Context(), fmt.Sprint("k", i))
		got, _ := strconv.Atoi(e.Value)
		if err != nil && acknowledged[i] > 0 || got < acknowledged[i] || got > tried[i] {
			t.Errorf("k%d holds %d (%v, %v): %d was acknowledged last, %d was tried last", i, got, e.Source, err, acknowledged[i], tried[i])
		}
	}
	waitUntil(t, 20*time.Second, func() bool { return runtime.NumGoroutine() <= before+8 },
		func() string { return fmt.Sprintf("%d goroutines, %d before", runtime.NumGoroutine(), before) })
}
