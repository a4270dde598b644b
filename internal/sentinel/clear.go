package sentinel

import (
	"slices"
	"time"
)

// prove takes a barrier that our master answered in time. Only one sent after
// the last alarm proves anything: in the 200 ms between +try-failover and the
// promotion every replica still acknowledges (kill-second-failover). And all
// promotable replicas must have it: after a planned failover the other one goes
// on acknowledging the demoted master for a second.
func (m *Machine) prove(b Barrier) {
	if m.ep.open && m.ep.proof.SentAt.IsZero() && !b.SentAt.Before(m.ep.lastAlarm) && m.heldByAll(b) {
		m.ep.proof = b
	}
}

// heldByAll reports whether every promotable replica has the barrier. Where only
// the number is known, the others that are attached may have been counted too.
func (m *Machine) heldByAll(b Barrier) bool {
	promotable := m.promotable()
	if b.By == nil {
		return b.Acked >= len(m.union(promotable, m.attached()))
	}
	for _, p := range promotable {
		if !slices.ContainsFunc(b.By, func(a Addr) bool { return m.same(a, p) }) {
			return false
		}
	}
	return true
}

// promotable are the replicas that Sentinel may make the master: those on its
// list and those attached to the master (first-replica: the list is 6 s late),
// but not with priority 0, and not those that a majority holds down.
func (m *Machine) promotable() []Addr {
	return slices.DeleteFunc(m.union(m.listed(), m.attached()), m.unpromotable)
}

// attached are the replicas in our master's INFO.
func (m *Machine) attached() []Addr {
	if n := m.find(m.cur.addr); n.says(RoleMaster) {
		return n.replicas
	}
	return nil
}

// listed are the known nodes on the lists of the sentinels that can be reached,
// or of all of them as they last were when none can. A master that they still name
// while we have another is one that they may come back to.
func (m *Machine) listed() []Addr {
	var list []Addr
	none := m.unheard()
	for _, s := range m.sentinels {
		if s.view.SentAt.IsZero() || !s.ok && !none {
			continue
		}
		list = append(list, s.view.Master.Addr)
		for _, r := range s.view.Replicas {
			list = append(list, r.Addr)
		}
	}
	return slices.DeleteFunc(list, func(a Addr) bool { return m.find(a) == nil })
}

func (m *Machine) unheard() bool {
	for range m.reachable {
		return false
	}
	return true
}

// union joins lists of nodes, each node once, without our master.
func (m *Machine) union(lists ...[]Addr) []Addr {
	var all []Addr
	for _, a := range slices.Concat(lists...) {
		known := func(b Addr) bool { return m.same(a, b) }
		if !known(m.cur.addr) && !slices.ContainsFunc(all, known) {
			all = append(all, a)
		}
	}
	return all
}

// unpromotable: every list that has it says priority 0, or a majority of the
// sentinels holds it down.
func (m *Machine) unpromotable(a Addr) bool {
	down, entries, zero := 0, 0, 0
	for s := range m.reachable {
		if m.same(s.view.Master.Addr, a) && s.view.Master.Flags.Has(FlagSDown) {
			down++
		}
		for _, r := range s.view.Replicas {
			if !m.same(r.Addr, a) {
				continue
			}
			entries++
			if r.Priority == 0 {
				zero++
			}
			if r.Flags.Has(FlagSDown) {
				down++
			}
			break
		}
	}
	return down >= m.needed() || entries > 0 && zero == entries
}

// clear ends the episode, on proof only: a barrier sent after the last alarm is
// on all promotable replicas; every sentinel that can be reached, asked after
// that, shows no failover; and every failover that was heard of has ended.
//
// The end of a failover is an alarm itself: -failover-abort-slave-timeout comes
// after a promotion (two-in-a-row), and the node that was chosen has to hold a
// barrier that is newer than it, unless a majority holds that node down.
func (m *Machine) clear() {
	if !m.ep.open || m.ep.proof.SentAt.IsZero() || !m.cur.confirmed || !m.answering() || m.dissent() {
		return
	}
	if !m.heldByAll(m.ep.proof) {
		m.ep.proof = Barrier{} // a replica more than when it was sent
		return
	}
	if !m.polledSince(m.ep.proof.SentAt) {
		return
	}
	for _, s := range m.sentinels {
		if s.try.live() && !m.madeMaster(s.try) {
			return
		}
	}
	m.allClear()
}

// dissent: a sentinel names another above our epoch. One that a steady majority
// does not follow is wrong, or cut off from the others.
func (m *Machine) dissent() bool {
	return m.namedHigher() && !(m.agreedFor() && m.same(m.agree.addr, m.cur.addr))
}

func (m *Machine) allClear() {
	e := m.ep
	e.unfence(m.now)
	m.ep = episode{}
	if e.tail || e.start {
		return
	}
	cause := CauseAlarm
	if e.restarted {
		cause = CauseRestart
	}
	if e.reset {
		cause = CauseReset
	}
	id := m.history.add(Record{
		Cause: cause, From: m.cur.addr, To: m.cur.addr,
		Opened: e.at, SDown: e.sdown, ODown: e.odown, Fenced: e.held,
	})
	m.history.finish(id, m.now)
}

// fencedFor is how long no write has been sent in this episode.
func (e *episode) fencedFor(at time.Time) time.Duration {
	if e.fenced {
		return e.held + at.Sub(e.fencedAt)
	}
	return e.held
}
