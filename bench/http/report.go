package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/bench/machine"
)

// row is what was seen with so many callers: evercache and bare net/http, in pairs.
type row struct {
	callers int
	pairs   [][2]sample
}

func (o options) heading(ctx context.Context) string {
	return machine.Look(ctx, "./http").Markdown("the callers and both servers") +
		fmt.Sprintf("A value of %d bytes from memory, over connections that stay open; %d pairs of slices of %v. The ratio is of pairs: what bare net/http takes over what evercache takes.\n\n", o.value, o.repeat, o.slice)
}

// middle is the median, with the range.
func middle(of []float64, format string) string {
	slices.Sort(of)
	return fmt.Sprintf(format+" ("+format+"–"+format+")", of[len(of)/2], of[0], of[len(of)-1])
}

func (r row) each(f func([2]sample) float64) (all []float64) {
	for _, p := range r.pairs {
		all = append(all, f(p))
	}
	return all
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| callers | evercache, µs of processor time a request | bare net/http | bare / evercache | requests a second | bare |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		cpu := func(i int) []float64 {
			return r.each(func(p [2]sample) float64 { return float64(p[i].cpu.Nanoseconds()) / 1000 })
		}
		rate := func(i int) []float64 { return r.each(func(p [2]sample) float64 { return p[i].requests }) }
		ratio := r.each(func(p [2]sample) float64 { return float64(p[1].cpu) / float64(max(1, p[0].cpu)) })
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", r.callers, middle(cpu(0), "%.1f"), middle(cpu(1), "%.1f"),
			middle(ratio, "%.2f"), middle(rate(0), "%.0f"), middle(rate(1), "%.0f"))
	}
	return b.String()
}
