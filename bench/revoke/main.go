// Command revoke measures the token denylist: what a check costs next to what
// others do at their best, what an entry weighs, how long a process that starts
// takes to know a large list, and how soon a revocation is acknowledged and
// refused in another process.
//
// It starts the servers that it needs, and other processes of itself. Only
// figures of one run may be compared.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

var tables = []string{"check", "memory", "snapshot", "revoke"}

// options are the command line.
type options struct {
	tables      []string
	entries     int
	repeat      int
	length      time.Duration
	asked       int
	revocations int
	json        bool
}

func (o options) has(table string) bool { return slices.Contains(o.tables, table) }

func main() {
	machine.Main("revoke", func(ctx context.Context, args []string) error {
		if task := os.Getenv(taskEnv); task != "" {
			return help(ctx, task, os.Stdin, os.Stdout)
		}
		return run(ctx, args)
	})
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit(), fmt.Errorf("not finished after %v", o.limit()))
	defer cancel()
	r := report{Environment: newEnvironment(ctx, o)}
	began := time.Now()
	err = o.measureAll(ctx, &r)
	r.Took = time.Since(began).Round(time.Second).String()
	if o.json {
		return errors.Join(err, r.json(os.Stdout))
	}
	return errors.Join(err, r.markdown(os.Stdout))
}

// limit bounds a run: several times what it takes on a machine that is well.
func (o options) limit() time.Duration {
	perRepetition := 64*o.length + time.Duration(len(levels)*o.revocations)*100*time.Millisecond + time.Minute
	return 5*time.Minute + time.Duration(o.entries)*100*time.Microsecond + time.Duration(o.repeat)*perRepetition
}

// measureAll adds each table to the report: what was found before an error is
// printed all the same.
func (o options) measureAll(ctx context.Context, r *report) error {
	if o.has("check") || o.has("memory") || o.has("snapshot") {
		if err := o.measureLists(ctx, r); err != nil {
			return err
		}
	}
	if o.has("revoke") {
		return o.measureRevocations(ctx, r)
	}
	return nil
}

const (
	maxEntries     = 5_000_000
	minEntries     = 1000
	minAsked       = 16
	maxRevocations = 100_000
)

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("revoke", flag.ContinueOnError)
	names := f.String("tables", strings.Join(tables, ","), "comma-separated `list` of tables: check, memory and snapshot need one server for each way to store the list, revoke a Sentinel set")
	f.IntVar(&o.entries, "entries", 1_000_000, "revocations in the list")
	f.IntVar(&o.repeat, "repeat", 5, "measure everything this often")
	f.DurationVar(&o.length, "duration", 200*time.Millisecond, "run each cell of check for this long, after a fifth of it to warm up")
	f.IntVar(&o.asked, "asked", 1<<18, "ids that check asks for in turn, hits and misses each; few of them keep their entries in the processor's cache")
	f.IntVar(&o.revocations, "revocations", 400, "revocations of each repetition in the table revoke")
	f.BoolVar(&o.json, "json", false, "print every sample as JSON instead of tables")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var errs []error
	wrong := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	wrong(f.NArg() > 0, "unexpected argument %q", f.Arg(0))
	wrong(o.entries < minEntries || o.entries > maxEntries, "-entries %d: want %d to %d", o.entries, minEntries, maxEntries)
	wrong(o.repeat < 1, "-repeat %d: want at least 1", o.repeat)
	wrong(o.length < time.Millisecond || o.length > time.Minute, "-duration %v: want 1ms to 1m", o.length)
	wrong(o.asked < minAsked || o.asked > maxEntries, "-asked %d: want %d to %d", o.asked, minAsked, maxEntries)
	wrong(o.revocations < 1 || o.revocations > maxRevocations, "-revocations %d: want 1 to %d", o.revocations, maxRevocations)
	for name := range strings.SplitSeq(*names, ",") {
		name = strings.TrimSpace(name)
		wrong(!slices.Contains(tables, name), "-tables: there is no table %q", name)
		o.tables = append(o.tables, name)
	}
	return o, errors.Join(errs...)
}

func tell(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }
