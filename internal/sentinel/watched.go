package sentinel

import (
	"slices"
	"time"
)

// watched is one sentinel as we hear it.
type watched struct {
	addr       Addr
	configured bool
	id         string

	link bool // subscribed

	asked   bool // at least one poll has ended, well or not
	ok      bool // the last poll brought an answer
	foreign bool // the last poll was answered: our master is not known there
	sentAt  time.Time
	seenAt  time.Time
	view    Poll      // the last answer
	quietAt time.Time // when it was last asked and showed no failover

	sdown, odown bool // it holds our master down, by event or poll
	tilt         bool
	rejected     uint64    // messages and answers that made no sense
	higher       bool      // its last answer named another master above our epoch
	alone        []Addr    // nodes that it named last and nobody else
	differsAt    time.Time // since when it has named others than the others; zero: it does not
	hint         bool      // it has given one, and nobody was asked for it yet
	hintAt       time.Time // when somebody was last asked for one
	newEpoch     int64     // from +new-epoch, which comes right before +try-failover
	try          *try
}

// gone: neither the subscription nor the last poll reaches it. Nothing more is
// to be expected of a failover that it led.
func (s *watched) gone() bool { return !s.link && s.asked && !s.ok }

func (m *Machine) watch(a Addr) *watched {
	for _, s := range m.sentinels {
		if s.addr == a {
			return s
		}
	}
	if a.IsZero() {
		return nil
	}
	s := &watched{addr: a}
	if len(m.sentinels) < maxWatched {
		m.sentinels = append(m.sentinels, s)
		return s
	}
	old := -1
	for i, x := range m.sentinels {
		if !x.configured && (old < 0 || x.seenAt.Before(m.sentinels[old].seenAt)) {
			old = i
		}
	}
	if old < 0 {
		return nil
	}
	m.sentinels[old], m.ballot = s, nil
	return s
}

func (m *Machine) link(l Link) {
	s := m.watch(l.Sentinel)
	if s == nil {
		return
	}
	s.link, s.tilt = l.Up, false // the -tilt may have been missed
	if l.Up {
		s.hint = true // what was published meanwhile is never repeated
		return
	}
	m.leaderGone(s)
}

// leaderGone ends the failover of a sentinel that is gone: a dead leader never
// says how it ended (leader-crash).
func (m *Machine) leaderGone(s *watched) {
	if s.try != nil && s.gone() && s.try.live() {
		s.try.end(endGone, m.now)
		m.alarm(weak, m.now)
	}
}

func (m *Machine) poll(p Poll) {
	s := m.watch(p.Sentinel)
	if s == nil || p.SentAt.Before(s.sentAt) {
		return
	}
	s.asked, s.foreign, m.ballot = true, p.Fault == FaultNoMaster, nil
	if p.Fault != FaultNone {
		if p.Fault == FaultMalformed {
			m.reject(s)
		}
		s.ok = false
		m.leaderGone(s)
		return
	}
	s.ok, s.sentAt, s.seenAt = true, p.SentAt, p.At
	p.Replicas = p.Replicas[:min(len(p.Replicas), MaxListed)]
	p.Peers = p.Peers[:min(len(p.Peers), MaxListed)]
	s.view = p
	if p.ID != "" {
		s.id = p.ID
	}
	if p.Tilt != TiltUnknown { // a halted one publishes it before anybody is connected again
		s.tilt = p.Tilt == TiltOn
	}
	m.learnListed(p)
	m.compare(s)
	m.pollDown(s, p)
	m.pollTry(s, p)
	m.pollHigher(s)
}

// reject counts what a sentinel said that made no sense.
func (m *Machine) reject(s *watched) {
	s.rejected++
	m.rejected++
}

func (m *Machine) learnListed(p Poll) {
	m.list(p.Named)
	m.list(p.Master.Addr)
	for _, r := range p.Replicas {
		m.list(r.Addr)
	}
}

// pollDown stands in for +sdown and +odown that were not heard.
func (m *Machine) pollDown(s *watched, p Poll) {
	sdown, odown := p.Master.Flags.Has(FlagSDown), p.Master.Flags.Has(FlagODown)
	if sdown && !s.sdown {
		m.heldDown(p.Master.Addr, p.At, false)
	}
	if odown && !s.odown {
		m.heldDown(p.Master.Addr, p.At, true)
	}
	s.sdown, s.odown = sdown, odown
}

// heldDown: a sentinel, or with odown its quorum, has lost the master it knows.
// The record wants the first word of each burst, and of the right node: a late
// word about the master before is not the beginning of the next failover.
func (m *Machine) heldDown(addr Addr, at time.Time, odown bool) {
	m.alarm(weak, at)
	e := &m.ep
	if at.Sub(e.heldAt) > alarmBurst || addr != e.heldAddr && addr == m.cur.addr {
		e.sdown, e.odown, e.heldAddr = at, time.Time{}, addr
	}
	e.heldAt = at
	if odown && e.odown.IsZero() {
		e.odown = at
	}
}

// pollHigher: one sentinel names another master above our epoch. Something was
// promoted, and we have not noticed. It is no news of a node that is not known
// while a majority names ours: the others list what one of them can promote.
func (m *Machine) pollHigher(s *watched) {
	higher := m.namesHigher(s)
	if higher && !s.higher {
		how := strong
		if m.find(s.view.Named) == nil {
			how = weak
		}
		m.alarm(how, s.seenAt)
	}
	s.higher = higher
}

func (m *Machine) namesHigher(s *watched) bool {
	v, ok := voteOf(s)
	return ok && m.cur.verified && v.epoch > m.epoch() && m.rivals(v.addr)
}

// rivals reports whether a, which a sentinel calls the master, may be one in the
// place of ours. One that is not known is none while a majority names ours.
func (m *Machine) rivals(a Addr) bool {
	if m.same(a, m.cur.addr) {
		return false
	}
	addr, _, sure := m.majority()
	return m.find(a) != nil || !sure || !m.same(addr, m.cur.addr)
}

// hinted asks everybody at once after hints of the sentinels, but not more often
// for one that gives them all the time.
func (m *Machine) hinted() {
	for _, s := range m.sentinels {
		if s.hint && m.now.Sub(s.hintAt) >= m.rules.PollFast {
			s.hint, s.hintAt = false, m.now
			m.pollNow, m.probeNow = true, true
		}
	}
}

// event takes a published message. It is a hint: it can be old news of a
// restarted sentinel, so nobody becomes master by one.
func (m *Machine) event(e Event) {
	s := m.watch(e.Sentinel)
	if s == nil {
		return
	}
	msg, err := ParseMessage(e.Channel, e.Message)
	if err != nil {
		m.reject(s)
		return
	}
	switch msg.Kind {
	case KindOther:
		return
	case KindNewEpoch:
		s.newEpoch = msg.Epoch
		return
	case KindTilt, KindTiltEnd:
		s.tilt = msg.Kind == KindTilt
		return
	}
	if msg.Name != m.name {
		return // another group on the same sentinels
	}
	m.list(msg.Master)
	m.ourEvent(s, msg, e.At)
}

func (m *Machine) ourEvent(s *watched, msg Message, at time.Time) {
	switch msg.Kind {
	case KindSwitchMaster:
		m.list(msg.Addr)
		s.hint = true
		if m.cur.verified && m.rivals(msg.Addr) {
			m.alarm(weak, at)
		}
	case KindHint:
		s.hint = true
	case KindSDown, KindODown:
		if msg.Subject != SubjectMaster {
			return
		}
		s.sdown = true
		s.odown = s.odown || msg.Kind == KindODown
		m.heldDown(msg.Addr, at, msg.Kind == KindODown)
	case KindSDownEnd, KindODownEnd:
		// Ends no alarm: it comes 150 ms before the promotion.
		if msg.Subject == SubjectMaster {
			s.odown = false
			s.sdown = s.sdown && msg.Kind == KindODownEnd
		}
	default:
		m.tryEvent(s, msg, at)
	}
}

// reachable are the sentinels whose last poll brought an answer.
func (m *Machine) reachable(yield func(*watched) bool) {
	for _, s := range m.sentinels {
		if s.ok && !yield(s) {
			return
		}
	}
}

// polledSince reports whether every reachable sentinel has answered a question
// asked at t or later. True when none is reachable: a healthy master is kept.
func (m *Machine) polledSince(t time.Time) bool {
	for s := range m.reachable {
		if s.sentAt.Before(t) {
			return false
		}
	}
	return true
}

// unwatch draws up the watch list anew. A sentinel that left it (it was found to
// be another by its second name, or nobody vouches for it any more) is not asked
// again: its last answer counts no more, and what it led is as good as over. Else
// that answer would be waited to be renewed for ever.
func (m *Machine) unwatch() {
	for left := true; left; {
		m.watching, left = m.watchList(), false
		for _, s := range m.sentinels {
			if (s.link || s.ok) && !slices.Contains(m.watching, s.addr) {
				s.link, s.asked, s.ok, s.foreign, m.ballot, left = false, true, false, false, nil, true
				m.leaderGone(s)
			}
		}
	}
}

// watchList are the sentinels to listen to: the configured ones and the peers
// that two of the list know, one of them as alive. One is enough where only one
// is configured. They get our password for sentinels, and a vote.
func (m *Machine) watchList() []Addr {
	var list []Addr
	var ids []string
	for _, s := range m.sentinels {
		if s.configured {
			list = append(list, s.addr)
			ids = append(ids, s.id)
		}
	}
	for found := true; found; {
		found = false
		for _, s := range m.sentinels {
			if !slices.Contains(list, s.addr) {
				continue
			}
			for _, p := range s.view.Peers {
				known := slices.Contains(list, p.Addr) || p.ID != "" && slices.Contains(ids, p.ID)
				if !known && !p.Flags.Has(FlagSDown) && len(list) < maxWatched && m.listers(p.Addr, list) >= min(2, m.configured) {
					list, ids, found = append(list, p.Addr), append(ids, p.ID), true
				}
			}
		}
	}
	return list
}

// listers is how many sentinels of list know the peer at a.
func (m *Machine) listers(a Addr, list []Addr) int {
	n := 0
	for _, s := range m.sentinels {
		if slices.Contains(list, s.addr) && slices.ContainsFunc(s.view.Peers, func(p PeerView) bool { return p.Addr == a }) {
			n++
		}
	}
	return n
}
