// Command memory measures what evercache serve needs in memory: idle, while it is
// written to and read, in an outage, and when Redis is back empty.
//
// Settings for it are taken from the environment, as by evercache serve itself:
//
//	EVERCACHE_MEMORY=8MiB go run ./memory -limit 64
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

// options are the command line.
type options struct {
	length  time.Duration
	callers int
	value   int
	limit   int // MiB of a control group; 0: none
}

func main() { machine.Main("memory", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	head := o.heading(ctx)
	rows, err := o.measure(ctx)
	fmt.Print(head, table(rows))
	return err
}

const (
	maxCallers = 1000
	maxValue   = 1 << 20
)

func parse(args []string) (options, error) {
	var o options
	f := machine.NewFlags("memory")
	f.DurationVar(&o.length, "duration", 10*time.Second, "how long each phase takes")
	f.IntVar(&o.callers, "callers", 16, "how many call at the same time")
	f.IntVar(&o.value, "value", 1024, "`bytes` of a value")
	f.IntVar(&o.limit, "limit", 0, "run it in a control group with so many `MiB` (Linux, root); 0: without")
	if err := f.Read(args); err != nil {
		return o, err
	}
	f.WantSecond(o.length)
	f.Want(o.callers >= 1 && o.callers <= maxCallers, "-callers %d: want 1 to %d", o.callers, maxCallers)
	f.Want(o.value >= 1 && o.value <= maxValue, "-value %d: want 1 to %d", o.value, maxValue)
	f.Want(o.limit >= 0, "-limit %d: want 0 or more", o.limit)
	return o, f.Err()
}
