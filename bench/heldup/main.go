//go:build unix

// Command heldup measures what a process is worth that runs a part of the time only, as a
// container does whose quota of processor time is used up. The clients of evercache,
// rueidis and go-redis are asked by so many goroutines, each in a process of its own,
// which is stopped for the rest of each 100 ms (SIGSTOP, SIGCONT). Redis is well.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/redisproc"
)

// options are the command line.
type options struct {
	shares     []int // in percent
	goroutines []int
	length     time.Duration
	repeat     int
}

const period = 100 * time.Millisecond

func main() {
	if name := os.Getenv(workerEnv); name != "" {
		machine.Main("heldup", work)
		return
	}
	machine.Main("heldup", run)
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	p, err := redisproc.Start(ctx, redisproc.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	fmt.Print(machine.Look(ctx, "./heldup", peers...).Markdown("client and server"), head)
	for _, share := range o.shares {
		for _, n := range o.goroutines {
			if err := o.rows(ctx, p.Addr(), share, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func parse(args []string) (options, error) {
	var o options
	f := machine.NewFlags("heldup")
	shares := f.String("shares", "100,50,20,10", "comma-separated `percents` of the time in which the process runs")
	goroutines := f.String("goroutines", "64", "comma-separated `numbers` of goroutines")
	f.DurationVar(&o.length, "duration", 4*time.Second, "run each process for this long")
	f.IntVar(&o.repeat, "repeat", 3, "run each of them this often")
	if err := f.Read(args); err != nil {
		return o, err
	}
	f.WantSecond(o.length)
	f.Want(o.repeat >= 1, "-repeat %d: want at least 1", o.repeat)
	o.shares = f.Numbers("shares", *shares, 1, 100)
	o.goroutines = f.Numbers("goroutines", *goroutines, 1, 10_000)
	return o, f.Err()
}

const head = "One row: pairs of a write and a read, a millisecond apart, with timeouts of 250 and 100 ms. Medians (lowest–highest).\n\n" +
	"| runs, % | goroutines | client | pairs/s | failed calls, % | answered without Redis, % | given up, times | p99 of a write, ms |\n|---|---|---|---|---|---|---|---|\n"

// rows prints the rows of one share.
func (o options) rows(ctx context.Context, addr string, share, goroutines int) error {
	all := map[string][]told{}
	for range o.repeat {
		for _, name := range names {
			one, err := hold(ctx, name, addr, share, goroutines, o.length)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[name] = append(all[name], one)
		}
	}
	for _, name := range names {
		of := func(f func(told) float64) string { return spread(all[name], f) }
		calls := func(t told) float64 { return float64(max(1, 2*t.Pairs)) }
		fmt.Printf("| %d | %d | %s | %s | %s | %s | %s | %s |\n", share, goroutines, name,
			of(func(t told) float64 { return float64(t.Pairs) / o.length.Seconds() }),
			of(func(t told) float64 { return 100 * float64(t.Failed) / calls(t) }),
			of(func(t told) float64 { return 100 * float64(t.Without) / calls(t) }),
			of(func(t told) float64 { return float64(t.GivenUp) }),
			of(func(t told) float64 { return t.P99 }))
	}
	return nil
}

func spread(all []told, f func(told) float64) string {
	var values []float64
	for _, t := range all {
		values = append(values, f(t))
	}
	slices.Sort(values)
	return fmt.Sprintf("%.3g (%.3g–%.3g)", values[len(values)/2], values[0], values[len(values)-1])
}

// hold runs a worker, a part of each period only.
func hold(ctx context.Context, name, addr string, share, goroutines int, length time.Duration) (t told, err error) {
	cmd := exec.CommandContext(ctx, os.Args[0], addr, fmt.Sprint(goroutines))
	cmd.Env = append(os.Environ(), workerEnv+"="+name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return t, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return t, err
	}
	if err := cmd.Start(); err != nil {
		return t, err
	}
	d := json.NewDecoder(out)
	var ready string
	if err := d.Decode(&ready); err != nil {
		return t, errors.Join(fmt.Errorf("the worker is not ready: %w", err), cmd.Wait())
	}
	runs := period * time.Duration(share) / 100
	for end := time.Now().Add(length); err == nil && time.Now().Before(end); {
		err = stand(ctx, cmd.Process, period-runs)
		err = errors.Join(err, machine.Pause(ctx, runs))
	}
	_ = in.Close()
	if more := d.Decode(&t); err == nil {
		err = more
	}
	_, _ = io.Copy(io.Discard, out)
	return t, errors.Join(err, cmd.Wait())
}

// stand stops a process for so long.
func stand(ctx context.Context, p *os.Process, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := machine.Pause(ctx, d)
	return errors.Join(err, p.Signal(syscall.SIGCONT))
}
