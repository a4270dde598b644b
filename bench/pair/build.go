package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/evercache/evercache/bench/machine"
)

// build is a worker of one build.
type build struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// start starts a worker of this build, and of each other.
func (o options) start(ctx context.Context, addr string) (all []*build, err error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, program := range append([]string{own}, o.against...) {
		cmd := exec.CommandContext(ctx, program, "-worker", addr)
		cmd.Stderr = os.Stderr
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2); err != nil {
			return all, err
		}
		if err := cmd.Start(); err != nil {
			return all, err
		}
		all = append(all, &build{cmd: cmd, in: in, out: bufio.NewScanner(out)})
	}
	return all, nil
}

func (b *build) close() {
	_ = b.in.Close()
	_ = b.cmd.Wait()
}

// sample is what an operation cost.
type sample struct{ cpu, wall, allocs float64 } // nanoseconds, nanoseconds, objects

func (b *build) measure(c cell, o options) (s sample, err error) {
	if _, err := fmt.Fprintf(b.in, "%d %v %s\n", c.goroutines, o.slice, c.work); err != nil {
		return s, err
	}
	if !b.out.Scan() {
		return s, errors.Join(errors.New("a worker has ended"), b.out.Err())
	}
	_, err = fmt.Sscan(b.out.Text(), &s.cpu, &s.wall, &s.allocs)
	if err != nil {
		return s, errors.New(b.out.Text())
	}
	return s, nil
}

// compare lets the builds take turns. The first turn warms up.
func (o options) compare(ctx context.Context, builds []*build, c cell) ([][]sample, error) {
	samples := make([][]sample, len(builds))
	for i := range o.repeat + 1 {
		for k := range builds {
			k = (k + i) % len(builds) // nobody always follows the same one
			s, err := builds[k].measure(c, o)
			if err := errors.Join(err, ctx.Err()); err != nil {
				return nil, err
			}
			if i > 0 {
				samples[k] = append(samples[k], s)
			}
		}
	}
	return samples, nil
}

func (o options) heading(ctx context.Context) string {
	var b strings.Builder
	b.WriteString(machine.Look(ctx, "./pair").Markdown("the builds and the server"))
	fmt.Fprintf(&b, "Processor time of the client an operation, µs: median of %d slices of %v, the builds in turn. The ratio of this build to another is the median of the ratios of neighbouring slices, with their quartiles.\n\n", o.repeat, o.slice)
	b.WriteString("| work / goroutines | this build | allocs")
	for range o.against {
		b.WriteString(" | other | allocs | this / other")
	}
	b.WriteString(" |\n" + strings.Repeat("|---", 3+3*len(o.against)) + "|\n")
	return b.String()
}

func rowOf(c cell, samples [][]sample) string {
	var b strings.Builder
	cpu := func(s sample) float64 { return s.cpu / 1000 }
	allocs := func(s sample) float64 { return s.allocs }
	fmt.Fprintf(&b, "| %s | %.3g | %.1f", c, middle(each(samples[0], cpu), 2), middle(each(samples[0], allocs), 2))
	for _, other := range samples[1:] {
		var ratios []float64
		for i := range other {
			ratios = append(ratios, samples[0][i].cpu/other[i].cpu)
		}
		fmt.Fprintf(&b, " | %.3g | %.1f | %.2f (%.2f–%.2f)", middle(each(other, cpu), 2), middle(each(other, allocs), 2), middle(ratios, 2), middle(ratios, 1), middle(ratios, 3))
	}
	return b.String() + " |\n"
}

func each(samples []sample, of func(sample) float64) (all []float64) {
	for _, s := range samples {
		all = append(all, of(s))
	}
	return all
}

// middle is a quartile: 2 is the median.
func middle(all []float64, quartile int) float64 {
	slices.Sort(all)
	return all[(len(all)-1)*quartile/4]
}
