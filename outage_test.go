package evercache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
)

// outages are the ways in which Redis stops answering and comes back.
var outages = []struct {
	name       string
	proxied    bool
	begin, end func(*redisproc.Process, *faultnet.Proxy) error
}{
	{
		name:  "hung",
		begin: func(p *redisproc.Process, _ *faultnet.Proxy) error { return p.Pause() },
		end:   func(p *redisproc.Process, _ *faultnet.Proxy) error { return p.Resume() },
	},
	{
		name: "black hole", proxied: true,
		begin: func(_ *redisproc.Process, f *faultnet.Proxy) error { f.Blackhole(true); return nil },
		end:   func(_ *redisproc.Process, f *faultnet.Proxy) error { return f.Heal() },
	},
	{
		name:  "killed",
		begin: func(p *redisproc.Process, _ *faultnet.Proxy) error { return p.Kill() },
		end:   func(p *redisproc.Process, _ *faultnet.Proxy) error { return p.Start(context.Background()) },
	},
	{
		name: "slow", proxied: true,
		begin: func(_ *redisproc.Process, f *faultnet.Proxy) error {
			f.SetLatency(faultnet.ToClient, 70*time.Millisecond)
			return nil
		},
		end: func(_ *redisproc.Process, f *faultnet.Proxy) error { return f.Heal() },
	},
}

// TestNoReadWaitsForARedisThatDoesNotAnswer is promise 2 under load.
func TestNoReadWaitsForARedisThatDoesNotAnswer(t *testing.T) {
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			p := startRedis(t, redisproc.Options{})
			f := startProxy(t, p.Addr())
			addr := p.Addr()
			if o.proxied {
				addr = f.Addr()
			}
			client := openAt(t, addr)
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
			for i := range 8 {
				_, _ = c.Set(t.Context(), fmt.Sprint(i), "v")
			}
			load := startReaders(c, 8)
			defer load.stop()
			load.run(t, 200*time.Millisecond)
			if err := o.begin(p, f); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "the circuit stays closed" })
			goroutines, dials := runtime.NumGoroutine(), client.Stats().RedisDials
			load.mark()
			load.run(t, 1500*time.Millisecond)
			if p99 := load.p99(); p99 > 5*time.Millisecond {
				t.Errorf("p99 in the outage is %v", p99)
			}
			if n := runtime.NumGoroutine(); n > goroutines+20 {
				t.Errorf("%d goroutines, %d at the beginning of the outage", n, goroutines)
			}
			if n := total(client.Stats().RedisDials) - total(dials); n > 10 {
				t.Errorf("%d dials in a second and a half", n)
			}
			if err := o.end(p, f); err != nil {
				t.Fatal(err)
			}
			connect(t, client, 20*time.Second)
			load.run(t, 200*time.Millisecond)
			load.stop()
			if load.failed > 0 {
				t.Errorf("%d reads failed", load.failed)
			}
			if limit := 250*time.Millisecond + load.stolen; load.longest > limit {
				t.Errorf("the longest read took %v, more than %v", load.longest, limit)
			}
		})
	}
}

func total(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// readers are callers that read without a pause and note how long it took.
type readers struct {
	wg   sync.WaitGroup
	quit chan struct{}
	once sync.Once

	mu      sync.Mutex
	times   []time.Duration // since mark
	longest time.Duration
	failed  int           // reads that nobody answered
	stolen  time.Duration // the most by which a mere timer was late: what the machine took
}

func startReaders(c *Cache[string], n int) *readers {
	r := &readers{quit: make(chan struct{})}
	for i := range n {
		r.wg.Go(func() { r.read(c, fmt.Sprint(i)) })
		r.wg.Go(r.measureTheft)
	}
	return r
}

func (r *readers) measureTheft() {
	const nap = 100 * time.Millisecond
	for {
		start := time.Now()
		select {
		case <-r.quit:
			return
		case <-time.After(nap):
		}
		r.mu.Lock()
		r.stolen = max(r.stolen, time.Since(start)-nap)
		r.mu.Unlock()
	}
}

func (r *readers) read(c *Cache[string], key string) {
	for {
		select {
		case <-r.quit:
			return
		default:
		}
		start := time.Now()
		_, err := c.Lookup(context.Background(), key)
		took := time.Since(start)
		r.mu.Lock()
		r.times = append(r.times, took)
		r.longest = max(r.longest, took)
		if err != nil && !errors.Is(err, ErrNotFound) { // killed, it comes back empty
			r.failed++
		}
		r.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

func (r *readers) run(t *testing.T, d time.Duration) {
	t.Helper()
	_ = remote.Pause(t.Context(), d)
}

func (r *readers) mark() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = nil
}

func (r *readers) p99() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	sorted := slices.Clone(r.times)
	slices.Sort(sorted)
	return sorted[len(sorted)*99/100]
}

func (r *readers) stop() {
	r.once.Do(func() { close(r.quit) })
	r.wg.Wait()
}
