package cluster

import (
	"slices"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// find looks for a Cluster while there is none, or when ours is gone. It is the
// one that the seeds lead to: most of those who own slots, by one node's list, say
// so themselves.
func (m *Machine) find() {
	gone := m.gone()
	if len(m.shards) > 0 && !gone {
		return
	}
	c := m.candidate(gone)
	if c == nil {
		return
	}
	if gone {
		m.replace()
	}
	for _, n := range c {
		m.found(n)
	}
}

// found makes a shard of a master by its own word, as far as nobody has the slots
// under a higher epoch.
func (m *Machine) found(n *node) {
	take := *n.says.Slots
	for old, slots := range m.byOwner(n.says.Slots) {
		if old != nil && slices.Contains(m.shards, old) && old.epoch >= n.says.Self.Epoch {
			take.RemoveSet(slots)
		}
	}
	if !take.Empty() {
		m.give(&take, m.shardFor(n, nil))
	}
}

// replace gives up what we knew: another Cluster is where ours was.
func (m *Machine) replace() {
	for _, sh := range m.shards {
		slots := sh.slots
		m.give(&slots, nil)
	}
	m.drop()
	for s := range m.owner {
		m.owner[s] = nil
	}
	m.top, m.election, m.replaced = 0, election{}, m.now
}

// awaited reports whether n may tell us of a Cluster that we do not know yet: it
// answered at a seed.
func (m *Machine) awaited(n *node) bool {
	if len(m.shards) > 0 && !m.gone() {
		return false
	}
	return slices.ContainsFunc(m.seeds, func(a Addr) bool { return m.atSeed[a] == n && m.quiet[a].times == 0 })
}

// gone reports whether our Cluster is no more where it was: none of its nodes
// answers, and at most of the masters' addresses other nodes do (CLUSTER RESET, new
// machines), or no master has answered for long.
func (m *Machine) gone() bool {
	usurped, silent := 0, 0
	if slices.ContainsFunc(m.nodes, func(n *node) bool { return n.answering() && m.ours(n) }) {
		return false
	}
	for _, sh := range m.shards {
		switch n := sh.master; {
		case n.usurped:
			usurped++
		case n.failing && m.now.Sub(n.seenAt) >= 2*m.nodeTimeout():
			silent++
		}
	}
	all := len(m.shards)
	return all > 0 && (usurped*2 > all || usurped+silent == all)
}

// candidate is the Cluster that the seeds lead to: those of its slots' owners that
// say so themselves. Most of the seeds have to agree; at the start those that
// answer suffice when all have been tried: one that has not answered yet may lead to
// another Cluster. In place of ours another is taken only when its
// owners have answered twice.
func (m *Machine) candidate(gone bool) []*node {
	voices := m.voices()
	m.conflict = disagree(m.witnesses(voices))
	if len(voices) == 0 || m.conflict {
		return nil
	}
	patient := !gone && m.patient()
	if len(voices)*2 <= len(m.seeds) && !patient {
		return nil
	}
	polls := 1
	if gone || patient {
		polls = 2
	}
	var best []*node
	for _, v := range voices {
		owners, all := m.ownersBy(v, polls)
		if len(owners)*2 <= all && !patient {
			continue
		}
		if len(owners) > len(best) {
			best = owners
		}
	}
	return best
}

// patient reports whether the start has waited long enough for most of the seeds.
func (m *Machine) patient() bool {
	waited := m.now.Sub(m.started)
	return waited >= m.rules.StartGrace && !slices.ContainsFunc(m.seeds, m.mayAnswer) || waited >= untriedGraces*m.rules.StartGrace
}

// untriedGraces is how many times StartGrace a seed is waited for that has neither
// answered nor failed to.
const untriedGraces = 10

// quiet is a seed that has not answered for some questions in a row.
type quiet struct {
	times int
	since time.Time
}

// fewTimes are silences that a busy machine explains.
const fewTimes = 5

// seedSaid follows who of the seeds answers.
func (m *Machine) seedSaid(v View) {
	if !v.Fault.silent() {
		m.tried[v.Node] = true
		delete(m.quiet, v.Node)
		return
	}
	q := m.quiet[v.Node]
	if q.times++; q.times == 1 {
		q.since = m.now
	}
	m.quiet[v.Node] = q
}

// mayAnswer: a seed of which nothing was heard yet, and that did not fail to answer
// for long. Where one lives that is slow, the others may be of another Cluster.
func (m *Machine) mayAnswer(seed Addr) bool {
	q := m.quiet[seed]
	return !m.tried[seed] && (q.times < fewTimes || m.now.Sub(q.since) < m.rules.StartGrace)
}

// witnesses are the voices, and at the start those who were one until a moment ago:
// that a node is slow settles no dispute.
func (m *Machine) witnesses(voices []*node) []*node {
	if len(m.shards) > 0 {
		return voices
	}
	all := slices.Clone(voices)
	for _, a := range m.seeds {
		q := m.quiet[a]
		if n := m.atSeed[a]; n != nil && q.times > 0 && m.now.Sub(q.since) < untriedGraces*m.rules.StartGrace && n.knowsSlots() {
			all = append(all, n)
		}
	}
	return all
}

func (n *node) knowsSlots() bool {
	return slices.ContainsFunc(n.says.Lines, func(l Line) bool { return len(l.Slots) > 0 })
}

// voices are the answers at the seeds, by seed, that know of slots.
func (m *Machine) voices() []*node {
	var all []*node
	for _, a := range m.seeds {
		n := m.atSeed[a]
		if n.answering() && m.quiet[a].times == 0 && n.knowsSlots() {
			all = append(all, n)
		}
	}
	return all
}

// disagree reports whether two of the seeds know no node in common.
func disagree(voices []*node) bool {
	for i, a := range voices {
		for _, b := range voices[:i] {
			if !slices.ContainsFunc(a.says.Lines, func(l Line) bool { return find(b.says.Lines, l.ID) != nil }) {
				return true
			}
		}
	}
	return false
}

// ownersBy are the owners of slots by one node's list that say so themselves, and
// how many there are in the list.
func (m *Machine) ownersBy(v *node, polls int) (owners []*node, all int) {
	for i := range v.says.Lines {
		l := &v.says.Lines[i]
		if len(l.Slots) == 0 {
			continue
		}
		all++
		n := m.byID[l.ID]
		if n.master() && n.answers >= polls && slices.ContainsFunc(n.says.Self.Slots, func(r slot.Range) bool {
			return slices.ContainsFunc(l.Slots, func(o slot.Range) bool { return r.First <= o.Last && o.First <= r.Last })
		}) {
			owners = append(owners, n)
		}
	}
	return owners, all
}
