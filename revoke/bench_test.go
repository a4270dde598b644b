package revoke_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

func TestACheckAllocatesNothing(t *testing.T) {
	p := start(t, evercache.Options{MemoryOnly: true}, revoke.Policy{})
	p.revoke("revoked")
	long := string(make([]byte, 1000))
	for name, token := range map[string]revoke.Token{
		"not revoked": {ID: "0f8fad5b-d9cb-469f-a165-70867728950e", Subject: "anna", IssuedAt: time.Now()},
		"revoked":     {ID: "revoked"},
		"long":        {ID: long, Subject: long},
		"nothing":     {},
	} {
		if n := testing.AllocsPerRun(100, func() { p.Check(token) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// million is a list of a million entries in memory.
func million(tb testing.TB) (*process, []string) {
	tb.Helper()
	p := start(tb, evercache.Options{MemoryOnly: true}, revoke.Policy{})
	all := make([]string, 1<<20)
	for i := range all {
		all[i] = fmt.Sprintf("%08x-d9cb-469f-a165-70867728950e", i)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.Fill(all, inAnHour())
	runtime.GC()
	runtime.ReadMemStats(&after)
	tb.Logf("%d entries, %.1f bytes each", p.Stats().Entries, float64(after.HeapAlloc-before.HeapAlloc)/float64(len(all)))
	return p, all
}

func BenchmarkCheck(b *testing.B) {
	p, all := million(b)
	// Fewer than there are entries: the ids come with a request, and are at hand.
	revoked, other := make([]string, 1<<12), make([]string, 1<<12)
	for i := range other {
		revoked[i] = all[i*7919%len(all)]
		other[i] = "x" + revoked[i][1:]
	}
	for name, ids := range map[string][]string{"NotRevoked": other, "Revoked": revoked} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					p.Check(revoke.Token{ID: ids[i&(1<<12-1)]})
				}
			})
		})
	}
}

// BenchmarkRevoke says how long an acknowledgement takes, by level.
func BenchmarkRevoke(b *testing.B) {
	set := redistest.StartSentinel(b)
	for name, policy := range map[string]revoke.Policy{
		"Master":        {Namespace: "m"},
		"Replicated(1)": {Namespace: "r", Durability: evercache.Replicated},
	} {
		b.Run(name, func(b *testing.B) {
			p := startAll(b, 1, options(set), policy)[0]
			var mu sync.Mutex
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				if _, err := p.Revoke(b.Context(), fmt.Sprint(i), inAnHour()); err != nil {
					b.Fatal(err)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
		})
	}
}

// BenchmarkSnapshot says how long a process that starts needs for a million
// entries, and how long one that has them needs for an emptied Redis.
func BenchmarkSnapshot(b *testing.B) {
	server := redistest.Start(b)
	p := startAll(b, 1, single(server), revoke.Policy{})[0]
	all := make([]string, 1<<20)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	p.Fill(all, inAnHour())
	for b.Loop() {
		server.Do("FLUSHALL")
		began := time.Now()
		eventually(b, time.Minute, "it is put back", func() bool {
			marks, _ := server.Try(b.Context(), "ZCOUNT", setKey, "+inf", "+inf")
			return marks == int64(1)
		})
		b.ReportMetric(time.Since(began).Seconds(), "s-put-back")
		began = time.Now()
		q := start(b, single(server), revoke.Policy{})
		q.waitReady()
		b.ReportMetric(time.Since(began).Seconds(), "s-load")
		if n := q.Stats().Entries; n < len(all) {
			b.Errorf("%d entries", n)
		}
		q.end()
	}
}
