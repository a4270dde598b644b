// Command bench runs the same work on evercache and on its peers, side by side
// in one process against one redis-server of its own, and prints tables of
// medians and ratios. Only figures of one run may be compared: the machine's
// speed changes between runs by more than the peers differ.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

var suites = []suite{hits, reads, writes, manyReads, manyWrites, setWrites, setDeletes, setFills, setReads, clusterReads, clusterWrites}

// standardTables need one server only.
const standardTables = "hit,read,write"

// options are the command line.
type options struct {
	plan
	suites     []suite
	keys       int
	json       bool
	onePage    bool
	cpuProfile string
}

func main() { machine.Main("bench", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, o.keys)
	if err != nil {
		return err
	}
	defer w.close()
	r, err := o.measureAll(ctx, w)
	if err != nil {
		return err
	}
	switch {
	case o.json:
		return r.json(os.Stdout)
	case o.onePage:
		return r.page(os.Stdout, suites)
	}
	return r.markdown(os.Stdout, suites)
}

func parse(args []string) (options, error) {
	o := options{plan: plan{told: func(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := f.String("only", "", "run the cells whose name matches this `regexp`; a name is table/level/subject, such as \"read/16/evercache Lookup\" ")
	tables := f.String("tables", standardTables, "comma-separated `list` of tables: hit, read, write, get-many, set-many; with a Sentinel set set, delete, fill, replica; with a Redis Cluster cluster-read, cluster-write")
	f.IntVar(&o.repeat, "repeat", 5, "run each cell this often")
	f.DurationVar(&o.length, "duration", time.Second, "run each cell for this long, after a fifth of it to warm up")
	f.IntVar(&o.keys, "keys", 10_000, "number of keys")
	f.BoolVar(&o.json, "json", false, "print every sample as JSON instead of tables")
	f.BoolVar(&o.onePage, "page", false, "print all tables as one page, of short runs (two to three minutes)")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of the measured part to this `file`")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var errs []error
	if f.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	if o.repeat < 1 {
		errs = append(errs, fmt.Errorf("-repeat %d: want at least 1", o.repeat))
	}
	if o.length <= 0 {
		errs = append(errs, fmt.Errorf("-duration %v: want a positive duration", o.length))
	}
	if o.keys < maxGoroutines || o.keys > maxKeys {
		errs = append(errs, fmt.Errorf("-keys %d: want %d to %d", o.keys, maxGoroutines, maxKeys))
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		errs = append(errs, fmt.Errorf("-only: %w", err))
	}
	if o.onePage {
		given := make(map[string]bool)
		f.Visit(func(one *flag.Flag) { given[one.Name] = true })
		o.asPage(func(name string) bool { return given[name] }, tables)
	}
	if o.suites, err = suitesNamed(*tables); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}

func suitesNamed(list string) (taken []suite, err error) {
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(suites, func(s suite) bool { return s.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("-tables: there is no table %q", name)
		}
		taken = append(taken, suites[i])
	}
	return taken, nil
}

// maxKeys fit into the memory that evercache uses by default.
const maxKeys = 20_000

func (o options) measureAll(ctx context.Context, w *world) (report, error) {
	r := report{Environment: newEnvironment(ctx, w)}
	r.Environment.Repeat, r.Environment.Length = o.repeat, o.length.String()
	stop, err := profile(o.cpuProfile)
	if err != nil {
		return r, err
	}
	defer stop()
	for _, s := range o.suites {
		cells, err := o.run(ctx, s, w)
		if err != nil {
			return r, err
		}
		r.Cells = append(r.Cells, cells...)
	}
	return r, nil
}

// profile starts a CPU profile if a file is named.
func profile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}, nil
}
