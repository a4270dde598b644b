package overview

import (
	"cmp"
	"slices"
	"strings"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

// clusterNode is a node with what it says of itself.
type clusterNode struct {
	shown Node
	said  survey.Node
	self  cluster.Line
}

// cluster adds what the nodes say of their Cluster, and sorts them: each master by its first slot, with its
// replicas behind it.
func (v *View) cluster(s *survey.Survey) {
	var all []clusterNode
	for i, n := range s.Nodes {
		one := clusterNode{shown: v.Nodes[i], said: n}
		if n.Cluster != nil {
			one.self = n.Cluster.Nodes.Self
			one.describe()
		}
		all = append(all, one)
	}
	moving := 0
	for _, n := range all {
		if n.said.Cluster != nil {
			moving += n.said.Cluster.Nodes.Migrating.Len()
		}
	}
	owned := ownedSlots(all)
	v.Slots = &Slots{Owned: owned, Unowned: allSlots - owned, Moving: moving}
	v.Nodes = nil
	for _, n := range inShards(all) {
		v.Epoch = max(v.Epoch, n.self.Epoch)
		v.Nodes = append(v.Nodes, n.shown)
	}
	v.lags(s, aliases(s))
	v.clusterProblems()
}

// describe adds what the node says of itself.
func (n *clusterNode) describe() {
	n.shown.Epoch = n.self.Epoch
	if !n.self.Flags.Has(cluster.FlagMaster) {
		return
	}
	n.shown.SlotCount = slotCount(n.self.Slots)
	n.shown.Ranges = ranges(n.self.Slots)
	switch {
	case n.said.Cluster.Info["cluster_state"] == "fail":
		n.shown.State = stateDown
	case n.shown.SlotCount == 0:
		n.shown.State = stateIdle
	}
}

func slotCount(all []slot.Range) (n int) {
	for _, r := range all {
		n += r.Len()
	}
	return n
}

// mostRanges is how many ranges of slots of a node are shown.
const mostRanges = 8

func ranges(all []slot.Range) string {
	var words []string
	for _, r := range all[:min(len(all), mostRanges)] {
		words = append(words, r.String())
	}
	if len(all) > mostRanges {
		words = append(words, "…")
	}
	return strings.Join(words, " ")
}

// ownedSlots counts the slots that some master which answers says it has.
func ownedSlots(all []clusterNode) (n int) {
	var owned [allSlots]bool
	for _, one := range all {
		if !one.self.Flags.Has(cluster.FlagMaster) {
			continue
		}
		for _, r := range one.self.Slots {
			for s := int(r.First); s <= int(r.Last) && s < allSlots; s++ {
				owned[s] = true
			}
		}
	}
	for _, o := range owned {
		if o {
			n++
		}
	}
	return n
}

// inShards sorts the nodes: masters with slots by their first, each with its replicas, then the others.
func inShards(all []clusterNode) []clusterNode {
	const last = allSlots
	place := func(n clusterNode) int {
		if n.self.Flags.Has(cluster.FlagMaster) && len(n.self.Slots) > 0 {
			return int(n.self.Slots[0].First)
		}
		return last
	}
	rank := func(n clusterNode) (shard, role int) {
		if p := place(n); p < last {
			return p, 0
		}
		for _, m := range all {
			if !n.self.Master.IsZero() && m.self.ID == n.self.Master {
				return place(m), 1
			}
		}
		return last, 2
	}
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b clusterNode) int {
		as, ar := rank(a)
		bs, br := rank(b)
		return cmp.Or(cmp.Compare(as, bs), cmp.Compare(ar, br), cmp.Compare(a.shown.Address, b.shown.Address))
	})
	return out
}

func (v *View) clusterProblems() {
	if v.Slots.Unowned > 0 {
		v.problem("%d slots have no master that answers", v.Slots.Unowned)
	}
	down := 0
	for _, n := range v.Nodes {
		switch {
		case n.State == stateUnreachable:
			v.problem("%s does not answer: %s", n.Address, n.Error)
		case n.State == stateDown:
			down++
		case n.Role == "replica" && n.Link != "up":
			v.problem("%s is not in sync with its master: %s", n.Address, n.State)
		case n.Role == "master" && n.State != stateWritable && n.State != stateIdle:
			v.problem("%s: %s", n.Address, n.State)
		}
	}
	if down > 0 {
		v.problem("cluster_state:fail, says %d of the masters", down)
	}
	for _, n := range v.Nodes {
		if n.Role == "master" && n.SlotCount > 0 && !v.replicated(n.Address) {
			v.problem("%s has no replica in sync: nothing takes its place when it fails", n.Address)
		}
	}
}

func (v *View) replicated(master string) bool {
	return slices.ContainsFunc(v.Nodes, func(n Node) bool { return n.Role == "replica" && n.Follows == master && n.Link == "up" })
}
