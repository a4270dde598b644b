package outbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// command is what a master's stream is made of: a record, a prefix delete, or a
// barrier.
type command struct {
	rec     *Record
	prefix  *Prefix
	barrier uint64
}

// held is the last barrier of a stream.
func held(stream []command) uint64 {
	for _, c := range slices.Backward(stream) {
		if c.barrier != 0 {
			return c.barrier
		}
	}
	return 0
}

// dataset is what keys hold: the value and the end of the last Set.
type dataset map[string]Record

func (d dataset) does(c command) {
	switch r := c.rec; {
	case c.prefix != nil:
		for key := range d {
			if strings.HasPrefix(key, c.prefix.Text) {
				delete(d, key)
			}
		}
	case r == nil:
	case r.Kind == Set:
		d[r.Key] = *r
	case r.Kind == Touch:
		if had, ok := d[r.Key]; ok {
			d[r.Key] = retimed(had, *r)
		}
	default:
		delete(d, r.Key)
	}
}

// drill is one process, its masters one after the other, and what it has
// acknowledged.
type drill struct {
	*testing.T
	*rand.Rand
	ledger *Ledger
	box    *Box
	now    int64
	epoch  uint64
	stream []command   // of the master
	past   [][]command // of those before it
	meant  dataset
	small  bool // bounds are met: what has no room may be missing

	sent      []uint64 // barriers of this epoch
	confirmed uint64   // no master has less, where the ring is not relied on
	onlyAhead bool
}

func (d *drill) command(c command) { d.stream = append(d.stream, c) }

// write is acknowledged: by the master, or, where something of its key
// waits, because the box has it.
func (d *drill) write() {
	r := randomRecord(d.Rand, d.now)
	r.Ends, r.Value = d.now+1000, fmt.Append(nil, d.now, strings.Repeat("x", d.IntN(60)))
	if r.Kind == Touch && d.IntN(2) == 0 {
		r.Kind = Set
	}
	d.meant.does(command{rec: &r})
	_, waits := d.box.Find(r.Key)
	switch {
	case waits || d.IntN(10) == 0:
		d.put(r)
	case d.IntN(12) == 0: // its acknowledgement comes after another master has
		epoch := d.epoch
		d.command(command{rec: &r})
		d.fail()
		if _, ok := d.ledger.Add(r, epoch, d.now); ok {
			d.Fatal("an acknowledgement of an earlier epoch was taken")
		}
		d.put(r)
		d.check("after a late acknowledgement")
	default:
		d.command(command{rec: &r})
		d.add(r)
	}
}

func (d *drill) put(r Record) {
	floor := d.ledger.Floor(r.Key)
	if r.Kind != Touch {
		r.Floor = floor
	}
	if err := d.box.Put(r); err != nil {
		d.Fatal(err)
	}
	if r.Kind != Touch {
		d.ledger.Forget(r.Key)
	}
}

func (d *drill) add(r Record) {
	if _, ok := d.ledger.Add(r, d.epoch, d.now); !ok {
		d.Fatal("an acknowledgement of this epoch was refused")
	}
}

func (d *drill) deletePrefix() {
	p := Prefix{Text: pick(d.Rand, texts), Since: d.now}
	d.meant.does(command{prefix: &p})
	if !d.box.Empty() {
		if err := d.box.PutPrefix(p); err != nil {
			d.Fatal(err)
		}
		return
	}
	d.command(command{prefix: &p})
	if _, ok := d.ledger.AddPrefix(p, d.epoch, d.now); !ok {
		d.Fatal("a prefix delete of this epoch was refused")
	}
}

func (d *drill) barrier() {
	n, ok := d.ledger.NextBarrier(d.epoch)
	if !ok {
		d.Fatal("a barrier of this epoch was refused")
	}
	d.command(command{barrier: n})
	d.sent = append(d.sent, n)
}

func (d *drill) confirm() {
	if len(d.sent) > 0 {
		d.confirmed = max(d.confirmed, pick(d.Rand, d.sent))
		d.ledger.Confirm(d.confirmed, d.now)
	}
}

// replay sends some of what waits; a failover in the middle, and the replay of
// the master before is told late that it was done.
func (d *drill) replay() {
	for _, p := range d.box.Prefixes() {
		d.command(command{prefix: &p})
		if _, ok := d.ledger.AddPrefix(p, d.epoch, d.now); !ok {
			d.Fatal("a prefix delete of this epoch was refused")
		}
		if d.IntN(10) == 0 {
			d.failover()
		}
		d.box.DonePrefix(p.Seq)
	}
	for _, r := range d.box.Oldest(1+d.IntN(4), nil) {
		if r, ok := d.box.Ready(r.Key); ok {
			d.command(command{rec: &r})
			d.add(r)
			if d.IntN(10) == 0 {
				d.failover()
			}
			d.box.Done(r.Key, r.Seq)
		}
	}
}

func (d *drill) failover() {
	d.fail()
	d.check("after a failover")
}

// fail: the next master has the beginning of some master's stream.
func (d *drill) fail() {
	from := d.stream
	if !d.onlyAhead && len(d.past) > 0 && d.IntN(4) == 0 {
		from = pick(d.Rand, d.past)
	}
	d.past = append(d.past, d.stream)
	least := 0
	if d.onlyAhead {
		least = slices.IndexFunc(from, func(c command) bool { return c.barrier != 0 && c.barrier == d.confirmed }) + 1
	}
	next := slices.Clone(from[:least+d.IntN(len(from)-least+1)])
	records, prefixes := d.ledger.Uncover(held(next))
	d.epoch = d.ledger.Epoch()
	d.stream, d.sent = next, nil
	d.box.Return(records, prefixes)
}

// oldBarrier comes from who has not heard yet that the master is another one.
// The old one may become master again, with all that it was told.
func (d *drill) oldBarrier() {
	if n, ok := d.ledger.NextBarrier(d.epoch - 1); ok {
		last := len(d.past) - 1
		d.past[last] = append(slices.Clone(d.past[last]), command{barrier: n})
	}
}

// check replays what waits on a copy of what the master has.
func (d *drill) check(when string) {
	d.Helper()
	got := dataset{}
	for _, c := range d.stream {
		got.does(c)
	}
	for _, p := range d.box.Prefixes() {
		got.does(command{prefix: &p})
	}
	for e := d.box.order.Front(); e != nil; e = e.Next() {
		got.does(command{rec: e.Value.(*Record)})
	}
	for _, key := range allKeys {
		g, there := got[key]
		w, wanted := d.meant[key]
		if there == wanted && string(g.Value) == string(w.Value) && (g.Ends == w.Ends || d.small) || d.small && !there {
			continue
		}
		d.Fatalf("%s, at %d: %s holds %q until %d (%v), want %q until %d (%v)", when, d.now, key, g.Value, g.Ends, there, w.Value, w.Ends, wanted)
	}
}

func (d *drill) step() {
	d.now++
	switch n := d.IntN(100); {
	case n < 3:
		d.failover()
	case n < 5:
		d.oldBarrier()
	case n < 8:
		d.deletePrefix()
	case n < 20:
		d.barrier()
	case n < 28:
		d.confirm()
	case n < 45:
		d.replay()
	default:
		d.write()
	}
}

// Whatever is acknowledged, confirmed and replayed, and whichever beginning of
// whose stream the next master has: what it lacks waits for it.
func TestNothingThatTheNextMasterLacksIsCalledSafe(t *testing.T) {
	const forever = time.Duration(1 << 62)
	for _, tt := range []struct {
		name      string
		bounds    LedgerBounds
		box       int
		small     bool
		onlyAhead bool
	}{
		{"any older state", LedgerBounds{1000, 1 << 20, 1 << 20, forever}, 1000, false, false},
		{"no ring, and no state before what is confirmed", LedgerBounds{1000, 1 << 20, 0, 0}, 1000, false, true},
		{"values have no room", LedgerBounds{1000, 4 * overhead, 1 << 20, forever}, 1000, true, false},
		{"keys have no room", LedgerBounds{5, 1 << 20, 1 << 20, forever}, 1000, true, false},
		{"nothing has, nor in the box", LedgerBounds{4, 3 * overhead, 1 << 20, forever}, 3, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(50) {
				d := &drill{
					T: t, Rand: rand.New(rand.NewPCG(seed, 3)), ledger: NewLedger(tt.bounds), box: New(tt.box, 1<<20),
					epoch: 1, meant: dataset{}, small: tt.small, onlyAhead: tt.onlyAhead,
				}
				for range 300 {
					d.step()
				}
				d.failover()
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}
