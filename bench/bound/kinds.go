package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/evercache/evercache"
)

// kind is a kind of values.
type kind struct {
	name  string
	reach float64 // of the heap over the bound
	fill  func(context.Context, *evercache.Client, options) error
}

// Reaches.
const (
	flat   = 1.1
	linked = 1.25
)

// product is a struct with a map and slices.
type product struct {
	ID    string
	Name  string
	Tags  []string
	Sizes []int
	Attr  map[string]string
}

func productOf(i int) product {
	return product{
		ID: fmt.Sprint("product-", i), Name: fmt.Sprint("a lamp, number ", i),
		Tags: []string{fmt.Sprint("tag-", i%10), fmt.Sprint("tag-", i%7)}, Sizes: []int{i, i + 1, i + 2},
		Attr: map[string]string{"color": fmt.Sprint("color-", i%5), "made": fmt.Sprint("in-", i%9)},
	}
}

func kinds() []kind {
	return []kind{
		of("int", flat, 1, func(i int) int { return i + 1<<20 }),
		of("[]byte, 10 B", flat, 1, bytesOf(10)),
		of("[]byte, 100 B", flat, 1, bytesOf(100)),
		of("string, 100 B", flat, 1, func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 100) }),
		of("[]byte, 1 KiB", flat, 1, bytesOf(1024)),
		of("[]byte, 1100 B", flat, 1, bytesOf(1100)),
		of("[]byte, 10 KiB", flat, 1, bytesOf(10<<10)),
		of("[]byte, 100 B, 100 classes", flat, 100, bytesOf(100)),
		of("struct with a map and slices", linked, 1, productOf),
		of("[]*int64, 20", linked, 1, func(i int) (ps []*int64) {
			for j := range 20 {
				ps = append(ps, new(int64(i*j)))
			}
			return ps
		}),
		of("[]byte, 100 B with a capacity of 64 KiB", flat, 1, func(int) []byte { return make([]byte, 100, 64<<10) }),
	}
}

func bytesOf(n int) func(int) []byte { return func(int) []byte { return make([]byte, n) } }

// of is a kind whose values make returns, in so many classes.
func of[V any](name string, reach float64, classes int, make func(i int) V) kind {
	return kind{name, reach, func(ctx context.Context, client *evercache.Client, o options) error {
		var caches []*evercache.Cache[V]
		for i := range classes {
			c, err := evercache.NewCache[V](client, fmt.Sprint("class", i), evercache.Policy{})
			if err != nil {
				return err
			}
			caches = append(caches, c)
		}
		for i := range o.sets {
			if _, err := caches[i%classes].Set(ctx, fmt.Sprintf("key-%017d", i), make(i)); err != nil {
				return err
			}
			if i%1000 == 0 && full(client) {
				break
			}
		}
		return nil
	}}
}
