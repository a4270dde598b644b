package outbox

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// order is what the stream of a master in a Cluster is made of: a record, the delete
// of a prefix, a barrier, or a slot that comes with its keys or leaves with them.
type order struct {
	rec     *Record
	prefix  *Prefix
	barrier uint64
	moves   bool
	slot    uint16
	brings  dataset
}

func (d dataset) carries(o order) {
	switch {
	case o.moves:
		maps.DeleteFunc(d, func(key string, _ Record) bool { return slot.Of(key) == o.slot })
		maps.Copy(d, o.brings)
	case o.prefix != nil: // a sweep leaves what was written later
		p := o.prefix
		maps.DeleteFunc(d, func(key string, had Record) bool {
			return strings.HasPrefix(key, p.Text) && had.Since <= p.Since && p.reaches(key)
		})
	default:
		d.does(command{rec: o.rec})
	}
}

// inSlot are the keys of a slot with what they hold.
func (d dataset) inSlot(s uint16) dataset {
	in := dataset{}
	for key, had := range d {
		if slot.Of(key) == s {
			in[key] = had
		}
	}
	return in
}

// part is a shard of a Cluster: its master, and what is owed to it.
type part struct {
	ledger    *Ledger
	epoch     uint64
	stream    []order
	data      dataset // what the stream makes
	past      [][]order
	sent      []uint64 // barriers of this epoch
	confirmed uint64
	least     int // of the stream: no next master has less, where the ring is not relied on
}

func (p *part) does(o order) {
	p.stream = append(p.stream, o)
	p.data.carries(o)
}

// reshard is one process with one Box, and a Cluster whose slots move. What it knows
// of their owners is older than the truth.
type reshard struct {
	*testing.T
	*rand.Rand
	parts  []*part
	box    *Box
	now    int64
	owner  map[uint16]int // the truth
	moved  map[uint16]int // how often
	routes map[uint16]int // what the process knows of both
	seen   map[uint16]int

	meant     dataset
	last      map[string]int64 // when a key was written or deleted last
	busy      map[string]bool  // a write of the key is under way: it holds its lock
	deleting  *Prefix          // is under way
	late      []func()         // answers that have not been heard yet
	small     bool
	onlyAhead bool
}

func newReshard(t *testing.T, seed uint64, bounds LedgerBounds, box int) *reshard {
	d := &reshard{
		T: t, Rand: rand.New(rand.NewPCG(seed, 5)), box: New(box, 1<<20), owner: map[uint16]int{}, moved: map[uint16]int{},
		routes: map[uint16]int{}, seen: map[uint16]int{}, meant: dataset{}, last: map[string]int64{}, busy: map[string]bool{},
	}
	for range 3 {
		d.parts = append(d.parts, &part{ledger: NewLedger(bounds), epoch: 1, data: dataset{}})
	}
	for i, key := range allKeys {
		d.owner[slot.Of(key)], d.routes[slot.Of(key)] = i%3, i%3
	}
	return d
}

func (d *reshard) often(n int) bool { return d.IntN(n) == 0 }

// sent is a command on its way.
type sentTo struct {
	*part
	epoch      uint64
	generation uint32
}

func (d *reshard) to(i int) sentTo {
	p := d.parts[i]
	return sentTo{p, p.epoch, p.ledger.Generation()}
}

// slotsOf are those of a shard, as far as the process knows.
func (d *reshard) slotsOf(p *part) *slot.Set {
	of := &slot.Set{}
	for s, i := range d.routes {
		if d.parts[i] == p {
			of.Add(s)
		}
	}
	return of
}

// answered does it now or later; the key is locked until then.
func (d *reshard) answered(key string, do func()) {
	if !d.often(4) {
		do()
		return
	}
	d.busy[key] = true
	d.late = append(d.late, func() { delete(d.busy, key); do() })
}

func (d *reshard) hear() {
	if n := len(d.late); n > 0 {
		i := d.IntN(n)
		do := d.late[i]
		d.late = slices.Delete(d.late, i, i+1)
		do()
	}
}

func (d *reshard) write() {
	r := randomRecord(d.Rand, d.now)
	r.Slot = slot.Of(r.Key)
	r.Ends, r.Value = d.now+1000, fmt.Append(nil, d.now, strings.Repeat("x", d.IntN(60)))
	if r.Kind == Touch && d.IntN(2) == 0 {
		r.Kind = Set
	}
	if d.busy[r.Key] || d.deleting != nil && strings.HasPrefix(r.Key, d.deleting.Text) {
		return
	}
	i := d.routes[r.Slot]
	if _, waits := d.box.Find(r.Key); waits || d.owner[r.Slot] != i || d.often(10) {
		d.acknowledged(r)
		d.put(r)
		return
	}
	to := d.to(i)
	if _, there := to.data[r.Key]; r.Kind == Touch && !there {
		return // the caller hears that there is none
	}
	d.acknowledged(r)
	to.does(order{rec: &r})
	d.answered(r.Key, func() {
		if _, ok := to.ledger.AddIn(r, to.epoch, to.generation, d.now); !ok {
			d.put(r)
		} else if !d.box.Empty() {
			d.box.Taken(r)
		}
	})
}

func (d *reshard) acknowledged(r Record) {
	d.meant.does(command{rec: &r})
	if r.Kind != Touch {
		d.last[r.Key] = r.Since
	}
}

func (d *reshard) put(r Record) {
	l := d.parts[d.routes[r.Slot]].ledger
	l.Follow(&r)
	if err := d.box.Put(r); err != nil {
		d.Fatal(err)
	}
	if r.Kind != Touch {
		l.Forget(r.Key)
	}
}

// deletePrefix goes over one shard after the other.
func (d *reshard) deletePrefix() {
	p := Prefix{Text: pick(d.Rand, texts), Since: d.now}
	for key := range d.busy {
		if strings.HasPrefix(key, p.Text) {
			return
		}
	}
	d.meant.does(command{prefix: &p})
	for _, key := range allKeys {
		if strings.HasPrefix(key, p.Text) {
			d.last[key] = p.Since
		}
	}
	if !d.box.Empty() {
		if err := d.box.PutPrefix(p); err != nil {
			d.Fatal(err)
		}
		return
	}
	d.deleting = &p // nobody can say whether a write under it comes before or after
	d.sweep(p)
	d.deleting = nil
}

// sweep reports whether all shards have it.
func (d *reshard) sweep(p Prefix) (all bool) {
	var began []sentTo
	for i := range d.parts {
		began = append(began, d.to(i))
	}
	d.Shuffle(len(began), func(i, j int) { began[i], began[j] = began[j], began[i] })
	for _, to := range began {
		if d.parts[slices.Index(d.parts, to.part)].epoch == to.epoch {
			to.does(order{prefix: &p})
		}
		d.meanwhile()
	}
	all = true
	for _, to := range began {
		_, left, ok := to.ledger.AddPrefixesIn([]Prefix{p}, to.epoch, to.generation, d.now)
		switch {
		case !ok:
			d.again(p, d.slotsOf(to.part))
			all = false
		case left != nil:
			d.again(p, left)
		}
		if d.often(4) {
			d.meanwhile()
		}
	}
	return all
}

// again lets p wait for those of the slots that it has been carried out in.
func (d *reshard) again(p Prefix, slots *slot.Set) {
	if p.Slots != nil {
		slots.Keep(p.Slots)
	}
	p.Slots = slots
	d.box.Return(nil, []Prefix{p})
}

// meanwhile is what happens while a prefix is deleted.
func (d *reshard) meanwhile() {
	switch d.IntN(6) {
	case 0:
		d.move()
	case 1:
		d.move()
		d.observe()
	case 2:
		d.fail(d.IntN(3))
	}
}

// move gives a slot to another shard; the process does not know it yet.
func (d *reshard) move() {
	s := slot.Of(pick(d.Rand, allKeys))
	from, to := d.owner[s], d.IntN(3)
	if from == to {
		return
	}
	keys := d.parts[from].data.inSlot(s)
	d.parts[to].does(order{moves: true, slot: s, brings: keys})
	d.parts[from].does(order{moves: true, slot: s})
	for _, i := range []int{from, to} { // see the limit of what a move may lose
		d.parts[i].least = len(d.parts[i].stream)
	}
	d.owner[s] = to
	d.moved[s]++
}

// observe lets the process know who owns what.
func (d *reshard) observe() {
	type way struct{ from, to int }
	ways := map[way]*slot.Set{}
	var back []int
	for s, to := range d.owner {
		w := way{d.routes[s], to}
		switch {
		case d.moved[s] == d.seen[s]:
			continue
		case w.from == to:
			back = append(back, to)
		case ways[w] == nil:
			ways[w] = &slot.Set{}
			fallthrough
		default:
			ways[w].Add(s)
		}
		d.seen[s] = d.moved[s]
	}
	for _, w := range slices.SortedFunc(maps.Keys(ways), func(a, b way) int { return 3*(a.from-b.from) + a.to - b.to }) {
		d.handOver(ways[w], w.from, w.to)
	}
	slices.Sort(back)
	for _, i := range slices.Compact(back) { // nothing of it is certain
		d.uncover(d.parts[i], 0)
	}
}

func (d *reshard) handOver(slots *slot.Set, from, to int) {
	rs, ps := d.parts[from].ledger.Take(slots, d.now)
	d.aside()
	d.box.ReturnTo(rs, ps, d.parts[to].ledger.Overtakes)
	d.aside()
	d.parts[to].ledger.Give(slots)
	for s := range slots.All() {
		d.routes[s] = to
	}
}

// aside is what happens while slots are handed over.
func (d *reshard) aside() {
	for range d.IntN(3) {
		d.now++
		switch d.IntN(4) {
		case 0:
			d.hear()
		case 1:
			d.fail(d.IntN(3))
		default:
			d.write()
		}
	}
}

// replay sends some of what waits for one shard.
func (d *reshard) replay() {
	for _, p := range d.box.Prefixes() {
		if d.sweep(p) {
			d.box.DonePrefix(p.Seq)
		}
	}
	i := d.IntN(3)
	for _, r := range d.box.Oldest(1+d.IntN(4), OfSlots(d.slotsOf(d.parts[i]))) {
		r, ready := d.box.Ready(r.Key)
		if !ready || d.busy[r.Key] || d.owner[r.Slot] != i {
			continue
		}
		to := d.to(i)
		had, there := to.data[r.Key]
		if same := there && r.Kind == Set && had.Since == r.Since && had.Ends == r.Ends; !r.Verify || !same {
			to.does(order{rec: &r})
		}
		d.answered(r.Key, func() {
			if _, ok := to.ledger.AddIn(r, to.epoch, to.generation, d.now); ok {
				d.box.Done(r.Key, r.Seq)
			}
		})
	}
}

func (d *reshard) barrier(p *part) {
	n, ok := p.ledger.NextBarrier(p.epoch)
	if !ok {
		d.Fatal("a barrier of this epoch was refused")
	}
	p.does(order{barrier: n})
	p.sent = append(p.sent, n)
}

func (d *reshard) confirm(p *part) {
	if len(p.sent) > 0 {
		p.confirmed = max(p.confirmed, pick(d.Rand, p.sent))
		p.ledger.Confirm(p.confirmed, d.now)
		at := slices.IndexFunc(p.stream, func(o order) bool { return o.barrier == p.confirmed })
		p.least = max(p.least, at+1)
	}
}

// fail: the next master has the beginning of some master's stream.
func (d *reshard) fail(i int) {
	p := d.parts[i]
	from, least := p.stream, 0
	if d.onlyAhead {
		least = p.least
	} else if len(p.past) > 0 && d.often(4) {
		from = pick(d.Rand, p.past)
	}
	p.past = append(p.past, p.stream)
	p.stream, p.data, p.sent, p.least = nil, dataset{}, nil, least
	held := uint64(0)
	for _, o := range from[:least+d.IntN(len(from)-least+1)] {
		p.does(o)
		if o.barrier != 0 {
			held = o.barrier
		}
	}
	d.uncover(p, held)
}

func (d *reshard) uncover(p *part, held uint64) {
	rs, ps := p.ledger.Uncover(held)
	p.epoch, p.sent = p.ledger.Epoch(), nil
	for i, mine := 0, d.slotsOf(p); i < len(ps); i++ {
		ps[i].Slots = mine
	}
	d.box.Return(rs, ps)
}

// check looks at every key that nobody writes at the moment.
func (d *reshard) check() {
	d.Helper()
	d.observe()
	for _, key := range allKeys {
		if d.busy[key] {
			continue
		}
		if r, waits := d.box.Record(key); waits && r.Kind != Touch && r.Since < d.last[key] {
			d.Fatalf("at %d: the write of %d waits for %s and hides that of %d", d.now, r.Since, key, d.last[key])
		}
		got := d.parts[d.owner[slot.Of(key)]].data.inSlot(slot.Of(key))
		for _, p := range d.box.Prefixes() {
			got.carries(order{prefix: &p})
		}
		if r, waits := d.box.Record(key); waits {
			got.carries(order{rec: &r})
		}
		g, there := got[key]
		w, wanted := d.meant[key]
		same := there == wanted && string(g.Value) == string(w.Value) && (g.Ends == w.Ends || d.small)
		if !same && !(d.small && (!there || d.box.Depth().Unverified > 0)) {
			d.Fatalf("at %d: %s holds %q of %d until %d (%v), want %q of %d until %d (%v)", d.now, key, g.Value, g.Since, g.Ends, there, w.Value, w.Since, w.Ends, wanted)
		}
	}
}

func (d *reshard) step() {
	d.now++
	p := pick(d.Rand, d.parts)
	switch n := d.IntN(100); {
	case n < 4:
		d.fail(d.IntN(3))
	case n < 12:
		d.move()
	case n < 18:
		d.observe()
	case n < 21:
		d.deletePrefix()
	case n < 33:
		d.barrier(p)
	case n < 41:
		d.confirm(p)
	case n < 50:
		d.hear()
	case n < 65:
		d.replay()
	default:
		d.write()
	}
	if d.often(20) {
		d.check()
	}
}

// Whatever moves there and back while writes, their acknowledgements and failovers
// come between: what is acknowledged is where it belongs, or waits for it.
func TestNothingIsLostWithASlotThatMoves(t *testing.T) {
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
			t.Parallel()
			for seed := range uint64(12) {
				d := newReshard(t, seed, tt.bounds, tt.box)
				d.small, d.onlyAhead = tt.small, tt.onlyAhead
				defer func() {
					if t.Failed() {
						t.Logf("seed %d", seed)
					}
				}()
				for range 300 {
					d.step()
				}
				for len(d.late) > 0 {
					d.hear()
				}
				d.check()
			}
		})
	}
}
