package evercache

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
)

// BenchmarkReplayWhereRedisEvicts keeps 200 writes of a process that is cut off for two
// seconds from a server with allkeys-lru, which another program writes to meanwhile, and
// counts what becomes of them. It also tells what the server spends on the questions.
func BenchmarkReplayWhereRedisEvicts(b *testing.B) {
	for _, s := range []struct {
		name, memory string
		pause        time.Duration // between the other program's writes of 1 KiB
	}{
		{"room left", "1gb", time.Millisecond},
		{"full, an eviction a second", "20mb", time.Second},
		{"full, evicting all the time", "20mb", 0},
	} {
		b.Run(s.name, func(b *testing.B) {
			for range b.N {
				replayWhereRedisEvicts(b, s.memory, s.pause)
			}
		})
	}
}

func replayWhereRedisEvicts(b *testing.B, memory string, pause time.Duration) {
	p, err := redisproc.Start(b.Context(), redisproc.Options{Config: []string{"maxmemory " + memory, "maxmemory-policy allkeys-lru"}})
	must(b, err)
	defer p.Close()
	f, err := faultnet.New(p.Addr())
	must(b, err)
	defer f.Close()
	do := func(args ...string) any {
		reply, err := p.Do(b.Context(), args...)
		must(b, err)
		return reply
	}
	value := strings.Repeat("x", 1000)
	do("EVAL", "for i = 1, 20000 do redis.call('SET', 'fill:' .. i, ARGV[1]) end", "0", value) // more than 20 MB
	client, err := Open(b.Context(), Options{Addr: f.Addr(), Logger: quiet})
	must(b, err)
	defer client.Close()
	must(b, client.WaitConnected(b.Context()))
	c, err := NewCache[string](client, "c", Policy{TTL: time.Hour})
	must(b, err)
	began := client.one().Evicting.Known().Last.Keys

	ctx, cancel := context.WithCancel(b.Context())
	var wrote atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := p.Do(ctx, "SET", fmt.Sprint("more:", i), value); err == nil {
				wrote.Add(1)
			}
			time.Sleep(pause)
		}
	}()
	f.Blackhole(true)
	for client.State() != health.Degraded {
		time.Sleep(time.Millisecond)
	}
	const kept = 200
	for i := range kept {
		_, err := c.Set(ctx, fmt.Sprint("k", i), "kept")
		must(b, err)
	}
	time.Sleep(2 * time.Second)
	must(b, f.Heal())
	must(b, client.WaitConnected(ctx))
	cancel()
	<-ended
	there := 0
	for i := range kept {
		there += int(do("EXISTS", fmt.Sprint("c:k", i)).(int64))
	}
	for line := range strings.Lines(fmt.Sprint(do("INFO", "commandstats"))) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_info:"); ok {
			var calls, usec int
			var each float64
			_, _ = fmt.Sscanf(strings.ReplaceAll(rest, ",", " "), "calls=%d usec=%d usec_per_call=%f", &calls, &usec, &each)
			b.ReportMetric(each, "µs/INFO")
		}
	}
	b.ReportMetric(float64(there), "restored")
	b.ReportMetric(float64(client.Health().Recovery.Evicted), "deleted")
	b.ReportMetric(float64(client.one().Evicting.Known().Last.Keys-began), "evicted")
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
