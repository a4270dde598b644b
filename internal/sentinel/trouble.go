package sentinel

// Trouble is why no write is sent to a master that is known.
type Trouble uint8

// The troubles, in the order in which they are looked for.
const (
	TroubleNone      Trouble = iota
	TroubleFailover          // a sentinel leads a failover, or wants to, or names the next master
	TroubleDemoted           // the master says that it is a replica, and no sentinel does anything
	TroubleRival             // a replica of it says that it is a master, and no sentinel made it one
	TroubleLoading           // the master was restarted and reads its data
	TroubleSilent            // the master does not answer, and no sentinel does anything
	TroubleReturning         // the master answers again; that nothing is being done about it is not sure yet
)

func (m *Machine) trouble() Trouble {
	if !m.cur.verified || !m.ep.fenced {
		return TroubleNone
	}
	for range m.threat {
		return TroubleFailover
	}
	n := m.find(m.cur.addr)
	switch {
	case m.namedHigher():
		return TroubleFailover
	case n.says(RoleReplica):
		return TroubleDemoted
	case m.rival():
		return TroubleRival
	case n != nil && n.loading:
		return TroubleLoading
	case !m.answering():
		return TroubleSilent
	}
	return TroubleReturning
}
