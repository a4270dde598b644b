package sentinel

import (
	"slices"
	"time"
)

// node is what we know of one data node.
type node struct {
	addr    Addr
	heardOf time.Time // last time anyone named it
	listed  bool      // by the sentinels, under this address
	backed  bool      // known for good: see vouch.go

	role     Role // what it said last
	runID    string
	replID   string
	replID2  string
	master   Addr // whom it follows, or followed before it became a master
	replicas []Addr
	offset   int64      // of a master
	attached []Attached // the same, as it said how far they are

	sentAt      time.Time // of the last answer
	seenAt      time.Time // when that answer came
	failing     bool      // the last question brought none
	loading     bool      // but that it reads its data
	masterSince time.Time // first answer as a master after one as a replica, or the first ever
	replicaAt   time.Time // last answer as a replica

	// ours: when last seen as a replica it followed our master, directly or
	// through another replica, and it has not been left behind as a master since.
	// An abandoned master keeps an id of ours in master_replid2 for ever
	// (leader-crash, failover-to); without this a client swings between two.
	ours bool
}

func (n *node) says(r Role) bool { return n != nil && n.role == r && !n.failing }

func (m *Machine) find(a Addr) *node {
	for _, n := range m.nodes {
		if n.addr == a {
			return n
		}
	}
	return nil
}

// learn adds a node that someone named, making room by forgetting the one not
// heard of for longest.
func (m *Machine) learn(a Addr) *node {
	if a.IsZero() {
		return nil
	}
	if n := m.find(a); n != nil {
		n.heardOf = m.now
		return n
	}
	n := &node{addr: a, heardOf: m.now}
	if len(m.nodes) < maxNodes {
		m.nodes = append(m.nodes, n)
		return n
	}
	old := -1
	for i, x := range m.nodes {
		keep := x.addr == m.cur.addr || x.addr == m.confirmed.addr
		if !keep && (old < 0 || x.heardOf.Before(m.nodes[old].heardOf)) {
			old = i
		}
	}
	m.nodes[old] = n
	return n
}

// same reports whether two addresses reach one process: a host name and an IP
// address of the same node have the same run id. Never a master and a replica,
// whatever their ids.
func (m *Machine) same(a, b Addr) bool {
	if a == b {
		return !a.IsZero()
	}
	x, y := m.find(a), m.find(b)
	return x != nil && y != nil && x.runID != "" && x.runID == y.runID && x.role == y.role
}

// announced is the node under the address that the sentinels use. With host
// names announced, the nodes still name each other by IP address.
func (m *Machine) announced(n *node) *node {
	if n.listed || n.runID == "" {
		return n
	}
	for _, x := range m.nodes {
		if x.listed && x.runID == n.runID {
			return x
		}
	}
	return n
}

// isTwin reports whether n is our master under another address, whatever either
// has said last.
func (m *Machine) isTwin(n *node) bool { return n.runID != "" && n.runID == m.cur.runID }

// probe takes what a node says of itself.
func (m *Machine) probe(p Probe) {
	n := m.find(p.Node)
	if n == nil || p.SentAt.Before(n.sentAt) || p.Fault == FaultMalformed {
		return
	}
	if p.Fault != FaultNone {
		m.probeFailed(n, p)
		return
	}
	was := *n
	n.failing, n.loading, n.sentAt, n.seenAt, n.heardOf = false, false, p.SentAt, p.At, p.At
	n.learnIdentity(p)
	switch p.Says.Role {
	case RoleReplica:
		n.replicaAt, n.master = p.At, p.Says.Master
		m.word(n, n.master)
		m.judgeFollowing(n, p.Says.LinkUp)
	case RoleMaster:
		n.replicas = p.Says.Replicas[:min(len(p.Says.Replicas), MaxListed)]
		n.offset, n.attached = p.Says.Offset, p.Says.Attached[:min(len(p.Says.Attached), MaxListed)]
		for _, r := range n.replicas {
			m.word(n, r)
		}
	}
	switch {
	case n.addr == m.cur.addr:
		m.masterAnswered(n, was)
	case n.role == RoleMaster && was.role == RoleReplica && n.ours && m.cur.verified && !m.isTwin(n):
		m.alarm(strong, p.At) // a replica of our master says master
	}
}

func (m *Machine) probeFailed(n *node, p Probe) {
	if !p.Fault.silent() {
		return // an error reply is an answer of a live node that tells nothing
	}
	if n.addr == m.cur.addr && p.Fault == FaultClosed && m.promotedAgain() {
		return
	}
	n.failing, n.loading = true, p.Fault == FaultLoading
	if n.addr == m.cur.addr {
		m.masterSilent(p.At)
	}
}

// learnIdentity takes role, run id and replication ids.
func (n *node) learnIdentity(p Probe) {
	restarted := p.Says.RunID != "" && n.runID != "" && p.Says.RunID != n.runID
	if restarted && p.Says.Role == RoleMaster {
		n.ours = false // a promotion does not restart a node
	}
	if p.Says.Role == RoleMaster && (n.role != RoleMaster || restarted) {
		n.masterSince = p.At
	}
	if p.Says.RunID != "" {
		n.runID = p.Says.RunID
	}
	n.role, n.replID, n.replID2 = p.Says.Role, p.Says.ReplID, p.Says.ReplID2
}

// judgeFollowing notes whether a replica is one of our master's, and what
// replication id it says that master has: a master that we never reached is
// known by its replicas' word.
func (m *Machine) judgeFollowing(n *node, linkUp bool) {
	switch m.chain(n.master) {
	case chainOurs:
		n.ours = true
	case chainStrange:
		n.ours = false
	}
	if m.same(n.master, m.cur.addr) && (linkUp || !m.cur.verified) {
		m.cur.addID(n.replID)
	}
}

type chainEnd uint8

const (
	chainStrange chainEnd = iota // ends at a node that is none of ours
	chainOld                     // ends at a master we have left
	chainOurs
)

// chain follows "replica of" from a on. failover-to: n3 followed n1, which
// followed the master n2, and was the one promoted. A replica that has not been
// told yet that its master was replaced stays what it was (chainOld).
func (m *Machine) chain(a Addr) chainEnd {
	for range maxChain {
		if m.same(a, m.cur.addr) || !m.cur.confirmed && m.same(a, m.confirmed.addr) {
			return chainOurs
		}
		n := m.find(a)
		if n == nil {
			return chainStrange
		}
		if n.role != RoleReplica {
			break
		}
		a = n.master
	}
	if slices.Contains(m.former, a) {
		return chainOld
	}
	return chainStrange
}
