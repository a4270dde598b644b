package sentinel

import "slices"

// evidence is why a node is taken for the master.
type evidence uint8

const (
	byFailover evidence = iota // (a) a failover is under way, and the node is of our line
	byMajority                 // (b) a majority, above our epoch
	byHandover                 // (c) our master itself follows it
	byHigher                   // one sentinel names it, above our epoch
	byAgreed                   // a majority, steadily, at an epoch not above ours
)

func (e evidence) confirms() bool { return e == byMajority || e == byAgreed }

// accept looks for a new master. ROLE alone is never enough: an old master that
// comes back says master too (13 ms after a restart, 250 ms before the real
// promotion), and so does one made by REPLICAOF NO ONE.
func (m *Machine) accept() {
	if !m.cur.addr.IsZero() {
		if n, how, epoch := m.candidate(); n != nil {
			m.adopt(n, how, epoch)
		}
	}
}

func (m *Machine) candidate() (*node, evidence, int64) {
	if n, epoch := m.confirmedNode(); n != nil {
		return n, byMajority, epoch
	}
	if n := m.handedOver(); n != nil {
		return n, byHandover, noEpoch
	}
	if n, epoch := m.promotedNode(); n != nil {
		return n, byFailover, epoch
	}
	if n, epoch := m.higherNode(); n != nil {
		return n, byHigher, epoch
	}
	if n, epoch := m.agreedNode(); n != nil {
		return n, byAgreed, epoch
	}
	return nil, 0, 0
}

// confirmedNode is rule (b). It asks for nothing but ROLE besides: after a long
// absence the master may be a node we have never heard of.
func (m *Machine) confirmedNode() (*node, int64) {
	addr, epoch, ok := m.majority()
	if !ok || !m.cur.verified || epoch <= m.base() || m.same(addr, m.cur.addr) {
		return nil, 0
	}
	if n := m.find(addr); n.says(RoleMaster) {
		return n, epoch
	}
	return nil, 0
}

// handedOver is rule (c): FAILOVER by hand. The sentinels name the old master
// for another 20 s and then fail over again. Who starts in that time has not seen
// the other as a replica, and takes the sentinels' lists for it.
func (m *Machine) handedOver() *node {
	old := m.find(m.cur.addr)
	if !old.says(RoleReplica) {
		return nil
	}
	n := m.find(old.master)
	if n == nil {
		return nil
	}
	n = m.announced(n)
	neverSeen := !m.cur.verified && n.listed && n.replicaAt.IsZero()
	if m.eligible(n) || neverSeen && n.says(RoleMaster) && !m.vetoed(n) {
		return n
	}
	return nil
}

// promotedNode is rule (a). Where two nodes fit and no leader has said which of
// them it meant, neither is taken.
func (m *Machine) promotedNode() (*node, int64) {
	var found *node
	var epoch int64
	for _, n := range m.nodes {
		t := m.promotedBy(n)
		if t == nil || m.announced(n) != n || !m.eligible(n) || !m.ofOurLine(n) {
			continue
		}
		if found != nil && t.selected.IsZero() {
			return nil, 0
		}
		found, epoch = n, t.epoch
	}
	return found, epoch
}

// higherNode: one sentinel names the node above our epoch. That is the leader,
// a second before the others hear of it, or all that can be reached.
func (m *Machine) higherNode() (*node, int64) {
	var best vote
	for _, v := range m.votes() {
		if v.epoch > max(m.epoch(), best.epoch) {
			best = v
		}
	}
	if best.by == nil {
		return nil, 0
	}
	if n := m.find(best.addr); n != nil && m.eligible(n) {
		return n, best.epoch
	}
	return nil, 0
}

// agreedNode is the way back when nothing else fits: a provisional master that
// the sentinels never took over, epochs set back, a set seen again after long.
// Not while a leader is at work on the master we have, or on any other, nor while the others
// may not have heard of what it did.
func (m *Machine) agreedNode() (*node, int64) {
	if !m.cur.verified || !m.agreedFor() || m.same(m.agree.addr, m.cur.addr) || m.spreading() {
		return nil, 0
	}
	for _, s := range m.sentinels {
		if s.try.live() {
			return nil, 0
		}
	}
	if n := m.find(m.agree.addr); n.says(RoleMaster) {
		return n, m.agree.epoch
	}
	return nil, 0
}

// spreading: a sentinel that can be reached names our master above the epoch of the majority,
// and the majority may not have heard of that yet.
func (m *Machine) spreading() bool {
	if m.cur.confirmed || m.now.Sub(m.cur.adopted) >= m.rules.SpreadFor {
		return false
	}
	return slices.ContainsFunc(m.votes(), func(v vote) bool { return m.same(v.addr, m.cur.addr) && v.epoch > m.agree.epoch })
}

// eligible holds what every provisional acceptance asks for.
func (m *Machine) eligible(n *node) bool {
	return n.says(RoleMaster) && !m.isOld(n) && m.wasReplica(n) && !m.vetoed(n)
}

// isOld: the master that is to be replaced, by address or run id. It may be back
// (restarted at +try-failover it says ROLE master, with our id in master_replid2,
// a failover under way) and is still not the new one.
func (m *Machine) isOld(n *node) bool { return m.same(n.addr, m.cur.addr) }

// wasReplica: it followed our master when the episode opened. A node that we
// never saw as anything but a master passes only if a leader has chosen it.
func (m *Machine) wasReplica(n *node) bool {
	return n.ours || n.replicaAt.IsZero() && !slices.Contains(m.former, n.addr) && m.selectedByLeader(n)
}

func (m *Machine) selectedByLeader(n *node) bool {
	for _, s := range m.sentinels {
		if s.try.live() && m.same(s.try.selected, n.addr) {
			return true
		}
	}
	return false
}

// vetoed: a leader that can be reached has selected another node. Not the one
// that made our master and is still busy with its replicas, for minutes maybe.
func (m *Machine) vetoed(n *node) bool {
	for _, s := range m.sentinels {
		t := s.try
		if t.live() && !t.selected.IsZero() && !m.same(t.selected, n.addr) && !m.madeMaster(t) {
			return true
		}
	}
	return false
}

// promotedBy finds the failover that can have made n a master: it has selected
// n, or it may have begun before n became one. A node that was a master before
// was made one by hand. A leader that is gone may have given the order first.
func (m *Machine) promotedBy(n *node) *try {
	for _, s := range m.sentinels {
		t := s.try
		if t == nil || t.settled && !m.same(t.selected, n.addr) {
			continue
		}
		ordered := t.live() || t.ended == endGone && m.now.Sub(t.endedAt) < m.rules.FencePromotion
		if ordered && m.same(t.selected, n.addr) {
			return t
		}
		if t.live() && t.selected.IsZero() && !n.masterSince.Before(t.notBefore) {
			return t
		}
	}
	return nil
}

// ofOurLine: the id before its own is one of our master's, or of the last
// confirmed one's: a promotion that was never announced leaves no trace in the
// next (two-in-a-row).
func (m *Machine) ofOurLine(n *node) bool {
	if n.replID2 == "" {
		return false
	}
	return slices.Contains(m.cur.ids, n.replID2) || !m.cur.confirmed && slices.Contains(m.confirmed.ids, n.replID2)
}
