package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// Node names a node: who it is, and where it was reached.
type Node struct {
	ID   ID
	Addr Addr
}

// Shard is what is decided of one.
type Shard struct {
	Number     uint32 // never used again for another
	Master     Node
	Generation uint64    // another one means: another master, the same after a restart, or one whose epoch rose
	Epoch      int64     // the config epoch under which it has its slots
	Slots      *slot.Set // not to be changed
	Stage      Stage
	Trouble    Trouble
	Since      time.Time // when the episode was opened; zero when Healthy
	Promotable []Node    // the replicas that have to hold a barrier for it to count
}

// Writes reports whether writes may be sent to the master.
func (s Shard) Writes() bool { return s.Stage <= Suspect }

// Change is a batch of slots that went from one shard to another in one
// observation. Number 0 is nobody: their owner says that it has them no more.
type Change struct {
	From, To uint32
	Slots    *slot.Set
}

// Promotion is a change of the master of a shard: its slots did not move.
type Promotion struct {
	Shard    uint32
	From, To ID
}

// Ask is a node to ask.
type Ask struct {
	Addr Addr
	Each time.Duration
}

// Decision is what follows from all observations so far.
type Decision struct {
	Shards   []Shard // those that own slots, by number
	Routes   uint64  // rises with each change of an owner, a master or a doubt
	Unowned  slot.Set
	Doubted  slot.Set // their owner has refused a command as not its own, and was not asked since
	Moving   slot.Set // some node gives them away or awaits them
	Asks     []Ask
	AskNow   []Addr // to be asked at once as well
	Findings []Finding

	NodeTimeout time.Duration // a shard without a confirmed barrier for half of it is suspect

	// What this observation changed. The shell carries changes out before it uses
	// Shards: what a shard owes of a slot goes with it.
	Changes   []Change
	Promoted  []Promotion
	Returned  []uint32 // shards whose slots may have gone away and come back: nothing of them is certain
	Finished  []Record // episodes that have ended
	Confirmed bool     // every slot has an owner, and every shard is healthy
}

// Owner is the shard that a slot's commands go to.
func (d Decision) Owner(s uint16) (Shard, bool) {
	for _, sh := range d.Shards {
		if sh.Slots.Has(s) {
			return sh, true
		}
	}
	return Shard{}, false
}

// changes are those of one observation.
type changes struct {
	was      map[uint16]*shard // who had a slot before
	promoted []Promotion
	returned []uint32
}

func (m *Machine) decision() Decision {
	d := Decision{
		Routes: m.routes, AskNow: m.askNow, Changes: m.moves(),
		Promoted: m.change.promoted, Returned: m.change.returned, Confirmed: len(m.shards) > 0,
	}
	d.Unowned, d.Moving = m.unowned(), m.moving.all()
	for _, sh := range m.shards {
		s := m.decided(sh)
		d.Confirmed = d.Confirmed && s.Stage == Healthy
		d.Shards = append(d.Shards, s)
	}
	for s := range m.doubt {
		d.Doubted.Add(s)
	}
	d.Confirmed = d.Confirmed && d.Unowned.Empty()
	d.Asks, d.Finished = m.asks(), m.history.finished
	d.Findings, d.NodeTimeout = m.findings(), m.nodeTimeout()
	return d
}

func (m *Machine) decided(sh *shard) Shard {
	if sh.shown == nil {
		slots := sh.slots
		sh.shown = &slots
	}
	s := Shard{
		Number: sh.number, Master: Node{sh.master.id, sh.master.reached}, Generation: sh.generation,
		Epoch: sh.epoch, Slots: sh.shown, Stage: sh.ep.stage(),
	}
	if sh.ep.open {
		s.Since, s.Trouble = sh.ep.at, cmp.Or(sh.ep.trouble, TroubleUnproven)
	}
	for _, n := range m.promotable(sh) {
		s.Promotable = append(s.Promotable, Node{n.id, cmp.Or(n.addr, n.reached)})
	}
	return s
}

func (e *episode) stage() Stage {
	switch {
	case !e.open:
		return Healthy
	case e.degraded:
		return Degraded
	case e.blocked:
		return Blocked
	}
	return Suspect
}

// moves are the batches of this observation, by shards.
func (m *Machine) moves() []Change {
	type way struct{ from, to *shard }
	sets := map[way]*slot.Set{}
	for s, from := range m.change.was {
		to := m.owner[s]
		if m.lost.Has(s) {
			to = nil
		}
		if from == to {
			continue
		}
		w := way{from, to}
		if sets[w] == nil {
			sets[w] = &slot.Set{}
		}
		sets[w].Add(s)
	}
	var all []Change
	for w, set := range sets {
		all = append(all, Change{From: w.from.name(), To: w.to.name(), Slots: set})
	}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return all
}

func (sh *shard) name() uint32 {
	if sh == nil {
		return 0
	}
	return sh.number
}
