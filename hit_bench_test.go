package evercache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"
)

const benchKeys = 10_000

func benchKey(i int) string { return fmt.Sprintf("key-%05d", i) }

func BenchmarkHit(b *testing.B) { benchmarkHit(b, Options{MemoryOnly: true, Logger: quiet}) }

// BenchmarkHitTraced is BenchmarkHit with a Tracer, which is not told of hits.
func BenchmarkHitTraced(b *testing.B) {
	benchmarkHit(b, Options{MemoryOnly: true, Logger: quiet, Tracer: new(recorder)})
}

func benchmarkHit(b *testing.B, o Options) {
	client, err := Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	cache, err := NewCache[int](client, "bench", Policy{})
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i)
		if _, err := cache.Set(b.Context(), keys[i], i); err != nil {
			b.Fatal(err)
		}
	}
	ctx := context.Background()
	load := func(context.Context, string) (int, error) { return 0, nil }
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := cache.Get(ctx, keys[i%benchKeys], load); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOtterLoadingGet(b *testing.B) {
	cache := otter.Must(&otter.Options[string, int]{MaximumSize: 10 * benchKeys, ExpiryCalculator: otter.ExpiryWriting[string, int](time.Hour)})
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i)
		cache.Set(keys[i], i)
	}
	ctx := context.Background()
	load := otter.LoaderFunc[string, int](func(context.Context, string) (int, error) { return 0, nil })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := cache.Get(ctx, keys[i%benchKeys], load); err != nil {
				b.Fatal(err)
			}
		}
	})
}
