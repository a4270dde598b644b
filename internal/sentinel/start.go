package sentinel

import "time"

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
	if !m.allAsked() {
		return Addr{}, noEpoch
	}
	best := vote{epoch: noEpoch}
	for _, v := range m.votes() {
		switch {
		case m.find(v.addr) == nil: // it cannot be asked
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
		doubt = doubt || m.find(v.addr) != nil && v.epoch > m.cur.epoch && !m.same(v.addr, m.cur.addr)
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
