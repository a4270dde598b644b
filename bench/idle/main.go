// Command idle measures what a client is worth in memory, connections, goroutines
// and processor time while nobody asks it anything: with one server, and in Sentinel
// mode with a master, two replicas and three sentinels.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

// options are the command line.
type options struct {
	modes   []string
	clients []int
	length  time.Duration
	repeat  int
	heap    string // a file for the heap profile of the last row; "": none
}

func main() { machine.Main("idle", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.heap != "" {
		runtime.MemProfileRate = 1 << 10
	}
	head := o.heading(ctx)
	var rows []row
	for _, mode := range o.modes {
		more, err := o.measure(ctx, mode)
		rows = append(rows, more...)
		if err != nil {
			fmt.Print(head, table(rows))
			return fmt.Errorf("%s: %w", mode, err)
		}
	}
	fmt.Print(head, table(rows))
	return nil
}

const maxClients = 200

func parse(args []string) (options, error) {
	var o options
	f := machine.NewFlags("idle")
	modes := f.String("modes", "standalone,sentinel", "comma-separated `list` of standalone and sentinel")
	clients := f.String("clients", "1,10", "comma-separated `numbers` of clients in this process")
	f.DurationVar(&o.length, "duration", 10*time.Second, "observe each repetition for this long")
	f.IntVar(&o.repeat, "repeat", 3, "observe each row this often, each time with new clients")
	f.StringVar(&o.heap, "heap", "", "write a heap profile of the last row to this `file`; the figures of such a run are not to be kept")
	if err := f.Read(args); err != nil {
		return o, err
	}
	f.WantSecond(o.length)
	f.Want(o.repeat >= 1, "-repeat %d: want at least 1", o.repeat)
	for mode := range strings.SplitSeq(*modes, ",") {
		f.Want(starts[mode] != nil, "-modes: %q, want standalone or sentinel", mode)
		o.modes = append(o.modes, mode)
	}
	o.clients = f.Numbers("clients", *clients, 1, maxClients)
	return o, f.Err()
}

// keepHeap writes the heap profile, where one is asked for.
func (o options) keepHeap() error {
	if o.heap == "" {
		return nil
	}
	f, err := os.Create(o.heap)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}
