//go:build unix

package evercache

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

type flatValue struct {
	ID, Stock int
	Price     float64
}

type textValue struct {
	ID, Name, Text string
	Tags           []string
}

func textOf(i int) textValue {
	return textValue{fmt.Sprint(i), "lamp", strings.Repeat("t", 200), []string{"one", "two", "three"}}
}

func mapValue(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprint("name-", i)] = strings.Repeat("v", 20)
	}
	return m
}

// BenchmarkWeight is what it costs a write and a load in memory to find out what
// the value takes, against a WithWeight that says a number. cpu-ns is processor
// time.
func BenchmarkWeight(b *testing.B) {
	benchmarkWeight(b, "bytes of 1 KiB", make([]byte, 1024))
	benchmarkWeight(b, "flat struct", flatValue{})
	benchmarkWeight(b, "struct with texts", textOf(0))
	benchmarkWeight(b, "map of 10", mapValue(10))
	benchmarkWeight(b, "map of 1000", mapValue(1000))
	benchmarkWeight(b, "rich, of 100 parts", newRich("id"))
}

func benchmarkWeight[V any](b *testing.B, name string, v V) {
	b.Helper()
	for _, o := range []struct {
		name    string
		options []CacheOption[V]
	}{{"looked at", nil}, {"WithWeight", []CacheOption[V]{WithWeight(func(V) int { return 100 })}}} {
		client, err := Open(b.Context(), Options{MemoryOnly: true, Logger: quiet, MemoryBytes: 64 << 20})
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		c, err := NewCache(client, "bench", Policy{}, o.options...)
		if err != nil {
			b.Fatal(err)
		}
		measure := func(what string, call func(i int) error) {
			b.Run(name+"/"+what+"/"+o.name, func(b *testing.B) {
				b.ReportAllocs()
				before := processorTime(b)
				for i := 0; b.Loop(); i++ {
					if err := call(i); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
		measure("Set", func(i int) error {
			_, err := c.Set(b.Context(), benchKey(i%1000), v)
			return err
		})
		measure("Get, loaded", func(i int) error {
			_, err := c.Get(b.Context(), fmt.Sprint(i), func(context.Context, string) (V, error) { return v, nil })
			return err
		})
	}
}
