// Command failover lets evercache and its peers live through the same failovers
// at the same time and prints what each of them cost their callers.
//
// For every fault and repetition it starts a master, two replicas and three
// sentinels, or with -cluster a Redis Cluster of three masters with a replica
// each, drives all libraries at the same steady rate against them, causes the
// fault, and compares what was acknowledged with what the final masters hold.
// Package chaos records and counts. Only figures of one run may be compared.
package main

import (
	"cmp"
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
	cluster   bool
	patience  time.Duration // down-after, or the node timeout
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
	r := report{Environment: newEnvironment(ctx, o), among: o.faults}
	err = o.liveThrough(ctx, &r)
	r.Environment.Repeat = len(r.Episodes) / len(o.faults) // fewer where it was interrupted
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
	f.BoolVar(&o.cluster, "cluster", false, "a Redis Cluster of three masters and three replicas instead of a Sentinel set")
	only := f.String("only", "", "drive the libraries whose name matches this `regexp`")
	names := f.String("faults", "", "comma-separated `list` of faults, or all: "+namesOf(faults)+"; with -cluster "+namesOf(clusterFaults)+
		". Default: "+usualFaults+"; with -cluster all. partition and side need root and network namespaces")
	f.IntVar(&o.repeat, "repeat", 5, "live through each fault this often")
	downAfter := f.Duration("down-after", time.Second, "Sentinel's down-after")
	nodeTimeout := f.Duration("node-timeout", 2*time.Second, "the Cluster's cluster-node-timeout")
	window := f.Duration("window", 0, "observe each fault for at least this long")
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
	wrong(*downAfter < minPatience || *downAfter > maxPatience, "-down-after %v: want %v to %v", *downAfter, minPatience, maxPatience)
	wrong(*nodeTimeout < minPatience || *nodeTimeout > maxPatience, "-node-timeout %v: want %v to %v", *nodeTimeout, minPatience, maxPatience)
	wrong(*window < 0 || *window > maxWindow, "-window %v: want 0s to %v", *window, maxWindow)
	wrong(!(o.rates.writes > 0 && o.rates.writes <= maxRate), "-writes %v: want more than 0, at most %v", o.rates.writes, maxRate)
	wrong(!(o.rates.deletes >= 0 && o.rates.deletes <= maxDeletes), "-deletes %v: want 0 to %v", o.rates.deletes, maxDeletes)
	wrong(!(o.rates.reads > 0 && o.rates.reads <= maxRate), "-reads %v: want more than 0, at most %v", o.rates.reads, maxRate)
	o.patience = *downAfter
	if o.cluster {
		o.patience = *nodeTimeout
	}
	errs = append(errs, o.choose(*names, *only, *window))
	return o, errors.Join(errs...)
}

const (
	minPatience = 100 * time.Millisecond
	maxPatience = 5 * time.Second // the faults' windows are made for it
	maxWindow   = 2 * time.Minute
	maxRate     = 1000
	maxDeletes  = 100 // their keys are written beforehand

	usualFaults = "kill,hang,planned"
)

// choose takes the faults and libraries from those of a set or of a Cluster.
func (o *options) choose(names, only string, window time.Duration) error {
	all, drivable := faults, libraries
	if o.cluster {
		all, drivable = clusterFaults, clusterLibraries
		names = cmp.Or(names, "all")
	}
	var errs [2]error
	o.faults, errs[0] = faultsNamed(cmp.Or(names, usualFaults), all)
	o.libraries, errs[1] = librariesNamed(only, drivable)
	for i := range o.faults {
		o.faults[i].window = max(o.faults[i].window, window)
	}
	return errors.Join(errs[:]...)
}

func namesOf(all []fault) string {
	var names []string
	for _, f := range all {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

func faultsNamed(list string, all []fault) ([]fault, error) {
	if list == "all" {
		return slices.Clone(all), nil
	}
	var taken []fault
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(f fault) bool { return f.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("-faults: there is no fault %q here; there are %s", name, namesOf(all))
		}
		if slices.ContainsFunc(taken, func(f fault) bool { return f.name == all[i].name }) {
			return nil, fmt.Errorf("-faults: %q is there twice", all[i].name)
		}
		taken = append(taken, all[i])
	}
	return taken, nil
}

func librariesNamed(pattern string, all []library) ([]library, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	taken := slices.DeleteFunc(slices.Clone(all), func(c library) bool { return !re.MatchString(c.name) })
	if len(taken) == 0 {
		return nil, fmt.Errorf("-only: no library matches %q", pattern)
	}
	return taken, nil
}
