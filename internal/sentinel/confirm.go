package sentinel

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
