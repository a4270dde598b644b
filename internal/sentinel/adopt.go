package sentinel

import (
	"slices"
	"time"
)

// adopt makes n the master. What was known of the old one is kept as far as the
// next decision needs it; everything else begins anew.
func (m *Machine) adopt(n *node, how evidence, epoch int64) {
	m.history.finish(m.changing, m.now)
	m.changing = m.history.add(m.changeRecord(n, how, epoch))
	if m.cur.confirmed {
		m.confirmed = m.cur
	}
	m.leave(m.cur.addr, n)
	m.cur = incumbent{
		addr: n.addr, runID: n.runID, idThen: n.replID, epoch: epoch, base: noEpoch,
		verified: true, adopted: m.now, backAt: m.now,
	}
	m.cur.addID(n.replID)
	m.generation++
	m.agree = agreement{epoch: noEpoch}
	m.ep = episode{open: true, at: m.now, burst: m.now, tail: true}
	m.ep.alarmed(m.now)
	m.bindTry(n, how)
	m.settleTries()
	m.recheckHigher()
	for range m.threat {
		m.alarm(strong, m.now)
	}
	if how.confirms() {
		m.confirmMaster(n, epoch)
	}
}

func (m *Machine) changeRecord(n *node, how evidence, epoch int64) Record {
	return Record{
		Cause: m.cause(n, how), From: m.cur.addr, To: n.addr, Epoch: max(epoch, 0),
		Opened: m.ep.burst, SDown: m.ep.sdown, ODown: m.ep.odown,
		Promoted: m.promotedAt(n), Adopted: m.now, Fenced: m.ep.fencedFor(m.now) - m.ep.heldThen,
	}
}

// promotedAt is when n was seen to be a master; zero where that was before the master that we leave: it was a
// replica since, for too short a time to be seen as one.
func (m *Machine) promotedAt(n *node) time.Time {
	if n.masterSince.Before(m.cur.adopted) {
		return time.Time{}
	}
	return n.masterSince
}

// cause: Sentinel fails a master over only when its quorum holds it down, unless
// it was asked to.
func (m *Machine) cause(n *node, how evidence) Cause {
	if old := m.find(m.cur.addr); how == byHandover && old.runID == m.cur.runID {
		return CauseManual // restarted as a replica it would have handed over nothing
	}
	odown := !m.ep.odown.IsZero()
	for _, s := range m.sentinels {
		if t := s.try; t != nil && m.same(t.selected, n.addr) && !t.settled {
			if t.forced {
				return CausePlanned
			}
			odown = t.odown
		}
	}
	if odown || m.ep.silent || !m.cur.verified {
		return CauseFailure
	}
	return CausePlanned
}

// leave marks every node that says master as left behind: it is one of ours
// again when it is seen as a replica.
func (m *Machine) leave(old Addr, next *node) {
	for _, n := range m.nodes {
		if n.role == RoleMaster {
			n.ours = false
		}
	}
	m.former = slices.DeleteFunc(m.former, func(a Addr) bool { return a == old || a == next.addr })
	m.former = append(m.former, old)
	if len(m.former) > maxNodes {
		m.former = slices.Delete(m.former, 0, 1)
	}
}

// bindTry takes the failover that was the evidence for one that selected n. If
// its leader names another later, it is a threat again.
func (m *Machine) bindTry(n *node, how evidence) {
	for _, s := range m.sentinels {
		if how == byFailover && s.try.live() && !s.try.settled && s.try.selected.IsZero() {
			s.try.selected = n.addr
		}
	}
}

func (m *Machine) recheckHigher() {
	for _, s := range m.sentinels {
		s.higher = m.namesHigher(s)
	}
}
