package evercache

import (
	"fmt"
	"math"
	"testing"
)

// BenchmarkDeletePrefixInMemory is what memory does of a DeletePrefix: its cost for each
// entry of the class, beside another class of so many, and the exponents by which it
// grows with both. A DeletePrefix over Redis does this once, and once more for what is put
// into memory meanwhile.
func BenchmarkDeletePrefixInMemory(b *testing.B) {
	for _, match := range []string{"nothing", "a tenth", "all"} {
		b.Run(match, func(b *testing.B) {
			small, large, crowded := dropCost(b, 10_000, 10_000, match), dropCost(b, 300_000, 10_000, match), dropCost(b, 10_000, 300_000, match)
			b.ReportMetric(small/10_000, "ns/entry-10k")
			b.ReportMetric(large/300_000, "ns/entry-300k")
			b.ReportMetric(math.Log(large/small)/math.Log(30), "exponent-class")
			b.ReportMetric(math.Log(crowded/small)/math.Log(30), "exponent-others")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// dropCost is the processor time, in nanoseconds, of a DeletePrefix; the least of three.
func dropCost(b *testing.B, own, others int, match string) float64 {
	b.Helper()
	client, err := Open(b.Context(), Options{MemoryOnly: true, Logger: quiet, MemoryBytes: 4 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	var caches []*Cache[int]
	for _, class := range []string{"own", "others"} {
		c, err := NewCache[int](client, class, Policy{})
		if err != nil {
			b.Fatal(err)
		}
		caches = append(caches, c)
	}
	fill := func(c *Cache[int], n int) {
		for i := range n {
			if _, err := c.Set(b.Context(), fmt.Sprintf("%d/%d", i%10, i), i); err != nil {
				b.Fatal(err)
			}
		}
	}
	fill(caches[1], others)
	prefix, want := map[string]string{"nothing": "none", "a tenth": "3/", "all": ""}[match], map[string]int{"a tenth": own / 10, "all": own}[match]
	least := math.Inf(1)
	for range 3 {
		fill(caches[0], own)
		client.memory.Bytes() // otter has done what it puts off
		before := processorTime(b)
		n, _, err := caches[0].DeletePrefix(b.Context(), prefix)
		if took := float64(processorTime(b) - before); err != nil || n != want {
			b.Fatalf("%d keys, %v, want %d", n, err, want)
		} else {
			least = min(least, took)
		}
	}
	return least
}
