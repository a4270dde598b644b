// Command bound measures whether the bound of memory in bytes holds: what the heap of a
// process grows by when a Client that has no Redis is filled far beyond its bound, for each
// kind of value.
package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/bench/machine"
)

type options struct {
	bound int64
	sets  int
}

func main() { machine.Main("bound", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	fmt.Print(machine.Look(ctx, "./bound").Markdown("this process and others"))
	fmt.Printf("Keys of 21 bytes, a bound of %d MiB. A value is set until twice the bound was set, as the memory weighs it, or %d were.\n\n", o.bound>>20, o.sets)
	fmt.Println("| values | entries | heap / entry | weight / entry | heap / bound | reach |\n|---|---|---|---|---|---|")
	missed := 0
	for _, k := range kinds() {
		row, err := k.measure(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Println(row)
		if row.ratio > k.reach {
			missed++
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d kinds of values take more than their reach", missed)
	}
	return nil
}

func parse(args []string) (o options, err error) {
	f := machine.NewFlags("bound")
	mib := f.Int64("mib", 32, "the bound in `MiB`")
	f.IntVar(&o.sets, "sets", 1_000_000, "set so many values of a kind at most")
	if err := f.Read(args); err != nil {
		return o, err
	}
	f.Want(*mib >= 1 && *mib <= 4096, "-mib %d: want 1 to 4096", *mib)
	f.Want(o.sets >= 1, "-sets %d: want 1 or more", o.sets)
	o.bound = *mib << 20
	return o, f.Err()
}

// row is what one kind of values took.
type row struct {
	kind    kind
	entries int
	heap    int64
	weight  int64
	ratio   float64
}

func (r row) String() string {
	n := max(1, int64(r.entries))
	return fmt.Sprintf("| %s | %d | %d | %d | %.2f | %.2f |", r.kind.name, r.entries, r.heap/n, r.weight/n, r.ratio, r.kind.reach)
}

// measure fills a client with values of a kind.
func (k kind) measure(ctx context.Context, o options) (r row, err error) {
	before := heap()
	client, err := evercache.Open(ctx, evercache.Options{MemoryOnly: true, MemoryBytes: o.bound})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	if err := k.fill(ctx, client, o); err != nil {
		return r, err
	}
	r = row{kind: k, heap: heap() - before}
	s := client.Stats()
	r.entries, r.weight = s.L1Entries, s.L1Bytes
	r.ratio = float64(r.heap) / float64(o.bound)
	return r, nil
}

// full reports whether memory has been given twice what it may hold: it has forgotten as many
// as it holds.
func full(client *evercache.Client) bool {
	s := client.Stats()
	return s.L1Evictions["capacity"] > uint64(s.L1Entries)
}

func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
