// Command origin measures what callers feel when the database behind a cache hangs, fails
// and comes back, with several caches: those that refresh what is read before it ends.
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
	callers, keys, repeat int
	phase                 time.Duration
}

func main() { machine.Main("origin", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	fmt.Print(machine.Look(ctx, "./origin", "github.com/maypok86/otter/v2", "github.com/viccon/sturdyc").Markdown("the callers and the caches"))
	fmt.Printf("%d callers, each with a read every %v of one of %d keys, and %v to wait. A database with %d connections and %v latency; a query has %v. "+
		"A row is fresh for %v, and older ones are kept. Each phase takes %v. Median (min–max) of %d, caches in turn.\n\n",
		o.callers, pause, o.keys, deadline, connections, latency, driverLimit, fresh, o.phase, o.repeat)
	results := make([][len(phases)][]figures, len(caches))
	for range o.repeat {
		for i, c := range caches {
			of, err := o.play(ctx, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			for p := range phases {
				results[i][p] = append(results[i][p], of[p])
			}
		}
	}
	fmt.Print(table(results))
	return nil
}

func parse(args []string) (options, error) {
	var o options
	f := machine.NewFlags("origin")
	f.IntVar(&o.callers, "callers", 1000, "how many read at the same time")
	f.IntVar(&o.keys, "keys", 100, "how many rows they read")
	f.IntVar(&o.repeat, "repeat", 3, "play everything this often")
	f.DurationVar(&o.phase, "duration", 4*time.Second, "how long each phase takes")
	if err := f.Read(args); err != nil {
		return o, err
	}
	f.Want(o.callers >= 1 && o.callers <= 100_000, "-callers %d: want 1 to 100000", o.callers)
	f.Want(o.keys >= 1 && o.keys <= 10_000, "-keys %d: want 1 to 10000", o.keys)
	f.Want(o.repeat >= 1, "-repeat %d: want at least 1", o.repeat)
	f.WantSecond(o.phase)
	return o, f.Err()
}

// table has a line for each cache and phase.
func table(results [][len(phases)][]figures) string {
	var b strings.Builder
	b.WriteString("| cache | the database | reads | failed | 99 %, ms | longest, ms | queries |\n|---|---|---|---|---|---|---|\n")
	for p, phase := range phases {
		for i, c := range caches {
			of := func(one func(figures) float64) string {
				var all []float64
				for _, f := range results[i][p] {
					all = append(all, one(f))
				}
				return spread(all)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", c.name, phase.name,
				of(func(f figures) float64 { return float64(f.reads) }),
				of(func(f figures) float64 { return float64(f.failed) }),
				of(func(f figures) float64 { return f.most.Seconds() * 1000 }),
				of(func(f figures) float64 { return f.longest.Seconds() * 1000 }),
				of(func(f figures) float64 { return float64(f.queries) }))
		}
	}
	return b.String()
}

// spread is the median with the least and the most.
func spread(all []float64) string {
	slices.Sort(all)
	text := func(v float64) string {
		if v >= 10 || v == float64(int(v)) {
			return fmt.Sprintf("%.0f", v)
		}
		return fmt.Sprintf("%.1f", v)
	}
	least, median, most := text(all[0]), text(all[len(all)/2]), text(all[len(all)-1])
	if least == most {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, least, most)
}
