package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/bench/machine"
)

// row is the same number of clients, observed several times.
type row struct {
	mode    string
	clients int
	samples []sample
}

// columns are the figures of a row.
var columns = []struct {
	name string
	of   func(sample) float64
}{
	{"heap, KiB", func(s sample) float64 { return s.heap }},
	{"stacks, KiB", func(s sample) float64 { return s.stacks }},
	{"goroutines", func(s sample) float64 { return s.goroutines }},
	{"connections", func(s sample) float64 { return s.connections }},
	{"allocations a second", func(s sample) float64 { return s.allocs }},
	{"KiB allocated a second", func(s sample) float64 { return s.garbage }},
	{"CPU of the process, ms a second", func(s sample) float64 { return s.cpu }},
}

func (o options) heading(ctx context.Context) string {
	return machine.Look(ctx, "./idle").Markdown("the clients and the servers") +
		fmt.Sprintf("Clients with one class each and nothing but the defaults, all in one process, observed for %v. "+
			"All figures are for each client: median (min–max) of %d, each with new clients. The heap is what two collections leave.\n\n", o.length, o.repeat)
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| mode | clients")
	for _, c := range columns {
		b.WriteString(" | " + c.name)
	}
	b.WriteString(" |\n" + strings.Repeat("|---", 2+len(columns)) + "|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d", r.mode, r.clients)
		for _, c := range columns {
			var all []float64
			for _, s := range r.samples {
				all = append(all, c.of(s))
			}
			b.WriteString(" | " + spread(all))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// spread is the median with the least and the most.
func spread(all []float64) string {
	slices.Sort(all)
	least, median, most := figure(all[0]), figure(all[len(all)/2]), figure(all[len(all)-1])
	if least == most {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, least, most)
}

func figure(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.1f", x)
}
