// Command clusterlab records episodes: what a client can see of a real Redis Cluster around a fault. The format, and
// what the episodes are for, is in internal/cluster/testdata/episodes/README.md.
//
//	go run ./internal/clusterlab -out internal/cluster/testdata/episodes [scenario …]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clusterlab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("clusterlab", flag.ContinueOnError)
	out := flags.String("out", "", "the directory of the episodes; each server has a folder of its own there")
	flags.Usage = func() {
		_, _ = fmt.Fprintf(flags.Output(), "usage: clusterlab -out DIR [scenario …]\nscenarios: %s\n", strings.Join(names(), " "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("-out: name a directory")
	}
	wanted, err := choose(flags.Args())
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range wanted {
		file, err := recordOnce(ctx, s, *out)
		if s.atomic && errors.Is(err, errors.ErrUnsupported) {
			file, err = "left out: "+errors.ErrUnsupported.Error(), nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			fmt.Printf("%-24s failed\n", s.name)
			continue
		}
		fmt.Printf("%-24s %s\n", s.name, file)
	}
	return errors.Join(errs...)
}

// choose returns the scenarios of these names, or all.
func choose(wanted []string) ([]scenario, error) {
	if len(wanted) == 0 {
		return scenarios, nil
	}
	var all []scenario
	for _, name := range wanted {
		s, found := find(name)
		if !found {
			return nil, fmt.Errorf("no scenario is called %q; there are: %s", name, strings.Join(names(), " "))
		}
		all = append(all, s)
	}
	return all, nil
}

// maxTries: a machine that is too busy makes the cluster replace masters that are well, and that is another episode.
const maxTries = 5

// recordOnce records a scenario until it went as it should.
func recordOnce(ctx context.Context, s scenario, out string) (file string, err error) {
	var errs []error
	for range maxTries {
		e, err := play(ctx, s)
		if err == nil {
			return e.write(filepath.Join(out, e.server()))
		}
		if errs = append(errs, err); ctx.Err() != nil || errors.Is(err, errors.ErrUnsupported) {
			break
		}
	}
	return "", errors.Join(errs...)
}
