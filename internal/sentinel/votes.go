package sentinel

import (
	"slices"
	"time"
)

// vote is whom one sentinel names, and under which config epoch.
type vote struct {
	addr  Addr
	epoch int64
	by    *watched
}

// voteOf reads a sentinel's last answer. GET-MASTER-ADDR-BY-NAME and SENTINEL
// MASTER are two questions, and a switch may fall between them: an address with
// the other master's epoch is no vote. The two addresses differ for a reason only
// on the leader, between +promoted-slave and its own +switch-master.
func voteOf(s *watched) (vote, bool) {
	if !s.ok || s.view.Named.IsZero() {
		return vote{}, false
	}
	leading := s.view.Master.Progress == ProgressPromoted
	if (s.view.Named != s.view.Master.Addr) != leading {
		return vote{}, false
	}
	return vote{addr: s.view.Named, epoch: s.view.Master.Epoch, by: s}, true
}

// votes holds one vote per sentinel, also where two addresses lead to one. Only
// a poll changes them.
func (m *Machine) votes() []vote {
	if m.ballot == nil {
		m.ballot = m.countVotes()
	}
	return m.ballot
}

func (m *Machine) countVotes() []vote {
	out := make([]vote, 0, len(m.sentinels))
	for _, s := range m.sentinels {
		v, ok := voteOf(s)
		twice := func(w vote) bool { return s.id != "" && w.by.id == s.id && w.addr == v.addr }
		if ok && !slices.ContainsFunc(out, twice) { // one that borrows another's id takes no vote from it
			out = append(out, v)
		}
	}
	return out
}

// known is how many sentinels there are: the larger of those configured and
// those that two reachable ones know at least, or the only one. After SENTINEL
// MONITOR it knows none for two seconds (remove-monitor), and a dead one's memory
// does not count.
func (m *Machine) known() int {
	var claims []int
	for s := range m.reachable {
		claims = append(claims, s.view.Master.OtherSentinels+1)
	}
	return max(m.configured, len(m.votes()), seconded(claims))
}

// seconded is the largest number that two give or exceed, or the only one: what
// one sentinel alone remembers, or makes up, holds nothing up.
func seconded[N int | time.Duration](claims []N) N {
	if len(claims) == 0 {
		return 0
	}
	slices.Sort(claims)
	return claims[max(0, len(claims)-2)]
}

func (m *Machine) needed() int { return m.known()/2 + 1 }

// majority is the node that a majority names, with the highest epoch that a
// majority gives it at least.
func (m *Machine) majority() (Addr, int64, bool) {
	votes, need := m.votes(), m.needed()
	for _, v := range votes {
		var epochs []int64
		for _, w := range votes {
			if m.same(v.addr, w.addr) {
				epochs = append(epochs, w.epoch)
			}
		}
		if len(epochs) >= need {
			slices.Sort(epochs)
			return v.addr, epochs[len(epochs)-need], true
		}
	}
	return Addr{}, noEpoch, false
}

// base is the epoch under which the last confirmed master was confirmed. For a
// second after every promotion the majority still names the old master with it,
// so only what is above it confirms another.
func (m *Machine) base() int64 {
	if m.cur.confirmed {
		return m.cur.base
	}
	return m.confirmed.base
}

// epoch is the highest one that was seen to be our master's.
func (m *Machine) epoch() int64 { return max(m.base(), m.cur.epoch) }

// agreement is a majority on an epoch that is not above ours, and since when.
type agreement struct {
	addr  Addr
	epoch int64
	since time.Time
}

// watchAgreement follows the majority. SENTINEL REMOVE and MONITOR set the epoch
// back to 0, so a lower one has to be believed in the end; a majority that just
// has not heard the news names the same, so not at once.
func (m *Machine) watchAgreement() {
	addr, epoch, ok := m.majority()
	if !ok {
		m.agree = agreement{epoch: noEpoch}
		return
	}
	if !m.same(addr, m.agree.addr) || epoch != m.agree.epoch {
		m.agree = agreement{addr: addr, epoch: epoch, since: m.now}
	}
}

// agreedFor reports whether a majority of sentinels has said the same in two
// polls two seconds apart, without holding the node down or being in TILT.
func (m *Machine) agreedFor() bool {
	if m.agree.addr.IsZero() {
		return false
	}
	n := 0
	for _, v := range m.votes() {
		down := v.by.view.Master.Flags&(FlagSDown|FlagODown) != 0
		if m.same(v.addr, m.agree.addr) && !down && !v.by.tilt && v.by.sentAt.Sub(m.agree.since) >= m.rules.AgreeFor {
			n++
		}
	}
	return n >= m.needed()
}
