package redisproc

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// clusterView is what every node said at about one time.
type clusterView []memberView

// owner is the node that says itself that it is the master of slot, under the highest epoch; or nil.
func (v clusterView) owner(slot int) *memberView {
	var best *memberView
	for i, m := range v {
		if m.err == nil && m.self.owns(slot) && (best == nil || m.self.epoch > best.self.epoch) {
			best = &v[i]
		}
	}
	return best
}

// faults are the reasons why the cluster is not wholly well.
func (v clusterView) faults() []string {
	var faults []string
	for _, m := range v {
		if m.err != nil {
			faults = append(faults, fmt.Sprintf("node %s: %v", m.node.Addr(), m.err))
			continue
		}
		faults = append(faults, m.faults(v)...)
	}
	if hole := v.uncovered(); hole >= 0 {
		faults = append(faults, fmt.Sprintf("no node owns slot %d", hole))
	}
	return faults
}

// uncovered is the first slot without an owner, or -1.
func (v clusterView) uncovered() int {
	var covered [Slots]bool
	for _, m := range v {
		if m.err != nil || !m.self.is("master") {
			continue
		}
		for _, r := range m.self.slots {
			for s := r.First; s <= r.Last; s++ {
				covered[s] = true
			}
		}
	}
	return slices.Index(covered[:], false)
}

func (m memberView) faults(v clusterView) []string {
	var faults []string
	add := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("node %s: ", m.node.Addr())+fmt.Sprintf(format, args...))
	}
	if m.state != "ok" {
		add("cluster_state is %q", m.state)
	}
	if m.self.is("slave") && !(m.role.err == nil && !m.role.master && m.role.linked) {
		add("it is a replica and not in sync with its master")
	}
	if m.self.is("master") != m.role.master {
		add("CLUSTER NODES says %v, ROLE says master: %v", m.self.flags, m.role.master)
	}
	for _, other := range v {
		if other.err == nil && other.node != m.node {
			m.seesFaults(other, add)
		}
	}
	return faults
}

// seesFaults compares what m says of another node with what that says of itself.
func (m memberView) seesFaults(other memberView, add func(string, ...any)) {
	i := slices.IndexFunc(m.known, func(k member) bool { return k.id == other.self.id })
	if i < 0 {
		add("it does not know node %s", other.node.Addr())
		return
	}
	sees := m.known[i]
	switch {
	case sees.is("fail"), sees.is("fail?"), sees.is("handshake"), sees.is("noaddr"), !sees.linked:
		add("it sees node %s with flags %v, linked: %v", other.node.Addr(), sees.flags, sees.linked)
	case sees.is("master") != other.self.is("master"), sees.master != other.self.master:
		add("it sees node %s as %v of %q, which calls itself %v of %q", other.node.Addr(), sees.flags, sees.master, other.self.flags, other.self.master)
	case other.self.is("master") && !slices.Equal(sees.slots, other.self.slots):
		add("it does not know all slots of node %s", other.node.Addr())
	}
}

// WaitHealthy waits until every node answers and says cluster_state:ok, all agree on the nodes, their roles and
// their slots, every slot has an owner, and every replica is in sync with its master.
func (c *Cluster) WaitHealthy(ctx context.Context) error {
	v, err := c.watch(ctx, func(v clusterView) bool { return len(v.faults()) == 0 })
	if err != nil {
		return fmt.Errorf("wait for a healthy cluster: %w; the last look found:\n%s", err, strings.Join(v.faults(), "\n"))
	}
	return nil
}

// watch looks until it has seen enough, and returns that look; or until ctx ends, and returns the last look that
// was finished by then.
func (c *Cluster) watch(ctx context.Context, enough func(clusterView) bool) (clusterView, error) {
	var last clusterView
	for {
		v := c.look(ctx)
		if enough(v) {
			return v, nil
		}
		if ended(ctx) == nil || last == nil {
			last = v
		}
		if err := pause(ctx, lookInterval); err != nil {
			return last, err
		}
	}
}

// Master is the node that says itself that it is the master of slot, under the highest epoch if several do; nil
// when none does at the moment.
func (c *Cluster) Master(ctx context.Context, slot int) *Process {
	if m := c.look(ctx).owner(slot); m != nil {
		return m.node
	}
	return nil
}

// WaitMaster waits until a node other than not, which may be nil, is the master of slot and answers cluster_state:ok.
func (c *Cluster) WaitMaster(ctx context.Context, slot int, not *Process) (*Process, error) {
	v, err := c.watch(ctx, func(v clusterView) bool {
		m := v.owner(slot)
		return m != nil && m.node != not && m.state == "ok"
	})
	if err != nil {
		return nil, fmt.Errorf("wait for a master of slot %d: %w; the last look found: %s", slot, err, v.summary())
	}
	return v.owner(slot).node, nil
}

// Masters are the nodes that own slots, in the order of their first slot.
func (c *Cluster) Masters(ctx context.Context) []*Process {
	v := c.look(ctx)
	var all []*Process
	for s := range Slots {
		if m := v.owner(s); m != nil && !slices.Contains(all, m.node) {
			all = append(all, m.node)
		}
	}
	return all
}

// Replicas are the nodes that say that they follow master, which may be dead.
func (c *Cluster) Replicas(ctx context.Context, master *Process) ([]*Process, error) {
	v := c.look(ctx)
	id, err := c.id(ctx, master)
	if err != nil {
		return nil, err
	}
	var all []*Process
	for _, m := range v {
		if m.err == nil && m.self.is("slave") && m.self.master == id {
			all = append(all, m.node)
		}
	}
	return all, nil
}

// summary is who says what he is.
func (v clusterView) summary() string {
	var parts []string
	for _, m := range v {
		if m.err != nil {
			parts = append(parts, fmt.Sprintf("node %s: %v", m.node.Addr(), m.err))
		} else {
			parts = append(parts, fmt.Sprintf("node %s: %s, epoch %d, slots %v, state %s", m.node.Addr(), strings.Join(m.self.flags, ","), m.self.epoch, m.self.slots, m.state))
		}
	}
	return strings.Join(parts, "; ")
}
