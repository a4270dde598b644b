package cluster

import (
	"slices"
	"time"
)

// Code is what a finding is about. What it says to people is worded elsewhere.
type Code uint8

// The findings.
const (
	CodeUnowned     Code = iota // Slots have no owner
	CodeMoving                  // Slots have been moving for long: a reshard was interrupted
	CodeDown                    // Node takes no commands: cluster_state is fail
	CodeNoReplica               // Shard has no replica that could be promoted
	CodeDisagree                // Node names another owner of a slot
	CodeStranger                // at the address of Node another node answers, of no Cluster of ours
	CodeTwoClusters             // the seeds lead to several Clusters
	CodeReplaced                // another Cluster is where ours was, and was taken for it
	CodeRival                   // Node claims slots under a higher epoch, and nobody vouches for it
)

func (c Code) String() string {
	return [...]string{
		"slot-unowned", "slot-moving", "down", "no-replica", "nodes-disagree", "stranger", "two-clusters", "replaced", "rival",
	}[c]
}

// Finding is something that an operator should know.
type Finding struct {
	Code  Code
	Shard uint32 // 0: none in particular
	Node  Node
	Slots int    // how many
	First uint16 // the lowest of them
	Since time.Time
}

// noted is something about a node that is told when it has been so for a while: in
// every failover some of it is so for a second.
type noted struct {
	code Code
	id   ID
}

// findings are those of this moment, 64 at most.
func (m *Machine) findings() []Finding {
	var all []Finding
	if m.conflict || len(m.shards) > 0 && m.strangeSeed() {
		all = append(all, Finding{Code: CodeTwoClusters})
	}
	if !m.replaced.IsZero() {
		all = append(all, Finding{Code: CodeReplaced, Since: m.replaced})
	}
	if len(m.shards) > 0 {
		all = m.note(all, CodeUnowned, m.orphan)
	}
	all = m.note(all, CodeMoving, m.moving)
	since := map[noted]time.Time{}
	for _, n := range m.nodes {
		for _, c := range m.about(n) {
			key := noted{c, n.id}
			at, before := m.noted[key]
			if !before {
				at = m.now
			}
			since[key] = at
			if m.now.Sub(at) >= m.rules.NoteAfter {
				all = append(all, Finding{Code: c, Shard: n.shard.name(), Node: Node{n.id, n.reached}, Since: at})
			}
		}
	}
	m.noted = since
	return all[:min(len(all), maxFindings)]
}

// note tells of the slots for which something has been so for long.
func (m *Machine) note(all []Finding, code Code, s spells) []Finding {
	slots, since := s.before(m.now.Add(-m.rules.NoteAfter))
	for first := range slots.All() {
		return append(all, Finding{Code: code, Slots: slots.Len(), First: first, Since: since})
	}
	return all
}

// about is what there is to tell of one node.
func (m *Machine) about(n *node) (codes []Code) {
	ours := m.ours(n)
	if n.usurped && ours && m.strangerAt(n.reached) {
		codes = append(codes, CodeStranger)
	}
	if n.answering() && ours && !n.says.OK {
		codes = append(codes, CodeDown)
	}
	if n.shard != nil && len(m.promotable(n.shard)) == 0 {
		codes = append(codes, CodeNoReplica)
	}
	if m.survey().dissenter == n.id {
		codes = append(codes, CodeDisagree)
	}
	if len(m.shards) > 0 && n.unmet && n.master() && m.outranks(n) {
		codes = append(codes, CodeRival)
	}
	return codes
}

// strangerAt reports whether the node that answers at an address is not of ours.
func (m *Machine) strangerAt(a Addr) bool {
	return slices.ContainsFunc(m.nodes, func(n *node) bool { return n.reached == a && n.answering() && !m.ours(n) })
}

// outranks reports whether a node claims slots under a higher epoch than their owners'.
func (m *Machine) outranks(n *node) bool {
	for sh := range m.byOwner(n.says.Slots) {
		if sh == nil || n.says.Self.Epoch > sh.epoch {
			return true
		}
	}
	return false
}

// strangeSeed: a seed leads to a node with slots around it that are of no Cluster
// of ours.
func (m *Machine) strangeSeed() bool {
	return slices.ContainsFunc(m.voices(), func(v *node) bool {
		return !m.ours(v) && !slices.ContainsFunc(v.says.Lines, func(l Line) bool { return m.survey().ours[l.ID] })
	})
}
