package sentinel

import "time"

// try is one failover that one sentinel has begun. It is under way until that
// sentinel says how it ended, or is gone: a poll of 200 ms ago, or another
// sentinel's, says nothing about it.
type try struct {
	progress  Progress
	selected  Addr
	epoch     int64
	notBefore time.Time // when its sentinel last showed no failover: it began later
	newsAt    time.Time
	odown     bool // its sentinel held the master down for the quorum too
	forced    bool // asked for by SENTINEL FAILOVER
	ended     ending
	endedAt   time.Time

	// settled: it is the one, or a rival of the one, that made our master. It is
	// no threat to it, unless it turns out to have selected another.
	settled bool
}

type ending uint8

const (
	endNone ending = iota
	endOver        // its sentinel said so, or shows it no more
	endGone        // its sentinel is gone
)

func (t *try) live() bool { return t != nil && t.ended == endNone }

func (t *try) end(how ending, at time.Time) {
	if t.live() {
		t.ended, t.endedAt = how, at
	}
}

// advance moves the try on and reports whether that was news.
func (t *try) advance(p Progress, selected Addr, at time.Time) bool {
	news := p > t.progress || !selected.IsZero() && selected != t.selected
	t.progress = max(t.progress, p)
	if !selected.IsZero() {
		t.selected = selected
	}
	if news {
		t.newsAt = at
	}
	return news
}

func (m *Machine) begin(s *watched, at time.Time, epoch int64) *try {
	s.try = &try{newsAt: at, epoch: epoch, notBefore: s.quietAt, odown: s.odown}
	return s.try
}

var eventProgress = map[Kind]Progress{
	KindTry: ProgressCandidate, KindElected: ProgressElected, KindSelecting: ProgressElected,
	KindSelected: ProgressSelected, KindSending: ProgressSelected, KindPromoting: ProgressSelected,
	KindPromoted: ProgressPromoted, KindReconfiguring: ProgressPromoted,
}

// endsTry: how it ended is not told apart. An abort before anybody was promoted,
// one after a promotion, and a completed failover all have to be followed by
// proof, or by the new master.
func endsTry(k Kind) bool {
	switch k {
	case KindFailoverEnd, KindAbortNotElected, KindAbortNoGoodSlave, KindAbortSlaveTimeout:
		return true
	}
	return false
}

// tryEvent follows a failover of our master name, whatever address the sentinel
// has for it: leader-crash, failover-to: the second try names the node before.
func (m *Machine) tryEvent(s *watched, msg Message, at time.Time) {
	if endsTry(msg.Kind) {
		m.endTry(s, at)
		return
	}
	t := s.try
	if !t.live() || msg.Kind == KindTry && t.progress > ProgressCandidate {
		t = m.begin(s, at, s.newEpoch)
	}
	if msg.Kind == KindTry {
		t.epoch = s.newEpoch
	}
	var selected Addr
	if msg.Subject == SubjectReplica {
		selected = msg.Addr
		m.list(selected)
	}
	t.advance(eventProgress[msg.Kind], selected, at)
	m.tryNews(t, at)
}

// endTry: the alarm is as old as the end of the try, so a proof has to be newer.
func (m *Machine) endTry(s *watched, at time.Time) {
	if !s.try.live() {
		return
	}
	threat := m.threatens(s.try)
	s.try.end(endOver, at)
	if threat && m.ep.open {
		m.ep.alarmed(at)
		m.ep.fruitless = s.try.progress < ProgressSelected && !m.promotionInSight()
	}
}

// expireTries ends what nobody will end any more: the words were lost, and the
// sentinel cannot be asked. Every step of a failover has its timeout.
func (m *Machine) expireTries() {
	for _, s := range m.sentinels {
		shown := s.ok && s.view.Master.Flags.Has(FlagFailover)
		if s.try.live() && !shown && m.now.Sub(s.try.newsAt) >= 2*m.failoverTimeout() {
			m.endTry(s, m.now)
		}
	}
}

// pollTry follows a failover by what its sentinel shows, for events that were
// not heard (planned-leader-cut).
func (m *Machine) pollTry(s *watched, p Poll) {
	t := s.try
	if !p.Master.Flags.Has(FlagFailover) {
		s.quietAt = p.SentAt
		if t.live() && p.SentAt.After(t.newsAt) {
			m.endTry(s, p.At)
		}
		return
	}
	if m.anotherTry(t, p) {
		t = m.begin(s, p.At, 0)
		// It began before our master was adopted, as far as can be told, and is
		// about the one before: it is what brought the change, or lost against it.
		t.settled = t.notBefore.Before(m.cur.adopted) && !m.same(p.Master.Addr, m.cur.addr)
		t.advance(p.Master.Progress, selectedIn(p), p.At)
		m.tryNews(t, p.At)
	} else if t.live() && t.advance(p.Master.Progress, selectedIn(p), p.At) {
		m.tryNews(t, p.At)
	}
	s.try.forced = s.try.forced || s.try.live() && p.Master.Flags.Has(FlagForced)
}

// anotherTry reports whether p shows a failover other than t.
func (m *Machine) anotherTry(t *try, p Poll) bool {
	if t.live() {
		return p.Master.Progress < t.progress && p.SentAt.After(t.newsAt)
	}
	return t == nil || p.SentAt.After(t.endedAt)
}

// selectedIn is the replica a leader has chosen, by its own flag.
func selectedIn(p Poll) Addr {
	for _, r := range p.Replicas {
		if r.Flags.Has(FlagPromoted) {
			return r.Addr
		}
	}
	return Addr{}
}

// tryNews raises the fence unless the try leads to the master we have.
func (m *Machine) tryNews(t *try, at time.Time) {
	if !m.cur.verified {
		return
	}
	if m.threatens(t) {
		m.alarm(strong, at)
		m.ep.fruitless = m.ep.fruitless && t.progress < ProgressElected
		return
	}
	m.ep.news(at)
}

// threatens reports whether t may take the mastership from our master.
func (m *Machine) threatens(t *try) bool {
	if !t.live() {
		return false
	}
	if t.selected.IsZero() {
		return !t.settled
	}
	return !m.same(t.selected, m.cur.addr)
}

// madeMaster reports whether t is the promotion of our master, done.
func (m *Machine) madeMaster(t *try) bool {
	return m.same(t.selected, m.cur.addr) && (t.settled || t.progress == ProgressPromoted)
}

// threat goes through the failovers under way that may take our mastership away.
func (m *Machine) threat(yield func(*try) bool) {
	for _, s := range m.sentinels {
		if m.threatens(s.try) && !yield(s.try) {
			return
		}
	}
}

// promotionInSight: a leader was elected and is about to promote.
func (m *Machine) promotionInSight() bool {
	for t := range m.threat {
		if t.progress >= ProgressElected && m.now.Sub(t.newsAt) < m.rules.FencePromotion {
			return true
		}
	}
	return false
}

// settleTries is called when a master was adopted: what was under way before
// led to it, or lost against what did.
func (m *Machine) settleTries() {
	for _, s := range m.sentinels {
		if s.try.live() {
			s.try.settled = true
		}
	}
}
