package sentinel

import (
	"slices"
	"time"
)

// incumbent is the node held to be the master: by evidence once verified, and
// before that by the sentinels' word alone, while it has not answered yet.
type incumbent struct {
	addr      Addr
	runID     string
	ids       []string // replication ids it had, and its replicas say it has
	idThen    string   // the id it was confirmed with
	epoch     int64    // highest config epoch anyone named it with; noEpoch for none
	base      int64    // the one it was confirmed under
	verified  bool     // it said ROLE master
	confirmed bool     // a majority named it

	adopted   time.Time // zero for the one found at the start
	lostAt    time.Time // last time it did not answer, or a connection broke
	refusedAt time.Time // last time it said that it is a replica
	mutedAt   time.Time // last time a barrier was not answered
	voicedAt  time.Time // when the last barrier that was answered had been sent
	backAt    time.Time // it has answered as master without a break since
}

const noEpoch = -1

// addID notes a replication id. A healthy master changes its own when its first
// replica attaches (first-replica), so one is not enough.
func (c *incumbent) addID(id string) {
	if id == "" || slices.Contains(c.ids, id) {
		return
	}
	if len(c.ids) == maxIDs {
		c.ids = slices.Delete(c.ids, 0, 1)
	}
	c.ids = append(c.ids, id)
}

// answering reports whether our master answered as a master to a question asked
// after the last sign that it does not. One that hung when written to has to
// take a write: FAILOVER by hand pauses writes for as long as it takes, and goes
// on answering questions (failover-to).
func (m *Machine) answering() bool {
	n := m.find(m.cur.addr)
	return m.cur.verified && n.says(RoleMaster) &&
		!n.sentAt.Before(m.cur.lostAt) && !n.sentAt.Before(m.cur.refusedAt) &&
		!m.cur.voicedAt.Before(m.cur.mutedAt)
}

// noteReturn marks the moment from which our master has been answering again.
func (m *Machine) noteReturn() {
	if m.cur.backAt.IsZero() && m.answering() {
		m.cur.backAt = m.now
	}
}

// masterAnswered takes the master's own word.
func (m *Machine) masterAnswered(n *node, was node) {
	if n.role == RoleReplica {
		m.masterRefused(n.seenAt)
		return
	}
	m.cur.addID(n.replID)
	if !m.cur.verified {
		return
	}
	if n.runID != m.cur.runID {
		m.masterRestarted(n)
	}
	if was.role == RoleMaster && m.lostReplica(was.replicas, n.replicas) {
		m.alarm(weak, n.seenAt)
	}
}

// masterRestarted: the same address, a new process. Its data may be what it was,
// older, or gone (restart-rdb, restart-empty); ids do not tell, the barrier does.
// It may also be an old master, back while its successor is being promoted.
func (m *Machine) masterRestarted(n *node) {
	if m.cur.runID == "" {
		m.cur.runID = n.runID
		return
	}
	m.cur.runID = n.runID
	m.generation++
	m.cur.backAt = time.Time{}
	m.alarm(strong, n.seenAt)
	m.ep.restarted = true
}

// lostReplica: promoted, dead, or promoted by hand; the master cannot know which.
func (m *Machine) lostReplica(before, after []Addr) bool {
	for _, a := range before {
		if !slices.Contains(after, a) && !m.unpromotable(a) {
			return true
		}
	}
	return false
}

// masterSilent: no answer, or a broken connection. The first sign raises the
// fence; the following ones only keep any proof from being older than they are.
func (m *Machine) masterSilent(at time.Time) {
	if !m.cur.verified {
		return
	}
	m.unanswered(at)
	m.cur.lostAt = at
	m.ep.silent = true
}

// masterRefused: our master says that it is a replica.
func (m *Machine) masterRefused(at time.Time) {
	if !m.cur.verified {
		return
	}
	m.unanswered(at)
	m.cur.refusedAt = at
}

func (m *Machine) unanswered(at time.Time) {
	if m.ep.fenced && m.cur.backAt.IsZero() {
		m.ep.disprove(at)
		return
	}
	m.cur.backAt = time.Time{}
	m.alarm(strong, at)
}

// barrier takes the heartbeat of the master we write to.
func (m *Machine) barrier(b Barrier) {
	if b.Node != m.cur.addr || b.Fault == FaultMalformed {
		return
	}
	if b.Fault.silent() {
		m.masterMute(b)
		return
	}
	m.cur.voicedAt = later(m.cur.voicedAt, b.SentAt)
	switch {
	case b.Fault.demoted():
		m.masterRefused(b.At)
	case b.Fault != FaultNone:
		// NOREPLICAS and the like: it is the master, and this proves nothing.
	case b.At.Sub(b.SentAt)-b.Late >= m.rules.SlowBarrier:
		m.slowBarrier(b)
	default:
		m.prove(b)
	}
}

// slowBarrier: a sign of trouble, and no more than that. Where everybody is asked
// already, it is the proof that any barrier is if all promotable replicas hold it:
// else a machine that is slow for long would never be clear again.
func (m *Machine) slowBarrier(b Barrier) {
	if m.ep.open && !b.SentAt.Before(m.ep.lastAlarm) && m.heldByAll(b) {
		m.prove(b)
		return
	}
	m.alarm(weak, b.At)
}

func (m *Machine) masterMute(b Barrier) {
	if b.Fault == FaultClosed && (m.adoptedJustNow() || m.promotedAgain()) {
		return
	}
	m.masterSilent(b.At)
	m.cur.mutedAt = b.At
}

// A promotion ends every connection to the promoted node once. If the node is
// dead, the next question says so.

// adoptedJustNow: a connection from before the promotion may tell of its end late.
func (m *Machine) adoptedJustNow() bool {
	return !m.cur.adopted.IsZero() && m.now.Sub(m.cur.adopted) < closeGrace
}

// promotedAgain: a leader is about to promote the master we have (leader-crash).
func (m *Machine) promotedAgain() bool {
	for _, s := range m.sentinels {
		t := s.try
		if t.live() && !t.settled && t.progress == ProgressSelected && m.same(t.selected, m.cur.addr) && m.now.Sub(t.newsAt) < closeGrace {
			return true
		}
	}
	return false
}

const closeGrace = time.Second

// dataset learns what was left after a restart.
func (m *Machine) dataset(d Dataset) {
	if d.Kept || d.Node != m.cur.addr {
		return
	}
	if m.ep.open && m.ep.restarted {
		m.ep.reset = true
		return
	}
	if r := m.history.find(m.history.lastID); r != nil && r.Cause == CauseRestart && r.To == d.Node {
		r.Cause = CauseReset
	}
}
