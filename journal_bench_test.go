//go:build unix

package evercache

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// BenchmarkSet is what a write costs this process with and without a journal: cpu-ns
// is processor time, which the server's is no part of.
func BenchmarkSet(b *testing.B) {
	for _, size := range []int{100, 4 << 10} {
		for _, kind := range []string{"memory", "journal"} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) { benchmarkSet(b, kind == "journal", size) })
		}
	}
}

func benchmarkSet(b *testing.B, withJournal bool, size int) {
	b.Helper()
	fatal := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	p, err := redisproc.Start(b.Context(), redisproc.Options{})
	fatal(err)
	defer p.Close()
	o := Options{Addr: p.Addr(), Logger: quiet}
	if withJournal {
		o.JournalDir = b.TempDir()
	}
	client, err := Open(b.Context(), o)
	fatal(err)
	defer client.Close()
	fatal(client.WaitConnected(b.Context()))
	c, err := NewCache[string](client, "c", Policy{WriteTimeout: 10 * time.Second})
	fatal(err)
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i)
	}
	value := strings.Repeat("v", size)
	var next atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	before := processorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Set(b.Context(), keys[int(next.Add(1))%len(keys)], value); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
