package cluster

import (
	"maps"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// Machine holds what was observed and what follows from it. It has one owner, is
// the same for the same observations, and keeps a bounded amount: of each node its
// last answer. Nodes that say the same share it.
type Machine struct {
	rules Rules
	seeds []Addr

	now     time.Time // of the last observation
	started time.Time

	nodes  []*node // in the order in which they were heard of
	byID   map[ID]*node
	atSeed map[Addr]*node // who answered there last
	tried  map[Addr]bool  // seeds that have answered
	quiet  map[Addr]quiet // seeds that do not answer
	lines  []Line         // the last new list of nodes, shared by all who say the same

	shards []*shard // those that own slots, by number
	last   uint32   // number given to a shard
	owner  [slot.Count]*shard
	lost   slot.Set // slots whose owner says that it has them no more
	doubt  map[uint16]time.Time
	moving spells // slots that some node gives away or awaits
	orphan spells // slots that nobody owns

	noted map[noted]time.Time

	timeout time.Duration // the node timeout
	rivals  []*node       // masters that claim slots and own none

	top      int64     // the highest config epoch
	election election  // the last one seen
	promoted time.Time // when a replica became the master of a shard last
	replaced time.Time // when another Cluster was found in place of ours
	conflict bool      // the seeds lead to several

	seen  *survey // nil: to be made
	again bool    // claims are to be looked at again

	routes uint64 // rises when an owner, a master or a doubt changes
	change changes
	timed  uint64 // the routes of which orphan tells
	askNow []Addr

	history archive
}

// election is a rise of the current epoch above every config epoch: a replica
// somewhere asks for votes.
type election struct {
	epoch int64
	at    time.Time
}

// New returns a machine that finds its Cluster at the seeds.
func New(seeds []Addr, r Rules) *Machine {
	m := &Machine{
		rules: r.withDefaults(), byID: map[ID]*node{}, atSeed: map[Addr]*node{}, tried: map[Addr]bool{}, quiet: map[Addr]quiet{},
		doubt: map[uint16]time.Time{}, routes: 1,
	}
	m.SetSeeds(seeds)
	return m
}

// SetSeeds has the Cluster looked for at other addresses: a name leads elsewhere now.
// One that has been found stays.
func (m *Machine) SetSeeds(seeds []Addr) {
	m.seeds = nil
	for _, a := range seeds {
		if !a.IsZero() && len(m.seeds) < maxSeeds && !slices.Contains(m.seeds, a) {
			m.seeds = append(m.seeds, a)
		}
	}
	other := func(a Addr) bool { return !slices.Contains(m.seeds, a) }
	maps.DeleteFunc(m.atSeed, func(a Addr, _ *node) bool { return other(a) })
	maps.DeleteFunc(m.tried, func(a Addr, _ bool) bool { return other(a) })
	maps.DeleteFunc(m.quiet, func(a Addr, _ quiet) bool { return other(a) })
}

// Observe takes one observation and says what follows. An answer that was asked
// for before the last one of the same node changes nothing.
func (m *Machine) Observe(o Observation) Decision {
	if at := o.seenAt(); at.After(m.now) {
		m.now = at
	}
	if m.started.IsZero() {
		m.started = m.now
	}
	m.askNow, m.history.finished = nil, nil
	m.change = changes{was: map[uint16]*shard{}}
	switch o := o.(type) {
	case View:
		m.view(o)
	case Barrier:
		m.barrier(o)
	case ConnLost:
		if n := m.byID[o.Node]; n != nil {
			n.broke(o.At)
			m.seen = nil
		}
	case Refused:
		m.refused(o)
	}
	m.forget()
	m.conclude()
	return m.decision()
}

// conclude draws the conclusions, in the order in which they rest on each other.
func (m *Machine) conclude() {
	m.find()
	for range maxPasses {
		if !m.again {
			break
		}
		m.again = false
		m.claims()
	}
	m.drop()
	m.times()
	m.timeout, m.rivals = m.longestTimeout(), m.rivals[:0]
	for _, n := range m.nodes {
		if n.unmet && n.shard == nil && n.master() {
			m.rivals = append(m.rivals, n)
		}
	}
	for _, sh := range m.shards {
		m.judge(sh)
		m.chronicles(sh)
	}
}
