package cluster_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// slotsMoveAsOne is slotsMoveAndComeBack where the servers move slots in one piece. No
// client ever sees that a slot moves: all of them have another owner at once.
func slotsMoveAsOne(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(thousand, anywhere))
		from, to := c.Nodes()[0], c.Nodes()[1]
		for _, way := range [][2]*redistest.Server{{from, to}, {to, from}} {
			d.moves("in one piece", thousand, func() {
				if err := c.AtomicReshard(way[0], way[1], thousand); err != nil {
					t.Fatal(err) // a server that cannot was not asked to
				}
			})
		}
		d.end()
	}, steady)
}

// moves is during for a move of slots, and tells in the end what it has cost.
func (d *drill) moves(how string, slots redistest.SlotRange, move func()) {
	d.Helper()
	began := d.trace.Now()
	var ended int64
	d.during(func() {
		move()
		ended = d.trace.Now()
	})
	d.Cleanup(func() {
		took := time.Duration(ended - began).Round(time.Millisecond)
		d.Logf("MOVE %s of the slots %d to %d in %v: %+v", how, slots.First, slots.Last, took, d.cost(slots, began, ended))
	})
}

// moveCost is what the callers had of a move, in the keys of its slots and in all others.
type moveCost struct {
	Writes, InMemory, OtherWrites, OthersInMemory int
	LongestRead, LongestWrite                     time.Duration // of any key
}

// cost counts the calls that were under way between two moments. Of writes of many keys at
// once, every eighth, the receipt is that of the worst.
func (d *drill) cost(slots redistest.SlotRange, from, to int64) (c moveCost) {
	for _, e := range d.trace.Events() {
		if e.End < from || e.Start > to {
			continue
		}
		took := time.Duration(e.End - e.Start).Round(time.Millisecond)
		if e.Act == chaos.Look {
			c.LongestRead = max(c.LongestRead, took)
			continue
		}
		c.LongestWrite = max(c.LongestWrite, took)
		if e.Act != chaos.Put || e.Outcome < chaos.InMemory || e.Outcome > chaos.AtReplicas {
			continue
		}
		writes, inMemory := &c.OtherWrites, &c.OthersInMemory
		if s := redistest.Slot(d.name(e.Key)); slots.First <= s && s <= slots.Last {
			writes, inMemory = &c.Writes, &c.InMemory
		}
		*writes++
		if e.Outcome == chaos.InMemory {
			*inMemory++
		}
	}
	return c
}
