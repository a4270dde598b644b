package cluster

// barrier takes the heartbeat of a shard. Only one that all promotable replicas
// hold proves anything: a master that is cut off has nobody who would hold it.
func (m *Machine) barrier(b Barrier) {
	n := m.byID[b.Node]
	if n == nil || n.shard == nil {
		return
	}
	switch {
	case b.Fault.silent():
		n.broke(b.At)
		n.loading, m.seen = b.Fault == FaultLoading, nil
		return
	case b.Fault != FaultNone:
		m.refused(Refused{Node: b.Node, SentAt: b.SentAt, At: b.At, Fault: b.Fault, Slot: noSlot})
		return
	}
	sh := n.shard
	if b.SentAt.Before(sh.began) {
		return
	}
	held := m.heldByAll(sh, b)
	slow := b.At.Sub(b.SentAt)-b.Late >= m.rules.SlowBarrier
	if held && b.SentAt.After(sh.confirmed) {
		sh.confirmed = b.SentAt
	}
	switch {
	case held && sh.ep.open && b.SentAt.After(sh.ep.lastAlarm):
		sh.ep.proof = b // slow or not
	case slow:
		sh.ep.alarmed(b.At)
	}
}

// Holds reports whether every replica that could be promoted has a barrier, and its node
// is the master of a shard still. Then no promotion can lose what that took before it.
func (m *Machine) Holds(b Barrier) bool {
	n := m.byID[b.Node]
	return n != nil && n.shard != nil && b.Fault == FaultNone && !b.SentAt.Before(n.shard.began) && m.heldByAll(n.shard, b)
}

// noSlot is not the slot of any key.
const noSlot = ^uint16(0)

// heldByAll reports whether every promotable replica has the barrier. Where only
// the number is known, others that are attached may have been counted too.
func (m *Machine) heldByAll(sh *shard, b Barrier) bool {
	promotable := m.promotable(sh)
	if b.By == nil {
		known, strange := m.attached(sh)
		for _, n := range promotable {
			if !contains(known, n) {
				known = append(known, n)
			}
		}
		return b.Acked >= len(known)+strange
	}
	for _, n := range promotable {
		has := false
		for _, a := range b.By {
			has = has || n.isAt(a)
		}
		if !has {
			return false
		}
	}
	return true
}

// proven: a barrier that was sent after the last alarm is on every replica that
// may be promoted now, and the master was asked after that alarm too.
func (m *Machine) proven(sh *shard) bool {
	p := sh.ep.proof
	return !p.SentAt.IsZero() && sh.master.sentAt.After(sh.ep.lastAlarm) && m.heldByAll(sh, p)
}
