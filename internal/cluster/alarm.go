package cluster

import (
	"slices"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
)

// Stage is what may be done with the master of a shard.
type Stage uint8

// The stages, from good to bad.
const (
	Healthy  Stage = iota // write, confirm, serve as coherent
	Suspect               // write; confirm nothing, call nothing coherent
	Blocked               // send no write; the next master is awaited
	Degraded              // the same, and nothing is expected soon
)

func (s Stage) String() string { return [...]string{"healthy", "suspect", "blocked", "degraded"}[s] }

// Trouble is why a shard is not healthy.
type Trouble uint8

// The troubles. Those up to TroubleRival are strong: no write is sent.
const (
	TroubleNone        Trouble = iota
	TroubleSilent              // the master does not answer
	TroubleLoading             // it was restarted and reads its data
	TroubleElsewhere           // another node answers at its address
	TroubleDemoted             // it says that it is a replica
	TroubleDown                // it is well, and refuses every command: cluster_state is fail
	TroubleFailed              // a majority of the masters holds it failed
	TroubleRival               // a replica of it says that it is the master, under a higher epoch
	TroubleSuspected           // some node holds it down
	TroubleElection            // a replica somewhere asks for votes
	TroubleReplica             // a replica that may be promoted is not attached to it
	TroubleUnconfirmed         // no barrier was confirmed for long
	TroubleUnproven            // nothing is wrong; the barrier that proves it is to come
)

func (t Trouble) String() string {
	return [...]string{
		"none", "silent", "loading", "elsewhere", "demoted", "down", "failed", "rival",
		"suspected", "election", "replica", "unconfirmed", "unproven",
	}[t]
}

func (t Trouble) strong() bool { return t != TroubleNone && t <= TroubleRival }

// episode is what is known of a shard in trouble. It ends by a proof.
type episode struct {
	open      bool
	at        time.Time // when it was opened
	blocked   bool
	blockedAt time.Time
	degraded  bool
	trouble   Trouble
	accused   Flags
	lastAlarm time.Time
	lastNews  time.Time
	proof     Barrier // sent after the last alarm, held by all
}

func (e *episode) alarmed(at time.Time) {
	if !e.open {
		*e = episode{open: true, at: at, lastNews: at}
	}
	e.lastAlarm, e.proof = at, Barrier{}
}

// judge says what stage a shard is in.
func (m *Machine) judge(sh *shard) {
	t := m.trouble(sh)
	e := &sh.ep
	if t != TroubleNone {
		e.alarmed(m.now)
	}
	if !e.open {
		return
	}
	if accused := m.survey().accused[sh.master.id]; t != e.trouble || accused != e.accused {
		e.trouble, e.accused, e.lastNews = t, accused, m.now
	}
	m.block(e, t)
	e.degraded = e.blocked && !sh.master.answering() && m.now.Sub(e.lastNews) >= 2*m.nodeTimeout()
	if t == TroubleNone && m.proven(sh) {
		*e = episode{}
	}
}

// block keeps writes from a master on strong signs. Where it answers, and says that
// it is the owner, that has an end: what others see in it came to nothing.
func (m *Machine) block(e *episode, t Trouble) {
	if !t.strong() {
		e.blocked, e.blockedAt = false, time.Time{}
		return
	}
	if e.blockedAt.IsZero() {
		e.blockedAt = m.now
	}
	hearsay := t == TroubleFailed || t == TroubleRival
	e.blocked = !hearsay || m.now.Sub(e.blockedAt) < m.rules.BlockLimit
}

func (m *Machine) trouble(sh *shard) Trouble {
	n, s := sh.master, m.survey()
	accused := s.accused[n.id]
	switch {
	case n.usurped:
		return TroubleElsewhere
	case n.loading:
		return TroubleLoading
	case n.failing:
		return TroubleSilent
	case !n.says.master() || n.demotedAt.After(n.sentAt):
		return TroubleDemoted
	case !n.says.OK || n.downAt.After(n.sentAt):
		return TroubleDown
	case accused.Has(FlagFailed):
		return TroubleFailed
	case m.rival(sh):
		return TroubleRival
	case accused.Has(FlagSuspected):
		return TroubleSuspected
	case m.electing():
		return TroubleElection
	case m.lacksReplica(sh):
		return TroubleReplica
	case m.now.Sub(sh.confirmed) > m.nodeTimeout()/2:
		return TroubleUnconfirmed
	}
	return TroubleNone
}

// rival: a replica of this master says that it has taken its slots over, under a
// higher epoch, and nobody vouches for it yet.
func (m *Machine) rival(sh *shard) bool {
	for _, n := range m.rivals {
		if n.says.Self.Epoch > sh.epoch && m.followed(n, sh.master.id) && n.says.Slots.Meets(&sh.slots) {
			return true
		}
	}
	return false
}

// promotable are the replicas that may become the master of a shard: those that
// any node of ours that answers lists as such, but not those that most of the
// masters hold failed, nor those with cluster-replica-no-failover.
func (m *Machine) promotable(sh *shard) []*node {
	var all []*node
	s := m.survey()
	for _, id := range s.replicas[sh.master.id] {
		if n := m.byID[id]; n != nil && !s.failed(id) && n.shard == nil {
			all = append(all, n)
		}
	}
	return all
}

// attached splits the replicas in the master's INFO: those that we know, and how
// many others there are, under addresses that nobody lists.
func (m *Machine) attached(sh *shard) (known []*node, strange int) {
	for _, a := range sh.master.says.Replicas {
		if n := m.replicaAt(sh, a); n != nil {
			known = append(known, n)
		} else {
			strange++
		}
	}
	return known, strange
}

func (m *Machine) replicaAt(sh *shard, a sentinel.Attached) *node {
	for _, id := range m.survey().replicas[sh.master.id] {
		if n := m.byID[id]; n != nil && n.isAt(a.Addr) {
			return n
		}
	}
	return nil
}

// lacksReplica: a replica that dies looks for a moment like a master that is being
// cut off. What is attached under strange addresses may be it.
func (m *Machine) lacksReplica(sh *shard) bool {
	if !sh.master.says.Told {
		return false
	}
	known, strange := m.attached(sh)
	lacking := 0
	for _, p := range m.promotable(sh) {
		if !contains(known, p) {
			lacking++
		}
	}
	return lacking > strange
}

func contains(list []*node, n *node) bool {
	return slices.Contains(list, n)
}
