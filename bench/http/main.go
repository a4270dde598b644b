// Command http measures what a hit over HTTP costs evercache serve, beside the least
// that net/http costs: a handler over a sync.Map.
//
// Each server is a process of its own, over a Redis that both ignore: the value is in
// memory. Callers keep their connections and read answers with next to no code. What is
// compared is the processor time of the server for a request; both are asked in turns.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

// options are the command line.
type options struct {
	callers []int
	repeat  int
	slice   time.Duration
	value   int
	binary  string
}

func main() {
	if os.Getenv(childEnv) != "" {
		machine.Main("http", func(ctx context.Context, _ []string) error { return child(ctx) })
		return
	}
	machine.Main("http", run)
}

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
	maxCallers = 256
	maxValue   = 1 << 20
)

func parse(args []string) (options, error) {
	var o options
	f := machine.NewFlags("http")
	callers := f.String("callers", "1,32", "comma-separated `numbers` of callers at the same time")
	f.IntVar(&o.repeat, "repeat", 9, "measure each row this often")
	f.DurationVar(&o.slice, "slice", 400*time.Millisecond, "ask each server for this long, in turns")
	f.IntVar(&o.value, "value", 1024, "`bytes` of a value")
	f.StringVar(&o.binary, "binary", "", "measure this `program` in place of the evercache of this tree")
	if err := f.Read(args); err != nil {
		return o, err
	}
	o.callers = f.Numbers("callers", *callers, 1, maxCallers)
	f.Want(o.repeat >= 1, "-repeat %d: want at least 1", o.repeat)
	f.Want(o.slice >= 10*time.Millisecond, "-slice %v: want at least 10ms", o.slice)
	f.Want(o.value >= 1 && o.value <= maxValue, "-value %d: want 1 to %d", o.value, maxValue)
	return o, f.Err()
}
