package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// shard is one master at a time and its slots.
type shard struct {
	number     uint32
	master     *node
	generation uint64
	epoch      int64    // the config epoch under which the master has its slots
	slots      slot.Set // those it owns
	shown      *slot.Set
	runID      string    // of the master's process
	lostAt     time.Time // when the master said last that it has lost slots
	began      time.Time // when this master was adopted

	ep        episode
	chronicle chronicle // of the episode
	confirmed time.Time // when the last barrier was sent that all have
}

// owns reports whether sh has a slot.
func (m *Machine) owns(sh *shard, s uint16) bool { return m.owner[s] == sh && !m.lost.Has(s) }

// claimsMore reports whether n says that it has slots that it does not own here.
func (m *Machine) claimsMore(n *node) bool {
	if n.shard == nil {
		return !n.says.Slots.Empty()
	}
	more := *n.says.Slots
	more.RemoveSet(&n.shard.slots)
	return !more.Empty()
}

// ownersWord takes what the master of a shard says of itself.
func (m *Machine) ownersWord(n, was *node) {
	sh := n.shard
	if !n.says.master() {
		if was.says.master() {
			sh.lostAt, m.again = m.now, true
		}
		if next := m.byID[n.says.Self.Master]; next != nil && next.seenAt.Before(n.sentAt) {
			m.askSoon(cmp.Or(next.reached, next.addr))
		}
		return
	}
	if n.says.RunID != "" && sh.runID != "" && n.says.RunID != sh.runID {
		m.restarted(sh)
		m.anew(sh)
	}
	sh.runID = cmp.Or(n.says.RunID, sh.runID)
	if e := n.says.Self.Epoch; e != sh.epoch {
		// Slots may have gone away and come back since its last answer: what takes a
		// slot back raises its own epoch, and nothing else of that is to be seen.
		sh.epoch = e
		m.anew(sh)
		m.change.returned = append(m.change.returned, sh.number)
	}
	gone := sh.slots
	gone.RemoveSet(n.says.Slots)
	if !gone.Empty() {
		sh.lostAt = m.now
		m.give(&gone, nil)
	}
	for s, at := range m.doubt {
		if m.owns(sh, s) && !n.sentAt.Before(at) {
			delete(m.doubt, s)
			m.routes++
		}
	}
}

// anew begins another generation: what was known of the one before is not known
// of this one.
func (m *Machine) anew(sh *shard) {
	sh.generation++
	m.routes++
	sh.ep.alarmed(m.now)
}

// claims goes through the nodes that say they have slots of others.
func (m *Machine) claims() {
	for _, n := range m.nodes {
		if n.unmet && n.master() {
			m.claim(n)
		}
	}
}

// claim gives a node the slots that it may have of those that it claims itself.
func (m *Machine) claim(n *node) {
	wanted := *n.says.Slots
	if n.shard != nil {
		wanted.RemoveSet(&n.shard.slots)
	}
	var take slot.Set
	var from []*shard
	for old, slots := range m.byOwner(&wanted) {
		if may := m.mayTake(n, old, slots); !may.Empty() {
			take.AddSet(may)
			from = append(from, old)
		}
	}
	if take.Empty() {
		return
	}
	m.give(&take, m.shardFor(n, from))
	n.unmet = m.claimsMore(n)
}

// byOwner goes through slots by who has them, or had them last.
func (m *Machine) byOwner(slots *slot.Set) func(func(*shard, *slot.Set) bool) {
	var order []*shard
	sets := map[*shard]*slot.Set{}
	for s := range slots.All() {
		sh := m.owner[s]
		if sets[sh] == nil {
			sets[sh] = &slot.Set{}
			order = append(order, sh)
		}
		sets[sh].Add(s)
	}
	return func(yield func(*shard, *slot.Set) bool) {
		for _, sh := range order {
			if !yield(sh, sets[sh]) {
				return
			}
		}
	}
}

// mayTake is the rule: of some slots of one owner, those that a claimant has now.
// It says so itself, and it is of our Cluster. Its epoch is above the owner's; or
// the owner says that it has lost the slot, and the claimant was asked after that;
// or the owner is silent, and two other masters name the claimant.
func (m *Machine) mayTake(n *node, old *shard, slots *slot.Set) *slot.Set {
	if !m.vouched(n, old) {
		return &slot.Set{}
	}
	if old == nil || n.says.Self.Epoch > old.epoch {
		return slots
	}
	may := *slots
	switch {
	case old.master.answering() && !old.master.says.master():
	case old.master.failing || old.master.usurped:
		named := m.named(n, old)
		gone := m.lost
		if n.sentAt.Before(old.lostAt) {
			gone = slot.Set{}
		}
		named.AddSet(&gone)
		may.Keep(named)
		return &may
	default:
		may.Keep(&m.lost)
	}
	if n.sentAt.Before(old.lostAt) {
		return &slot.Set{}
	}
	return &may
}

// shardFor is the shard that a claimant's slots belong to: its own, that of the
// master whose replica it was and most of whose slots it takes, or another.
func (m *Machine) shardFor(n *node, from []*shard) *shard {
	if n.shard != nil {
		return n.shard
	}
	for _, sh := range from {
		if sh != nil && slices.Contains(m.shards, sh) && m.followed(n, sh.master.id) && takesOver(n, sh) {
			m.succeed(sh, n)
			return sh
		}
	}
	m.last++
	sh := &shard{number: m.last, began: m.now, confirmed: m.now}
	m.shards = append(m.shards, sh)
	m.install(sh, n)
	return sh
}

// takesOver: a replica that is promoted takes all slots that it knows its master had.
// One that has left its master, and gets a slot by a reshard, takes a few.
func takesOver(n *node, sh *shard) bool {
	both := sh.slots
	both.Keep(n.says.Slots)
	return both.Len()*2 >= sh.slots.Len()
}

// maxChain bounds replicas of replicas: promotions that nobody saw.
const maxChain = 4

// followed reports whether n was a replica of a master, or of one of its replicas.
func (m *Machine) followed(n *node, master ID) bool {
	id := n.follows
	for range maxChain {
		if id == master || id.IsZero() {
			break
		}
		x := m.byID[id]
		if x == nil || x == n {
			return false
		}
		id = x.follows
	}
	return id == master
}

// succeed makes n the master of a shard whose replica it was.
func (m *Machine) succeed(sh *shard, n *node) {
	m.change.promoted = append(m.change.promoted, Promotion{Shard: sh.number, From: sh.master.id, To: n.id})
	m.succeeded(sh, n)
	m.promoted, m.top = m.now, max(m.top, m.election.epoch)
	sh.master.shard = nil
	m.install(sh, n)
	kept := sh.slots
	kept.RemoveSet(n.says.Slots)
	if !kept.Empty() {
		sh.lostAt = m.now
		m.give(&kept, nil)
	}
}

func (m *Machine) install(sh *shard, n *node) {
	sh.master, n.shard, n.follows = n, sh, ID{}
	sh.epoch, sh.runID, sh.began = n.says.Self.Epoch, n.says.RunID, m.now
	sh.generation++
	sh.confirmed = m.now
	sh.ep = episode{}
	sh.ep.alarmed(m.now)
	m.seen = nil
	m.routes++
}

// give makes a shard the owner of slots; nil: nobody owns them, as their owner says.
func (m *Machine) give(slots *slot.Set, to *shard) {
	for s := range slots.All() {
		old := m.owner[s]
		if m.lost.Has(s) {
			old = nil
		}
		if _, ok := m.change.was[s]; !ok {
			m.change.was[s] = old
		}
		if old != nil {
			old.slots.Remove(s)
			old.shown = nil
		}
		if to == nil {
			m.lost.Add(s)
		} else {
			m.owner[s] = to
			m.lost.Remove(s)
			to.slots.Add(s)
			to.shown = nil
		}
		delete(m.doubt, s)
	}
	m.routes++
	m.seen, m.again = nil, true
	for _, n := range m.nodes {
		n.unmet = n.master() && m.claimsMore(n)
	}
}

// drop ends the shards without slots. Their numbers are not used again.
func (m *Machine) drop() {
	m.shards = slices.DeleteFunc(m.shards, func(sh *shard) bool {
		if !sh.slots.Empty() {
			return false
		}
		m.finish(sh)
		sh.master.shard = nil
		m.seen = nil
		m.routes++
		return true
	})
}
