package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// node is what we know of one node, by its id.
type node struct {
	id      ID
	addr    Addr      // as the others list it
	heardOf time.Time // last time one of our Cluster listed it, or it answered
	shard   *shard    // whose master it is

	reached Addr          // where it answered last
	timeout time.Duration // its cluster-node-timeout, as it told last
	port    uint16        // where its process listens: what it announces may lead there by a detour
	calls   Endpoint      // what it calls the others, as it told last
	usurped bool          // another node answers there
	says    Answer
	spoke   bool
	answers int       // in a row
	sentAt  time.Time // of the last answer
	seenAt  time.Time // when that came

	failing, loading bool      // the last question brought no answer
	brokeAt          time.Time // a connection to it broke, or a barrier had no answer
	demotedAt        time.Time // it refused a write as a replica
	downAt           time.Time // it refused a command with CLUSTERDOWN

	follows ID   // whose replica it is, or was before it became a master
	unmet   bool // it claims slots of others
}

func (n *node) answering() bool { return n != nil && n.spoke && !n.failing && !n.usurped }

// master reports whether n answers, and says that it is a master.
func (n *node) master() bool { return n.answering() && n.says.master() }

func (n *node) broke(at time.Time) {
	if at.After(n.sentAt) {
		n.failing, n.answers, n.brokeAt = true, 0, at
	}
}

// isAt reports whether n is known under address a.
func (n *node) isAt(a Addr) bool {
	if a.IsZero() {
		return false
	}
	for _, known := range []Addr{n.addr, n.reached, n.says.Self.Addr, n.says.Self.Name} {
		if known == a || known.Host == a.Host && n.port == a.Port {
			return true
		}
	}
	return false
}

// learn adds a node. A Cluster of more nodes than we follow is not followed wholly.
func (m *Machine) learn(id ID) *node {
	n := m.byID[id]
	if n == nil && len(m.nodes) < MaxNodes {
		n = &node{id: id}
		m.nodes, m.byID[id] = append(m.nodes, n), n
	}
	if n != nil {
		n.heardOf = m.now
	}
	return n
}

// forget drops the nodes that nobody has listed for a minute.
func (m *Machine) forget() {
	m.nodes = slices.DeleteFunc(m.nodes, func(n *node) bool {
		old := n.shard == nil && m.now.Sub(n.heardOf) > time.Minute
		if old {
			delete(m.byID, n.id)
			m.seen = nil
			for a, at := range m.atSeed {
				if at == n {
					delete(m.atSeed, a)
				}
			}
		}
		return old
	})
}

// view takes what the node at an address says, or that nobody answers there.
func (m *Machine) view(v View) {
	if slices.Contains(m.seeds, v.Node) {
		m.seedSaid(v)
	}
	if v.Fault != FaultNone {
		m.unanswered(v)
		return
	}
	n := m.learn(v.Says.Self.ID)
	if n == nil || n.spoke && v.SentAt.Before(n.sentAt) {
		return
	}
	m.moveIn(n, v)
	was := *n
	n.take(v)
	n.says.Lines = m.share(n.says.Lines)
	news := !was.answering() || !sameWord(&was.says, &n.says)
	if news {
		m.seen = nil
	}
	m.readEpochs(n, &was)
	m.readLines(n)
	if n.shard != nil {
		m.ownersWord(n, &was)
	}
	if news && m.ours(n) {
		m.hints(n)
	}
	n.unmet = n.master() && m.claimsMore(n)
	m.again = m.again || n.unmet
}

func (n *node) take(v View) {
	n.says, n.spoke, n.sentAt, n.seenAt = v.Says, true, v.SentAt, v.At
	n.loading, n.failing = false, v.SentAt.Before(n.brokeAt)
	n.answers++
	n.port, n.timeout = cmp.Or(v.Says.Port, n.port), cmp.Or(v.Says.NodeTimeout, n.timeout)
	n.calls = cmp.Or(v.Says.Calls, n.calls)
	if n.says.Slots == nil {
		n.says.Slots = &slot.Set{}
	}
	if n.says.Moving == nil {
		n.says.Moving = &slot.Set{}
	}
	switch {
	case !n.says.master():
		n.follows = n.says.Self.Master
	case n.says.Slots.Empty():
		n.follows = ID{}
	}
}

// unanswered: only what a node answered at last says that it is silent. Others
// may list it under an address that leads nowhere from here.
func (m *Machine) unanswered(v View) {
	if !v.Fault.silent() {
		return // an error reply is an answer of a live node that tells nothing
	}
	for _, n := range m.nodes {
		if n.reached == v.Node && !v.SentAt.Before(n.sentAt) {
			n.broke(v.At)
			n.loading = v.Fault == FaultLoading
			m.seen = nil
		}
	}
}

// moveIn notes who answers at an address: whoever did before is there no more. A
// node that answers at several keeps the one it has, but for the one that is listed.
func (m *Machine) moveIn(n *node, v View) {
	a := v.Node
	for _, x := range m.nodes {
		if x != n && x.reached == a && !x.usurped && v.SentAt.After(x.sentAt) {
			x.usurped, x.answers, m.seen = true, 0, nil
		}
	}
	if a == n.addr || !n.answering() {
		n.reached, n.usurped = a, false
	}
	if slices.Contains(m.seeds, a) {
		m.atSeed[a] = n
	}
}

// share lets nodes that say the same keep it once.
func (m *Machine) share(lines []Line) []Line {
	if slices.EqualFunc(m.lines, lines, sameLine) {
		return m.lines
	}
	m.lines = lines
	return lines
}

// sameWord reports whether two answers mean the same for the survey.
func sameWord(a, b *Answer) bool {
	return len(a.Lines) == len(b.Lines) && len(a.Lines) > 0 && &a.Lines[0] == &b.Lines[0] && a.OK == b.OK && *a.Slots == *b.Slots
}

// readLines learns where the nodes are. Only what our own Cluster lists is asked,
// since asking sends our password; while there is none, what the seeds list is.
func (m *Machine) readLines(n *node) {
	if !m.ours(n) && !m.awaited(n) {
		return
	}
	names := m.useNames()
	for i := range n.says.Lines {
		l := &n.says.Lines[i]
		if l.Flags&(FlagHandshake|FlagNoAddr) != 0 {
			continue
		}
		x := m.learn(l.ID)
		if x == nil {
			return
		}
		if a := announced(l, names); !a.IsZero() && (x.addr.IsZero() || n.shard != nil || x == n) {
			x.addr = a
		}
		if l.Flags.Has(FlagReplica) && !x.spoke {
			x.follows = l.Master
		}
		m.top = max(m.top, l.Epoch)
	}
}

// hints asks those at once whom a node of ours names as the owner of slots that we
// do not know as theirs.
func (m *Machine) hints(n *node) {
	for i := range n.says.Lines {
		l := &n.says.Lines[i]
		x := m.byID[l.ID]
		if x != nil && x != n && isListed(l) && len(m.askNow) < maxHints && m.differs(l) {
			m.askNow = append(m.askNow, cmp.Or(x.addr, x.reached))
		}
	}
}

// announced is the address at which a node is to be dialled.
func announced(l *Line, names bool) Addr {
	if names && !l.Name.IsZero() {
		return l.Name
	}
	return l.Addr
}

// readEpochs looks for an election: the current epoch of a node has risen since its
// last answer, above every config epoch. That it is above them proves nothing: in
// every fresh Cluster it is, for ever.
func (m *Machine) readEpochs(n, was *node) {
	if !m.ours(n) {
		return
	}
	m.top = max(m.top, n.says.Self.Epoch)
	now := n.says.CurrentEpoch
	if !was.spoke || now <= was.says.CurrentEpoch || now <= m.election.epoch {
		return
	}
	m.election = election{epoch: now, at: m.now}
	if m.now.Sub(m.promoted) < electionTail {
		m.top = max(m.top, now) // who lost against the one that was just promoted
	}
}

// electionTail is how long after a promotion the votes that others asked for
// meanwhile may still be heard of.
const electionTail = 500 * time.Millisecond

// electing: it lapses, since one that fails leaves the epoch where it is.
func (m *Machine) electing() bool {
	e := m.election
	return e.epoch > m.top && m.now.Sub(e.at) < 2*m.nodeTimeout()
}

// nodeTimeout is the longest that one of our masters has told, as of this observation.
func (m *Machine) nodeTimeout() time.Duration { return cmp.Or(m.timeout, m.rules.NodeTimeout) }

func (m *Machine) longestTimeout() time.Duration {
	var d time.Duration
	for _, sh := range m.shards {
		d = max(d, sh.master.timeout)
	}
	if d <= 0 {
		return m.rules.NodeTimeout
	}
	return min(d, 5*time.Minute)
}

func (m *Machine) refused(r Refused) {
	n := m.byID[r.Node]
	if n == nil || r.SentAt.Before(n.sentAt) {
		return // it has said since what it is
	}
	switch r.Fault {
	case FaultDemoted:
		n.demotedAt = r.At
	case FaultDown:
		n.downAt = r.At
	case FaultMoved:
		if r.Slot < slot.Count && n.shard != nil && m.owns(n.shard, r.Slot) {
			m.doubt[r.Slot] = r.At
			m.routes++
			m.askSoon(r.To)
		}
	default:
		return
	}
	m.askSoon(n.reached)
}

// askSoon asks a node at once, if it is one that is asked at all.
func (m *Machine) askSoon(a Addr) {
	for _, n := range m.nodes {
		if n.isAt(a) {
			m.askNow = append(m.askNow, a)
			return
		}
	}
}
