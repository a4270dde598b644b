package sentinel

import "time"

// Status is what health and doctor want to know of the set. It is a copy.
type Status struct {
	Known, Reachable, Needed int // sentinels: all there are, those that answer, a majority
	Agreeing                 int // those that name our master
	Quorum                   int // the largest that one of them is configured with
	Failovers, Alarms        int // since the start
	Rejected                 uint64
	Sentinels                []SentinelStatus
	Nodes                    []NodeStatus
}

// CanFailOver reports whether a majority of the sentinels can be reached: with
// fewer nobody is elected, and a dead master stays dead.
func (s Status) CanFailOver() bool { return s.Reachable >= s.Needed && s.Reachable >= s.Quorum }

// SentinelStatus is one sentinel.
type SentinelStatus struct {
	Addr       Addr
	Configured bool
	Subscribed bool
	Reachable  bool
	SeenAt     time.Time
	Named      Addr
	Epoch      int64
	Stale      bool // it names another master than ours, at no higher epoch
	Tilt       bool
	Failover   Progress // of the failover it leads or wants to lead
}

// NodeStatus is one data node.
type NodeStatus struct {
	Addr       Addr
	Role       Role
	Reachable  bool
	Follows    Addr
	SeenAt     time.Time
	Promotable bool
}

// Status describes the set as it was last seen.
func (m *Machine) Status() Status {
	st := Status{
		Known: m.known(), Needed: m.needed(), Failovers: m.history.failovers, Alarms: m.history.alarms,
		Rejected: m.rejected,
	}
	for _, s := range m.sentinels {
		e := m.sentinelStatus(s)
		if e.Reachable {
			st.Reachable++
			st.Quorum = max(st.Quorum, s.view.Master.Quorum)
		}
		if e.Reachable && m.same(e.Named, m.cur.addr) {
			st.Agreeing++
		}
		st.Sentinels = append(st.Sentinels, e)
	}
	promotable := m.promotable()
	for _, n := range m.nodes {
		e := NodeStatus{Addr: n.addr, Role: n.role, Reachable: !n.failing && !n.seenAt.IsZero(), SeenAt: n.seenAt}
		if n.role == RoleReplica {
			e.Follows = n.master
		}
		for _, p := range promotable {
			e.Promotable = e.Promotable || m.same(p, n.addr)
		}
		st.Nodes = append(st.Nodes, e)
	}
	return st
}

func (m *Machine) sentinelStatus(s *watched) SentinelStatus {
	e := SentinelStatus{
		Addr: s.addr, Configured: s.configured, Subscribed: s.link, Reachable: s.ok,
		SeenAt: s.seenAt, Named: s.view.Named, Epoch: s.view.Master.Epoch, Tilt: s.tilt,
	}
	if v, ok := voteOf(s); ok && m.cur.verified {
		e.Stale = !m.same(v.addr, m.cur.addr) && v.epoch <= m.epoch()
	}
	if s.try.live() {
		e.Failover = s.try.progress
	}
	return e
}
