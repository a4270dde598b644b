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
		Promoted: n.masterSince, Adopted: m.now, Fenced: m.ep.fencedFor(m.now) - m.ep.heldThen,
	}
}

// cause: Sentinel fails a master over only when its quorum holds it down, unless
// it was asked to.
func (m *Machine) cause(n *node, how evidence) Cause {
	if how == byHandover {
		return CauseManual
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
		v, ok := voteOf(s)
		s.higher = ok && v.epoch > m.epoch() && !m.same(v.addr, m.cur.addr)
	}
}

// confirm looks whether the majority names our master: above the epoch of the
// last confirmed one, or steadily.
func (m *Machine) confirm() {
	for _, v := range m.votes() {
		if m.same(v.addr, m.cur.addr) {
			m.cur.epoch = max(m.cur.epoch, v.epoch)
		}
	}
	n := m.find(m.cur.addr)
	addr, epoch, ok := m.majority()
	if !ok || !m.cur.verified || !m.same(addr, m.cur.addr) || !n.says(RoleMaster) {
		return
	}
	switch {
	case epoch > m.base():
		m.confirmMaster(n, epoch)
	case (epoch < m.base() || !m.cur.confirmed) && m.agreedFor():
		m.confirmMaster(n, epoch)
		m.cur.epoch = epoch
	}
}

func (m *Machine) confirmMaster(n *node, epoch int64) {
	if m.cur.confirmed && epoch > m.cur.base && n.replID != m.cur.idThen {
		m.missedFailover(n, epoch)
	}
	m.cur.confirmed, m.cur.base, m.cur.idThen = true, epoch, n.replID
	m.cur.epoch = max(m.cur.epoch, epoch)
	r := m.history.find(m.changing)
	if r == nil || !r.Confirmed.IsZero() || r.To != m.cur.addr || !r.Ended.IsZero() {
		return
	}
	r.Confirmed, r.Epoch = m.now, epoch
	m.history.finish(m.changing, m.now)
}

// missedFailover: the same node under a higher epoch and with another
// replication id. It was replaced and put back, and nobody saw it.
func (m *Machine) missedFailover(n *node, epoch int64) {
	m.generation++
	id := m.history.add(Record{
		Cause: CauseFailure, From: n.addr, To: n.addr, Epoch: epoch,
		Opened: m.now, Adopted: m.now, Confirmed: m.now, Missed: true,
	})
	m.history.finish(id, m.now)
	m.cur.ids = nil
	m.cur.addID(n.replID)
}

// presume takes the first master on the sentinels' word: a majority's at once;
// fewer, when they do not contradict each other or one has the highest epoch,
// after a moment to let the others answer. It becomes the master when it says
// so itself, and stays provisional without a majority. One that does not answer
// is still the one whose replicas are watched for a promotion.
func (m *Machine) presume() {
	if m.cur.verified {
		return
	}
	addr, epoch, majority := m.majority()
	if !majority {
		addr, epoch = m.bestWord()
	}
	if addr.IsZero() {
		return
	}
	if !m.same(addr, m.cur.addr) {
		m.cur = incumbent{addr: addr}
		m.doubtSince = time.Time{}
	}
	m.cur.epoch, m.cur.base, m.cur.confirmed = epoch, epoch, majority
	if n := m.find(addr); n.says(RoleMaster) && !m.doubtful() {
		m.firstMaster(n)
	}
}

// bestWord is what fewer than a majority say, once there was time to hear more.
func (m *Machine) bestWord() (Addr, int64) {
	all := true
	for _, s := range m.sentinels {
		all = all && (s.asked || !s.configured)
	}
	if !all && m.now.Sub(m.started) < m.rules.StartGrace {
		return Addr{}, noEpoch
	}
	best := vote{epoch: noEpoch}
	for _, v := range m.votes() {
		switch {
		case v.epoch > best.epoch:
			best = v
		case v.epoch == best.epoch && !m.same(v.addr, best.addr):
			best.addr = Addr{} // two masters with one epoch: believe neither
		}
	}
	return best.addr, best.epoch
}

// doubtful: a failover is under way, or a sentinel names another under a higher
// epoch. Both are over within a second or two; a sentinel that says so for ever
// does not keep us from the master that the others name.
func (m *Machine) doubtful() bool {
	doubt := false
	for range m.threat {
		doubt = true
	}
	for _, v := range m.votes() {
		doubt = doubt || v.epoch > m.cur.epoch && !m.same(v.addr, m.cur.addr)
	}
	if !doubt {
		return false
	}
	if m.doubtSince.IsZero() {
		m.doubtSince = m.now
	}
	return m.now.Sub(m.doubtSince) < m.rules.AgreeFor
}

// firstMaster: not a failover, so it is in no record.
func (m *Machine) firstMaster(n *node) {
	m.cur.verified, m.cur.runID, m.cur.idThen, m.cur.backAt = true, n.runID, n.replID, m.now
	m.cur.addID(n.replID)
	m.generation++
	if !m.cur.confirmed {
		m.cur.base = noEpoch
	}
	m.ep.unfence(m.now)
	m.ep.alarmed(m.now)
	m.recheckHigher()
	for range m.threat {
		m.alarm(strong, m.now)
	}
}
