// Command pair compares builds of evercache: what an operation costs this process, in
// slices of a fraction of a second that take turns, over one Redis of its own.
//
//	cd bench && go build -o new ./pair          # here
//	cd ../../other/bench && go build -o old ./pair # in another tree, with this folder copied there
//	./new -against ../../other/bench/old
//
// Processor time is what a busy machine leaves comparable. A ratio above 1 means that
// this build costs more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/redisproc"
)

type options struct {
	against []string
	worker  string // the address of Redis: this process works for another
	only    string
	slice   time.Duration
	repeat  int
}

func main() { machine.Main("pair", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.worker != "" {
		return work(ctx, o.worker, os.Stdin, os.Stdout)
	}
	p, err := redisproc.Start(ctx, redisproc.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	builds, err := o.start(ctx, p.Addr())
	defer func() {
		for _, b := range builds {
			b.close()
		}
	}()
	if err != nil {
		return err
	}
	fmt.Print(o.heading(ctx))
	for _, c := range cells {
		if strings.Contains(c.String(), o.only) {
			samples, err := o.compare(ctx, builds, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			fmt.Print(rowOf(c, samples))
		}
	}
	return nil
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("pair", flag.ContinueOnError)
	against := f.String("against", "", "comma-separated `programs`: builds of this command in other trees")
	f.StringVar(&o.worker, "worker", "", "work for another pair, over the Redis at this `address`")
	f.StringVar(&o.only, "only", "", "measure the cells that this `text` is in, such as \"read\" or \"set 1 KiB/16\"")
	f.DurationVar(&o.slice, "slice", 200*time.Millisecond, "let each build work for so long at a time")
	f.IntVar(&o.repeat, "repeat", 21, "slices of each build in each cell")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var errs []error
	if *against != "" {
		o.against = strings.Split(*against, ",")
	}
	if f.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	if len(o.against) == 0 && o.worker == "" {
		errs = append(errs, errors.New("-against: want at least one program"))
	}
	if o.slice < time.Millisecond || o.slice > time.Minute {
		errs = append(errs, fmt.Errorf("-slice %v: want 1ms to 1m", o.slice))
	}
	if o.repeat < 1 {
		errs = append(errs, fmt.Errorf("-repeat %d: want at least 1", o.repeat))
	}
	return o, errors.Join(errs...)
}

// cell is one kind of work by so many goroutines.
type cell struct {
	work       string
	goroutines int
}

func (c cell) String() string { return c.work + "/" + strconv.Itoa(c.goroutines) }

var cells = []cell{
	{"hit", 1},
	{"read 1 KiB", 1},
	{"read 1 KiB", 16},
	{"read 1 KiB", 256},
	{"set 1 KiB", 1},
	{"set 1 KiB", 16},
	{"set 1 KiB", 256},
	{"delete", 16},
	{"load", 1},
	{"load", 16},
	{"load", 128},
	{"getmany", 1},
	{"getmany", 16},
	{"setmany", 1},
	{"setmany", 16},
	{"announced", 1},
	{"set 60 KiB", 4},
	{"read 60 KiB", 4},
	{"set 1 MB", 1},
	{"set 1 MB", 4},
	{"read 1 MB", 1},
	{"set 2 MiB", 1},
	{"read 2 MiB", 1},
}
