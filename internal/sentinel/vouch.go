package sentinel

import (
	"slices"
	"time"
)

// A node is asked with our password, and the password goes to whoever listens
// there. So one sentinel's word is not enough to ask a node: it may lie, or
// remember what the others have forgotten. A node is known (Machine.nodes, the
// only ones that are asked) when
//
//   - a majority of the sentinels that have been heard names it, as the master or
//     as a replica, or
//   - a node that is known already names it, or
//   - the operator lists it (Allow), and a sentinel names it.
//
// What is not known is never asked, cannot be promoted, and is no alarm.

// Allow lists nodes that one sentinel's word is enough for. It is called before
// the first observation.
func (m *Machine) Allow(nodes ...Addr) { m.allowed = append(m.allowed, nodes...) }

// list takes a sentinel's word for a node. It is nil while the node is not known.
func (m *Machine) list(a Addr) *node {
	n := m.find(a)
	if n != nil && n.listed && n.backed {
		n.heardOf = m.now
		return n
	}
	by, majority := m.support(a)
	if n == nil && !by {
		return nil
	}
	if n = m.learn(a); n != nil && by {
		n.listed, n.backed = true, n.backed || majority
	}
	return n
}

// support reports whether the sentinels' word is enough for a, and whether it
// stays so whoever is heard later.
func (m *Machine) support(a Addr) (enough, lasting bool) {
	if a.IsZero() {
		return false, false
	}
	if slices.Contains(m.allowed, a) {
		return true, true
	}
	heard, named, asMaster := m.count(a)
	needed := m.needed()
	if named >= min(heard/2+1, needed) && heard >= needed {
		return true, true
	}
	// Fewer than a majority can be heard: then they may only say who the master is.
	return m.allAsked() && heard < needed && asMaster > heard/2, false
}

// count is how many sentinels have been heard, and how many of them name a at
// all and as the master. What one said last counts when it is silent: else one
// that is heard when the others hang would be a majority. One under two
// addresses counts once.
func (m *Machine) count(a Addr) (heard, named, asMaster int) {
	var all, naming, master []string
	for s := range m.heard {
		all = addOnce(all, s.identity())
		if s.view.namesMaster(a) {
			master = addOnce(master, s.identity())
		}
		if s.view.names(a) {
			naming = addOnce(naming, s.identity())
		}
	}
	return len(all), len(naming), len(master)
}

// heard are the sentinels on the watch list that have ever answered.
func (m *Machine) heard(yield func(*watched) bool) {
	for _, s := range m.sentinels {
		if !s.view.SentAt.IsZero() && (s.configured || slices.Contains(m.watching, s.addr)) && !yield(s) {
			return
		}
	}
}

// identity tells sentinels apart.
func (s *watched) identity() string {
	if s.id != "" {
		return s.id
	}
	return s.addr.String()
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func (p Poll) namesMaster(a Addr) bool { return a == p.Named || a == p.Master.Addr }

func (p Poll) names(a Addr) bool {
	return p.namesMaster(a) || slices.ContainsFunc(p.Replicas, func(r ReplicaView) bool { return r.Addr == a })
}

// word takes the word of a node that is known for another one. Our master's
// counts for good: it has all that we write.
func (m *Machine) word(of *node, a Addr) {
	if n := m.learn(a); n != nil {
		n.backed = n.backed || of.backed || m.cur.verified && of.addr == m.cur.addr
	}
}

// forget drops the nodes that fewer than a majority have named once the others
// are heard and name them not. What a majority has named stays: sentinels forget
// nodes that are down, one after the other.
func (m *Machine) forget() {
	m.nodes = slices.DeleteFunc(m.nodes, func(n *node) bool {
		if n.backed || n.addr == m.cur.addr || n.addr == m.confirmed.addr || slices.Contains(m.attached(), n.addr) {
			return false
		}
		enough, _ := m.support(n.addr)
		return !enough
	})
}

// allAsked: every configured sentinel was asked, or there was time enough.
func (m *Machine) allAsked() bool {
	if m.now.Sub(m.started) >= m.rules.StartGrace {
		return true
	}
	return !slices.ContainsFunc(m.sentinels, func(s *watched) bool { return s.configured && !s.asked })
}

// compare notes what a sentinel names alone, and since when it differs from the
// others.
func (m *Machine) compare(s *watched) {
	s.alone = s.alone[:0]
	for _, r := range s.view.Replicas {
		if m.find(r.Addr) == nil {
			s.alone = append(s.alone, r.Addr)
		}
	}
	addr, _, ok := m.majority()
	for _, a := range []Addr{s.view.Named, s.view.Master.Addr} {
		if m.find(a) == nil && !slices.Contains(s.alone, a) {
			s.alone = append(s.alone, a)
		}
	}
	other := ok && !m.same(s.view.Named, addr) && !m.same(s.view.Master.Addr, addr)
	switch {
	case len(s.alone) == 0 && !other:
		s.differsAt = time.Time{}
	case s.differsAt.IsZero():
		s.differsAt = m.now
	}
}
