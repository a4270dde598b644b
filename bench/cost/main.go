// Command cost measures what evercache does when nobody asks it anything: the
// barriers, the feed and the watch over a Sentinel set.
//
// For each number of clients it starts that many in this process, as so many
// processes would, and counts what the master, the replicas and the sentinels
// are asked, what this process computes, and what the feed announces; idle, with
// one client writing, and with all of them writing.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

// options are the command line.
type options struct {
	clients []int
	length  time.Duration
	writes  float64
}

func main() { machine.Main("cost", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	head := o.heading(ctx)
	rows, err := o.measureAll(ctx)
	fmt.Print(head, table(rows))
	return err
}

const (
	maxClients = 200
	maxWrites  = 10_000
)

func parse(args []string) (options, error) {
	var o options
	f := machine.NewFlags("cost")
	clients := f.String("clients", "0,1,10,100", "comma-separated `numbers` of clients; 0 is what the set does by itself")
	f.DurationVar(&o.length, "duration", 10*time.Second, "observe each row for this long")
	f.Float64Var(&o.writes, "writes", 200, "writes a second of all clients together, in the rows with writes")
	if err := f.Read(args); err != nil {
		return o, err
	}
	f.WantSecond(o.length)
	f.Want(o.writes > 0 && o.writes <= maxWrites, "-writes %v: want more than 0, at most %d", o.writes, maxWrites)
	o.clients = f.Numbers("clients", *clients, 0, maxClients)
	return o, f.Err()
}
