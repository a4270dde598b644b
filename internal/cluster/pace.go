package cluster

import (
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// asks says whom to ask how often. In an episode these are the shard's master and
// replicas, and two other masters; all others idle along.
func (m *Machine) asks() []Ask {
	fast := map[*node]time.Duration{}
	for _, sh := range m.shards {
		if sh.ep.open {
			m.hurry(fast, sh)
		}
	}
	seeking := len(m.shards) == 0 || m.gone()
	var all []Ask
	place := map[Addr]int{}
	add := func(a Addr, each time.Duration) {
		i, listed := place[a]
		switch {
		case a.IsZero():
		case !listed:
			place[a] = len(all)
			all = append(all, Ask{Addr: a, Each: each})
		case each < all[i].Each: // two nodes are known there: one was there before
			all[i].Each = each
		}
	}
	for _, n := range m.nodes {
		each := m.idle(n)
		if d, ok := fast[n]; ok {
			each = d
		}
		if seeking {
			each = m.seekPace()
		}
		if n.shard != nil && n.reached != n.addr {
			add(n.reached, each) // the listed address may lead nowhere from here
		}
		add(n.addr, each)
	}
	for _, a := range m.seeds {
		if seeking {
			add(a, m.seekPace())
		} else {
			add(a, m.rules.AskIdle)
		}
	}
	return all
}

// hurry asks the nodes that know first what becomes of a shard.
func (m *Machine) hurry(fast map[*node]time.Duration, sh *shard) {
	each := m.rules.AskFast
	if quiet := m.now.Sub(sh.ep.lastNews); quiet >= 3*time.Second && !(sh.ep.blocked && quiet < 10*time.Second) {
		each = m.rules.AskSlow
	}
	ask := func(n *node) {
		if d, ok := fast[n]; !ok || each < d {
			fast[n] = each
		}
	}
	ask(sh.master)
	for _, id := range m.survey().replicas[sh.master.id] {
		if n := m.byID[id]; n != nil {
			ask(n)
		}
	}
	others := 0
	for _, o := range m.shards {
		if o != sh && o.master.master() && others < twoMasters {
			ask(o.master)
			others++
		}
	}
}

func (m *Machine) seekPace() time.Duration {
	if m.now.Sub(m.started) < 3*time.Second {
		return m.rules.AskFast
	}
	return m.rules.AskSlow
}

func (m *Machine) idle(n *node) time.Duration {
	switch {
	case len(m.nodes) <= smallNodes:
		return m.rules.AskIdle
	case n.shard != nil:
		return m.rules.AskMasterIdle
	}
	return m.rules.AskReplicaIdle
}

// times notes since when slots move, or have no owner.
func (m *Machine) times() {
	var moving slot.Set
	for _, n := range m.nodes {
		if n.spoke && !n.says.Moving.Empty() && (n.answering() || n.shard != nil) && m.ours(n) {
			moving.AddSet(n.says.Moving)
		}
	}
	m.moving.update(&moving, m.now)
	if m.routes == m.timed {
		return
	}
	m.timed = m.routes
	orphan := m.unowned()
	m.orphan.update(&orphan, m.now)
}

func (m *Machine) unowned() slot.Set {
	none := *slot.SetOf(slot.Range{Last: slot.Count - 1})
	for _, sh := range m.shards {
		none.RemoveSet(&sh.slots)
	}
	return none
}
