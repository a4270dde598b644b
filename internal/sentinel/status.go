package sentinel

import (
	"slices"
	"time"
)

// Status is what health and doctor want to know of the set. It is a copy.
type Status struct {
	Known, Reachable, Needed int           // sentinels: all there are, those that answer, a majority
	Monitoring               int           // those that answer and watch a master of our name
	Agreeing                 int           // those that name our master
	Quorum                   int           // the largest that one of them is configured with
	HoldDown                 int           // those that hold our master down
	DownAfter                time.Duration // after which they do: the longest; 0: not known
	Failovers, Alarms        int           // since the start
	Rejected                 uint64
	Sentinels                []SentinelStatus
	Nodes                    []NodeStatus
}

// CanFailOver reports whether a majority of the sentinels can be reached and watches
// our master: with fewer nobody is elected, and a dead master stays dead.
func (s Status) CanFailOver() bool { return s.Monitoring >= s.Needed && s.Monitoring >= s.Quorum }

// SentinelStatus is one sentinel.
type SentinelStatus struct {
	Addr       Addr
	Configured bool
	Subscribed bool
	Reachable  bool // it answers
	Monitoring bool // and knows a master of our name
	SeenAt     time.Time
	Named      Addr
	Epoch      int64
	Stale      bool // it names another master than ours, at no higher epoch
	Tilt       bool
	Rejected   uint64   // what it said that made no sense
	Differs    bool     // for differsFor or longer it has named others than the others
	Alone      []Addr   // nodes that it alone names; they are not asked
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

	// Of a replica of our master, by the master's last word: the state of its
	// link, "" while it has none, how much it has yet to acknowledge, and for how
	// long it has acknowledged nothing. It was asked at most a second ago, and a
	// replica acknowledges once a second or for a barrier: what was written since
	// counts as lag.
	Link     string
	LagBytes int64
	Lag      time.Duration
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
		}
		if e.Monitoring {
			st.Monitoring++
			st.Quorum = max(st.Quorum, s.view.Master.Quorum)
			st.DownAfter = max(st.DownAfter, s.view.Master.DownAfter)
			if s.sdown {
				st.HoldDown++
			}
		}
		if e.Monitoring && m.same(e.Named, m.cur.addr) {
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
		m.measureLag(&e)
		st.Nodes = append(st.Nodes, e)
	}
	return st
}

// measureLag fills in what our master says of a replica, while it answers.
func (m *Machine) measureLag(e *NodeStatus) {
	master := m.find(m.cur.addr)
	if e.Role != RoleReplica || !master.says(RoleMaster) {
		return
	}
	for _, a := range master.attached {
		if m.same(a.Addr, e.Addr) {
			e.Link, e.LagBytes, e.Lag = a.State, max(0, master.offset-a.Offset), a.Lag
			return
		}
	}
}

// differsFor is longer than the sentinels need to tell each other of a failover:
// two seconds.
const differsFor = 3 * time.Second

func (m *Machine) sentinelStatus(s *watched) SentinelStatus {
	e := SentinelStatus{
		Addr: s.addr, Configured: s.configured, Subscribed: s.link, Reachable: s.ok || s.foreign, Monitoring: s.ok,
		SeenAt: s.seenAt, Named: s.view.Named, Epoch: s.view.Master.Epoch, Tilt: s.tilt, Rejected: s.rejected,
	}
	if v, ok := voteOf(s); ok && m.cur.verified {
		e.Stale = !m.same(v.addr, m.cur.addr) && v.epoch <= m.epoch()
	}
	if s.try.live() {
		e.Failover = s.try.progress
	}
	if s.ok && !s.differsAt.IsZero() && m.now.Sub(s.differsAt) >= differsFor {
		e.Differs, e.Alone = true, slices.Clone(s.alone)
	}
	return e
}
