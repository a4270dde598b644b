package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
)

// world is a Cluster made by hand, with a machine that looks at it. What a node
// knows of the others is its own table: it is what they were when it last heard of
// them.
type world struct {
	t     testing.TB
	nodes []*peer
	m     *Machine
	d     Decision
	now   time.Time
	top   int64 // the highest epoch

	moved    []Change
	promoted []Promotion
	returned []uint32
}

// peer is one node.
type peer struct {
	name    string
	id      ID
	addr    Addr
	up      bool
	ok      bool // cluster_state
	runID   string
	calls   Endpoint
	current int64
	line    Line // of itself, without slots
	slots   slot.Set
	moving  slot.Set
	table   map[ID]known
}

// known is what a node believes of another, its slots apart.
type known struct {
	line  Line
	slots slot.Set
}

// per is how many slots each master has at the start: the nth has those from n*per.
const per = 4

// newWorld makes masters n0, n1, … with so many replicas each: of three masters and
// one replica each, n3 is the replica of n0. Everybody knows everybody, and the
// machine has asked all.
func newWorld(t testing.TB, masters, replicas int) *world {
	t.Helper()
	w := newCluster(t, "n", masters, replicas)
	w.m = New([]Addr{w.nodes[0].addr, w.nodes[1%masters].addr, w.nodes[masters-1].addr}, Rules{})
	w.hearAll()
	w.hearAll()
	w.beatAll()
	w.hearAll()
	for _, n := range w.nodes[:masters] {
		w.want(n.name, n.slots)
	}
	if !w.allHealthy() {
		t.Fatalf("the Cluster is not healthy at the start: %s", w.text())
	}
	w.moved, w.promoted, w.returned = nil, nil, nil
	return w
}

func newCluster(t testing.TB, prefix string, masters, replicas int) *world {
	t.Helper()
	w := &world{t: t, now: epoch0}
	for i := range masters * (replicas + 1) {
		w.add(prefix, i)
	}
	all := int64(masters * (replicas + 1))
	for i, n := range w.nodes {
		n.current = all // in every fresh Cluster it is above the config epochs
		of := i % masters
		n.line.Epoch = int64(of + 1)
		if i < masters {
			n.line.Flags = FlagMaster
			n.slots.AddRange(slot.Range{First: uint16(i * per), Last: uint16(i*per + per - 1)})
			continue
		}
		n.line.Flags, n.line.Master = FlagReplica, w.nodes[of].id
	}
	w.top = all
	w.gossipAll()
	return w
}

func (w *world) add(prefix string, i int) *peer {
	n := &peer{name: fmt.Sprint(prefix, i), up: true, ok: true, table: map[ID]known{}, runID: strings.Repeat("a", 40)}
	n.id = ID{prefix[0], byte(i + 1)}
	n.addr = Addr{Host: "10.0.0." + fmt.Sprint(prefix[0]), Port: uint16(7000 + i)}
	n.line = Line{ID: n.id, Addr: n.addr, Flags: FlagMaster, LinkUp: true}
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) node(name string) *peer {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	w.t.Fatalf("no node %s", name)
	return nil
}

// gossip lets b hear of a, as a says.
func gossip(a, b *peer) {
	if a == b || !a.up || !b.up {
		return
	}
	b.current = max(b.current, a.current)
	k := b.table[a.id]
	k.line = a.line
	b.table[a.id] = k
	if a.line.Flags.Has(FlagReplica) {
		k.slots = slot.Set{}
		b.table[a.id] = k
		if b.line.Master == a.id {
			b.line.Master = a.line.Master // a replica of a replica follows the master
		}
		return
	}
	had := b.slots
	for s := range a.slots.All() {
		if owner, ok := b.learn(s, a); !ok && a.update(s, owner) {
			return
		}
	}
	if !had.Empty() && b.slots.Empty() && b.line.Flags.Has(FlagMaster) {
		b.demote(a) // it has lost its last slot to a
	}
	if b.line.Flags.Has(FlagReplica) {
		if m, ok := b.table[b.line.Master]; ok {
			b.line.Epoch = m.line.Epoch
		}
	}
}

// learn lets b know that a claims a slot. If it knows an owner with a higher epoch, it
// says so.
func (b *peer) learn(s uint16, a *peer) (owner known, ok bool) {
	if b.slots.Has(s) {
		if a.line.Epoch < b.line.Epoch {
			return known{line: b.line, slots: b.slots}, false
		}
		b.slots.Remove(s)
		b.give(s, a.id)
		return known{}, true
	}
	for id, k := range b.table {
		if id != a.id && k.slots.Has(s) && k.line.Epoch > a.line.Epoch {
			return k, false
		}
	}
	b.give(s, a.id)
	return known{}, true
}

// update tells a that a slot of its own has an owner with a higher epoch. It reports
// whether that was the last one.
func (a *peer) update(s uint16, owner known) bool {
	a.slots.Remove(s)
	k := a.table[owner.line.ID]
	k.line = owner.line
	a.table[owner.line.ID] = k
	a.give(s, owner.line.ID)
	if !a.slots.Empty() {
		return false
	}
	a.line.Flags = FlagReplica
	a.line.Master, a.line.Epoch = owner.line.ID, owner.line.Epoch
	return true
}

// give notes in b's table that a node has a slot.
func (b *peer) give(s uint16, to ID) {
	for id, k := range b.table {
		if k.slots.Has(s) != (id == to) {
			if id == to {
				k.slots.Add(s)
			} else {
				k.slots.Remove(s)
			}
			b.table[id] = k
		}
	}
}

func (b *peer) demote(to *peer) {
	b.line.Flags = FlagReplica
	b.line.Master, b.line.Epoch, b.slots = to.id, to.line.Epoch, slot.Set{}
}

func (w *world) gossipAll() {
	for range 3 {
		for _, a := range w.nodes {
			for _, b := range w.nodes {
				gossip(a, b)
			}
		}
	}
}

// promote makes a replica the master of its master's slots, as it knows them.
func (w *world) promote(name string) {
	n := w.node(name)
	w.top++
	n.current, n.line.Epoch = w.top, w.top
	old := n.table[n.line.Master]
	for s := range old.slots.All() {
		n.slots.Add(s)
	}
	old.slots = slot.Set{}
	n.table[n.line.Master] = old
	n.line.Flags, n.line.Master = FlagMaster, ID{}
}

// reshard gives a slot of one master to another, as SETSLOT NODE does on the target
// first; the source is told when it hears of it, or by forgetSlot.
func (w *world) reshard(s uint16, to string) {
	b := w.node(to)
	if b.line.Epoch < b.current || b.line.Epoch < w.top {
		w.top++
		b.current, b.line.Epoch = w.top, w.top
	}
	b.slots.Add(s)
	b.give(s, ID{})
}

// answer is what a node says when it is asked.
func (n *peer) answer(w *world) Answer {
	var lines []Line
	add := func(l Line, slots *slot.Set) Line {
		l.Slots = slices.Collect(slots.Ranges())
		lines = append(lines, l)
		return l
	}
	self := add(n.line, &n.slots)
	for _, k := range n.table {
		add(k.line, &k.slots)
	}
	slices.SortFunc(lines, func(a, b Line) int { return slices.Compare(a.ID[:], b.ID[:]) })
	slots, moving := n.slots, n.moving
	a := Answer{
		Self: self, Slots: &slots, Moving: &moving, Lines: lines, OK: n.ok, CurrentEpoch: n.current,
		RunID: n.runID, Told: true, Calls: n.calls,
	}
	for _, r := range w.nodes {
		if r.up && r.line.Master == n.id {
			a.Replicas = append(a.Replicas, sentinel.Attached{Addr: r.addr, Online: true})
		}
	}
	return a
}

// view is a question that is asked now.
func (n *peer) view(w *world) View {
	v := View{Node: n.addr, SentAt: w.now, At: w.now.Add(time.Millisecond)}
	if v.Fault = FaultSilent; n.up {
		v.Fault, v.Says = FaultNone, n.answer(w)
	}
	return v
}

func (w *world) feed(o Observation) {
	w.t.Helper()
	w.d = w.m.Observe(o)
	w.moved = append(w.moved, w.d.Changes...)
	w.promoted = append(w.promoted, w.d.Promoted...)
	w.returned = append(w.returned, w.d.Returned...)
}

// hear asks nodes, one after the other.
func (w *world) hear(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.feed(w.node(name).view(w))
		w.now = w.now.Add(2 * time.Millisecond)
	}
}

func (w *world) hearAll() {
	w.t.Helper()
	for _, n := range w.nodes {
		w.hear(n.name)
	}
}

// beat is a barrier on a master that so many replicas hold.
func (w *world) beat(name string, acked int) {
	w.t.Helper()
	w.feed(Barrier{Node: w.node(name).id, SentAt: w.now, At: w.now.Add(time.Millisecond), Acked: acked})
	w.now = w.now.Add(2 * time.Millisecond)
}

// beatAll is a barrier on every master, held by all its replicas that are up.
func (w *world) beatAll() {
	w.t.Helper()
	for _, n := range w.nodes {
		if n.up && n.line.Flags.Has(FlagMaster) {
			w.beat(n.name, len(n.answer(w).Replicas))
		}
	}
}

// wait lets time pass, with everybody asked and every master beaten each 100 ms.
func (w *world) wait(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.hearAll()
		w.beatAll()
		w.now = w.now.Add(100 * time.Millisecond)
	}
}

func (w *world) shard(s uint16) Shard {
	sh, _ := w.d.Owner(s)
	return sh
}

// want says who has to own some slots.
func (w *world) want(name string, slots slot.Set) {
	w.t.Helper()
	for s := range slots.All() {
		got := ""
		if sh, ok := w.d.Owner(s); ok {
			got = w.nameOf(sh.Master.ID)
		}
		if got != name {
			w.t.Fatalf("slot %d is %q's, want %q: %s", s, got, name, w.text())
		}
	}
}

func (w *world) wantSlot(name string, s uint16) {
	w.t.Helper()
	w.want(name, *slot.SetOf(slot.Range{First: s, Last: s}))
}

func (w *world) nameOf(id ID) string {
	for _, n := range w.nodes {
		if n.id == id {
			return n.name
		}
	}
	return id.String()
}

func (w *world) wantStage(s uint16, stage Stage, trouble Trouble) {
	w.t.Helper()
	if sh := w.shard(s); sh.Stage != stage || sh.Trouble != trouble {
		w.t.Fatalf("%s is %s (%s), want %s (%s)", w.nameOf(sh.Master.ID), sh.Stage, sh.Trouble, stage, trouble)
	}
}

func (w *world) allHealthy() bool {
	for _, sh := range w.d.Shards {
		if sh.Stage != Healthy {
			return false
		}
	}
	return len(w.d.Shards) > 0
}

func (w *world) text() string {
	var all []string
	for _, sh := range w.d.Shards {
		all = append(all, fmt.Sprintf("%d: %s epoch %d %s %s, %s", sh.Number, w.nameOf(sh.Master.ID), sh.Epoch, sh.Stage, sh.Trouble, sh.Slots))
	}
	return strings.Join(all, "; ")
}

func (w *world) finding(c Code) bool {
	return slices.ContainsFunc(w.d.Findings, func(f Finding) bool { return f.Code == c })
}
