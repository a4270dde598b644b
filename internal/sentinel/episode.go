package sentinel

import (
	"cmp"
	"time"
)

// episode is the time from the first sign of trouble to the proof that there is
// none, or to the next master; what follows an adoption is an episode of its own
// (the tail), because nothing is known of the new master yet.
type episode struct {
	open     bool
	at       time.Time
	fenced   bool
	fencedAt time.Time
	held     time.Duration // fenced before, in this episode
	burst    time.Time     // when the latest alarms began: an episode can wait long for its proof
	heldThen time.Duration // fenced before that
	strongAt time.Time     // last strong evidence

	lastAlarm time.Time
	lastNews  time.Time
	proof     Barrier // sent after lastAlarm and held by all promotable replicas; zero for none
	degraded  bool
	fruitless bool // a failover has ended before anybody was chosen, and none has come further since

	start     bool // of this process: no master known yet
	tail      bool // after an adoption, and nothing new since
	silent    bool // our master did not answer
	restarted bool
	reset     bool
	sdown     time.Time
	odown     time.Time
	heldAt    time.Time // last time a sentinel said that the master is down
	heldAddr  Addr      // the master it meant
}

type strength bool

const (
	weak   strength = false
	strong strength = true
)

// alarm takes a sign of trouble. A weak one makes the master suspect: writes go
// on and stay in the outbox, so it costs little. A strong one fences it.
func (m *Machine) alarm(how strength, at time.Time) {
	if !m.ep.open {
		m.ep = episode{open: true, at: at, burst: at}
	}
	m.ep.nextBurst(at)
	m.ep.alarmed(at)
	if how == weak || !m.cur.verified {
		return
	}
	if m.ep.tail {
		m.ep.tail, m.ep.at, m.ep.burst = false, at, at
	}
	m.ep.strongAt = at
	if !m.ep.fenced {
		m.ep.fenced, m.ep.fencedAt = true, at
	}
}

// nextBurst begins another story within the episode.
func (e *episode) nextBurst(at time.Time) {
	if !e.fenced && at.Sub(e.lastAlarm) > alarmBurst && !e.lastAlarm.IsZero() {
		e.burst, e.heldThen, e.silent = at, e.held, false
	}
}

const alarmBurst = 5 * time.Second

// alarmed takes an alarm that is news.
func (e *episode) alarmed(at time.Time) {
	e.disprove(at)
	e.news(at)
}

// disprove: whatever was proved before counts no more.
func (e *episode) disprove(at time.Time) { e.lastAlarm, e.proof = at, Barrier{} }

func (e *episode) news(at time.Time) { e.lastNews = at }

// unfence lets writes go to our master again.
func (e *episode) unfence(at time.Time) {
	if e.fenced {
		e.held += at.Sub(e.fencedAt)
		e.fenced = false
	}
}

// liftFence ends a fence whose reason is gone, or that has lasted long enough.
// The master stays suspect: that is no all clear.
func (m *Machine) liftFence() {
	if !m.ep.fenced || !m.cur.verified || !m.answering() || m.cur.backAt.IsZero() {
		return
	}
	if m.reasonGone() || m.fenceSpent() {
		m.ep.unfence(m.now)
	}
}

// reasonGone: our master answers again, and every sentinel that can be asked
// shows, since then, that nothing is being done about it.
func (m *Machine) reasonGone() bool {
	for range m.threat {
		return false
	}
	if m.rival() || m.namedHigher() {
		return false
	}
	return m.polledSince(later(m.cur.backAt, m.ep.strongAt))
}

// fenceSpent: a fence is short. An election that was lost, or REPLICAOF NO ONE
// by hand, would otherwise fence a healthy master for 6 to 16 s. What is written
// meanwhile is not confirmed and stays in the outbox.
func (m *Machine) fenceSpent() bool {
	if m.now.Sub(later(m.cur.backAt, m.ep.strongAt)) < m.rules.FenceLimit || m.promotionInSight() {
		return false
	}
	addr, epoch, ok := m.majority()
	deposed := ok && epoch > m.base() && !m.same(addr, m.cur.addr)
	return !deposed
}

// rival reports whether a replica of our master says that it is a master.
func (m *Machine) rival() bool {
	for _, n := range m.nodes {
		if n.says(RoleMaster) && n.ours && !m.same(n.addr, m.cur.addr) {
			return true
		}
	}
	return false
}

func (m *Machine) namedHigher() bool {
	for s := range m.reachable {
		if s.higher {
			return true
		}
	}
	return false
}

// degrade gives up waiting: no master, and no news for twice the failover
// timeout, which is when Sentinel itself would try again, or a try that came to
// nothing. One that is not elected, or finds no replica, is repeated for ever and
// is news each time. Watching goes on.
func (m *Machine) degrade() {
	quiet := m.now.Sub(m.ep.lastNews) >= 2*m.failoverTimeout()
	m.ep.degraded = m.ep.fenced && !m.answering() && (quiet || m.ep.fruitless)
}

func (m *Machine) failoverTimeout() time.Duration {
	var told []time.Duration
	for _, s := range m.sentinels {
		if d := s.view.Master.FailoverTimeout; d > 0 {
			told = append(told, d)
		}
	}
	return cmp.Or(seconded(told), m.rules.FailoverTimeout)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
