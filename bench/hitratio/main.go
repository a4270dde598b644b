// Command hitratio measures which share of reads memory answers when it can hold 1 % of the
// keys: of evercache, and of otter alone, which decides for it what to keep. Keys are drawn
// by a Zipf law; in one row a fifth of the reads are of keys that never come again.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/maypok86/otter/v2"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/bench/machine"
)

type options struct {
	keys, reads int
	seed        uint64
}

func main() { machine.Main("hitratio", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	fmt.Print(machine.Look(ctx, "./hitratio", "github.com/maypok86/otter/v2").Markdown("this process and others"))
	fmt.Printf("%d keys, memory holds 1 %% of them, %d reads; those of the first fifth do not count. In %%.\n\n", o.keys, o.reads)
	fmt.Println("| keys drawn by | evercache | otter |\n|---|---|---|")
	for _, l := range []law{{"Zipf 0.99", 0.99, 0}, {"Zipf 0.8", 0.8, 0}, {"Zipf 0.99, a fifth never again", 0.99, 5}} {
		ours, err := o.ofEvercache(ctx, l)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.2f | %.2f |\n", l.name, ours, o.ofOtter(l))
	}
	return nil
}

func parse(args []string) (o options, err error) {
	f := machine.NewFlags("hitratio")
	f.IntVar(&o.keys, "keys", 1_000_000, "there are so many keys")
	f.IntVar(&o.reads, "reads", 5_000_000, "read so often")
	f.Uint64Var(&o.seed, "seed", 1, "the draw")
	if err := f.Read(args); err != nil {
		return o, err
	}
	f.Want(o.keys >= 10_000 && o.keys <= 10_000_000, "-keys %d: want 10000 to 10000000", o.keys)
	f.Want(o.reads >= 10_000, "-reads %d: want 10000 or more", o.reads)
	return o, f.Err()
}

// law says how keys are drawn.
type law struct {
	name  string
	s     float64
	never int // one read of so many is of a key that never comes again; 0: none is
}

// draw calls read with the keys of a law, in one order for each seed, and returns the share of
// those that read reports as hits.
func (o options) draw(l law, read func(key string) (hit bool, err error)) (percent float64, err error) {
	r, sums := rand.New(rand.NewPCG(o.seed, 0)), make([]float64, o.keys)
	total := 0.0
	for i := range sums {
		total += math.Pow(float64(i+1), -l.s)
		sums[i] = total
	}
	hits, counted := 0, 0
	for i := range o.reads {
		key := fmt.Sprint("key-", sort.SearchFloat64s(sums, r.Float64()*total))
		if l.never > 0 && i%l.never == 0 {
			key = fmt.Sprint("once-", i)
		}
		hit, err := read(key)
		if err != nil {
			return 0, err
		}
		if i < o.reads/5 {
			continue
		}
		counted++
		if hit {
			hits++
		}
	}
	return 100 * float64(hits) / float64(counted), nil
}

func (o options) ofEvercache(ctx context.Context, l law) (percent float64, err error) {
	client, err := evercache.Open(ctx, evercache.Options{MemoryOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	cache, err := evercache.NewCache[int](client, "ratio", evercache.Policy{MaxEntries: o.keys / 100})
	if err != nil {
		return 0, err
	}
	loaded := false
	load := func(context.Context, string) (int, error) { loaded = true; return 1, nil }
	return o.draw(l, func(key string) (bool, error) {
		loaded = false
		_, err := cache.Get(ctx, key, load)
		return !loaded, err
	})
}

func (o options) ofOtter(l law) float64 {
	cache := otter.Must(&otter.Options[string, int]{MaximumSize: o.keys / 100})
	defer cache.StopAllGoroutines()
	percent, _ := o.draw(l, func(key string) (bool, error) {
		_, ok := cache.GetIfPresent(key)
		if !ok {
			cache.Set(key, 1)
		}
		return ok, nil
	})
	return percent
}
