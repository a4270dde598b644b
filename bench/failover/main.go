// Command failover lets evercache and its peers live through the same failovers
// at the same time and prints what each of them cost their callers.
//
// For every fault and repetition it starts a master, two replicas and three
// sentinels, drives all libraries at the same steady rate against them, causes
// the fault, and compares what was acknowledged with what the final master
// holds. Package chaos records and counts. Only figures of one run may be
// compared.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

// options are the command line.
type options struct {
	faults    []fault
	libraries []library
	repeat    int
	downAfter time.Duration
	rates     rates
	log       bool
	json      bool
}

func main() { machine.Main("failover", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	start := time.Now()
	r := report{Environment: newEnvironment(ctx, o)}
	err = o.liveThrough(ctx, &r)
	r.Took = time.Since(start).Round(time.Second).String()
	if o.json {
		return errors.Join(err, r.json(os.Stdout))
	}
	return errors.Join(err, r.markdown(os.Stdout))
}

// liveThrough adds each episode to the report: what was found before an
// interruption is printed all the same.
func (o options) liveThrough(ctx context.Context, r *report) error {
	for repetition := range o.repeat {
		for _, f := range o.faults {
			fmt.Fprintf(os.Stderr, "%s, repetition %d of %d\n", f.name, repetition+1, o.repeat)
			got, err := o.episode(ctx, f, repetition)
			if err != nil {
				return fmt.Errorf("%s, repetition %d: %w", f.name, repetition+1, err)
			}
			fmt.Fprint(os.Stderr, got.progress())
			r.Episodes = append(r.Episodes, got)
		}
	}
	return nil
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("failover", flag.ContinueOnError)
	only := f.String("only", "", "drive the libraries whose name matches this `regexp`")
	names := f.String("faults", "kill,hang,planned", "comma-separated `list` of faults, or all: "+faultNames()+"; partition and side need root and network namespaces")
	f.IntVar(&o.repeat, "repeat", 5, "live through each fault this often")
	f.DurationVar(&o.downAfter, "down-after", time.Second, "Sentinel's down-after")
	f.Float64Var(&o.rates.writes, "writes", 100, "writes a second of each library")
	f.Float64Var(&o.rates.deletes, "deletes", 20, "deletes a second of each library")
	f.Float64Var(&o.rates.reads, "reads", 50, "reads a second of each library")
	f.BoolVar(&o.log, "log", false, "let evercache log to standard error")
	f.BoolVar(&o.json, "json", false, "print every repetition as JSON instead of tables")
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
	wrong(o.repeat < 1, "-repeat %d: want at least 1", o.repeat)
	wrong(o.downAfter < 100*time.Millisecond || o.downAfter > maxDownAfter, "-down-after %v: want 100ms to %v", o.downAfter, maxDownAfter)
	wrong(!(o.rates.writes > 0 && o.rates.writes <= maxRate), "-writes %v: want more than 0, at most %v", o.rates.writes, maxRate)
	wrong(!(o.rates.deletes >= 0 && o.rates.deletes <= maxDeletes), "-deletes %v: want 0 to %v", o.rates.deletes, maxDeletes)
	wrong(!(o.rates.reads > 0 && o.rates.reads <= maxRate), "-reads %v: want more than 0, at most %v", o.rates.reads, maxRate)
	var err error
	if o.faults, err = faultsNamed(*names); err != nil {
		errs = append(errs, err)
	}
	if o.libraries, err = librariesNamed(*only); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}

const (
	maxDownAfter = 5 * time.Second // the faults' windows are made for it
	maxRate      = 1000
	maxDeletes   = 100 // their keys are written beforehand
)

func faultNames() string {
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

func faultsNamed(list string) ([]fault, error) {
	if list == "all" {
		return faults, nil
	}
	var taken []fault
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("-faults: there is no fault %q", name)
		}
		taken = append(taken, faults[i])
	}
	return taken, nil
}

func librariesNamed(pattern string) ([]library, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	taken := slices.DeleteFunc(slices.Clone(libraries), func(c library) bool { return !re.MatchString(c.name) })
	if len(taken) == 0 {
		return nil, fmt.Errorf("-only: no library matches %q", pattern)
	}
	return taken, nil
}
