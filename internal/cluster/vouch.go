package cluster

import (
	"slices"

	"github.com/evercache/evercache/internal/slot"
)

// survey is what our Cluster's nodes say of each other, made again when that
// changes.
type survey struct {
	ours      map[ID]bool  // listed by a master of ours, in its last answer at least
	masters   int          // of ours, that answer
	failedBy  map[ID]int   // how many of these hold a node failed
	accused   map[ID]Flags // FlagSuspected, FlagFailed: somebody says so
	replicas  map[ID][]ID  // of a master, by anybody's word; those that may be promoted
	dissenter ID           // a master of ours that names another owner of a slot; zero: none
}

// isListed: a line of somebody who shakes hands, or whose address was lost, is no
// membership.
func isListed(l *Line) bool { return l != nil && l.Flags&(FlagHandshake|FlagNoAddr) == 0 }

// lists reports whether r, in its last answer, lists n. A node with a lower epoch
// than it is known to have had was put back from a backup.
func (r *node) lists(n *node) bool {
	l := find(r.says.Lines, n.id)
	return isListed(l) && l.Epoch <= n.says.Self.Epoch
}

// vouched reports whether a claimant is of our Cluster: the node that has had the
// slot, silent or not, lists it, or most of our masters that answer do.
func (m *Machine) vouched(n *node, old *shard) bool {
	if old != nil && (old.master == n || old.master.lists(n)) {
		return true
	}
	yes, all := 0, 0
	for _, sh := range m.shards {
		if r := sh.master; r.master() {
			all++
			if r == n || r.lists(n) {
				yes++
			}
		}
	}
	return yes*2 > all
}

// ours reports whether a master of ours, or n itself as one, knows n.
func (m *Machine) ours(n *node) bool { return n.shard != nil || m.survey().ours[n.id] }

func (m *Machine) survey() *survey {
	if m.seen != nil {
		return m.seen
	}
	s := &survey{ours: map[ID]bool{}, failedBy: map[ID]int{}, accused: map[ID]Flags{}, replicas: map[ID][]ID{}}
	m.seen = s
	read := map[*Line]bool{}
	for _, sh := range m.shards {
		s.ours[sh.master.id] = true
		m.census(s, sh.master, read)
	}
	clear(read)
	for _, n := range m.nodes {
		if s.ours[n.id] && n.answering() && !s.failed(n.id) {
			m.hear(s, n, read)
		}
	}
	return s
}

// failed reports whether most of our masters hold a node failed.
func (s *survey) failed(id ID) bool { return s.failedBy[id]*2 > s.masters }

// census takes the word of a master of ours: who is of the Cluster, who has failed.
// A list that was read already is skipped where it tells nothing more.
func (m *Machine) census(s *survey, r *node, read map[*Line]bool) {
	votes := r.master()
	if votes {
		s.masters++
	}
	if len(r.says.Lines) == 0 {
		return
	}
	first := &r.says.Lines[0]
	for i := range r.says.Lines {
		l := &r.says.Lines[i]
		if votes && l.Flags.Has(FlagFailed) {
			s.failedBy[l.ID]++
		}
		if !read[first] && isListed(l) {
			s.ours[l.ID] = true
		}
		if votes && !read[first] && s.dissenter.IsZero() && m.differs(l) {
			s.dissenter = r.id
		}
	}
	read[first] = true
}

// differs reports whether a line gives a slot to another than who owns it here.
func (m *Machine) differs(l *Line) bool {
	for _, r := range l.Slots {
		for s := int(r.First); s <= int(r.Last); s++ {
			if sh := m.owner[s]; sh != nil && (m.lost.Has(uint16(s)) || sh.master.id != l.ID) {
				return true
			}
		}
	}
	return false
}

// hear takes the word of any node of ours: whom it accuses, and who follows whom.
// What a node says of itself is not an accusation.
func (m *Machine) hear(s *survey, r *node, read map[*Line]bool) {
	if len(r.says.Lines) == 0 {
		return
	}
	first := &r.says.Lines[0]
	if read[first] {
		return
	}
	read[first] = true
	for i := range r.says.Lines {
		l := &r.says.Lines[i]
		if l.ID != r.id {
			s.accused[l.ID] |= l.Flags & (FlagSuspected | FlagFailed)
		}
		if l.Flags.Has(FlagReplica) && isListed(l) && !l.Flags.Has(FlagNoFailover) {
			s.follow(l.Master, l.ID)
		}
	}
}

func (s *survey) follow(master, replica ID) {
	if slices.Contains(s.replicas[master], replica) {
		return
	}
	s.replicas[master] = append(s.replicas[master], replica)
}

// named are the slots that at least two other masters of ours give to n. They were
// asked after the owner was heard last.
func (m *Machine) named(n *node, old *shard) *slot.Set {
	var once, twice slot.Set
	for _, sh := range m.shards {
		r := sh.master
		if r == n || sh == old || !r.master() || r.sentAt.Before(old.master.seenAt) {
			continue
		}
		l := find(r.says.Lines, n.id)
		if l == nil || !l.Flags.Has(FlagMaster) {
			continue
		}
		said := slot.SetOf(l.Slots...)
		both := once
		both.Keep(said)
		twice.AddSet(&both)
		once.AddSet(said)
	}
	return &twice
}
