// Command growth measures what work of several sizes costs, and prints how it grows: the
// exponent of the size. 1 is in proportion; more means that a large call costs more for
// each key than a small one. A fixed cost of each call makes it less than 1.
//
//	cd bench && go run ./growth
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

type options struct {
	sizes  []int
	repeat int
	only   string
	most   float64
}

func main() { machine.Main("growth", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	fmt.Print(o.heading(ctx))
	var steep []string
	for _, k := range works {
		if !strings.Contains(k.name, o.only) {
			continue
		}
		costs, err := o.measure(ctx, w, k)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		e := exponent(o.sizes, costs)
		fmt.Print(rowOf(k.name, o.sizes, costs, e))
		if o.most > 0 && e > o.most {
			steep = append(steep, k.name)
		}
	}
	if len(steep) > 0 {
		return fmt.Errorf("an exponent above %v: %s", o.most, strings.Join(steep, ", "))
	}
	return nil
}

func parse(args []string) (options, error) {
	var o options
	f := machine.NewFlags("growth")
	sizes := f.String("sizes", "10,100,1000,10000", "comma-separated `numbers` of keys")
	f.IntVar(&o.repeat, "repeat", 5, "measure each size this often")
	f.StringVar(&o.only, "only", "", "measure the works that this `text` is in")
	f.Float64Var(&o.most, "most", 0, "fail where an exponent is larger; 0: never")
	if err := f.Read(args); err != nil {
		return o, err
	}
	o.sizes = f.Numbers("sizes", *sizes, 1, mostKeys)
	f.Want(len(o.sizes) > 1 && slices.IsSorted(o.sizes), "-sizes %s: want at least two, the smallest first", *sizes)
	f.Want(o.repeat >= 1, "-repeat %d: want at least 1", o.repeat)
	f.Want(o.most >= 0, "-most %v: want 0 or more", o.most)
	return o, f.Err()
}

// mostKeys keep within what evercache holds by default.
const mostKeys = 20_000

// measure is what a work costs at each size: the processor time of client and server, a
// median. The sizes take turns.
func (o options) measure(ctx context.Context, w *world, k work) (costs []time.Duration, err error) {
	samples := make([][]time.Duration, len(o.sizes))
	for r := range o.repeat + 1 { // the first warms up
		for i, n := range o.sizes {
			cost, err := w.cost(ctx, k, n)
			if err != nil {
				return nil, err
			}
			if r > 0 {
				samples[i] = append(samples[i], cost)
			}
		}
	}
	for _, s := range samples {
		slices.Sort(s)
		costs = append(costs, s[len(s)/2])
	}
	return costs, nil
}

func (o options) heading(ctx context.Context) string {
	var b strings.Builder
	b.WriteString(machine.Look(ctx, "./growth").Markdown("client and server"))
	fmt.Fprintf(&b, "Processor time of client and server for each key, µs: median of %d. The exponent is that of the size in the cost of the whole.\n\n| work", o.repeat)
	for _, n := range o.sizes {
		fmt.Fprintf(&b, " | %d", n)
	}
	b.WriteString(" | exponent |\n" + strings.Repeat("|---", len(o.sizes)+2) + "|\n")
	return b.String()
}
