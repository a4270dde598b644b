package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

// lines are all lines of CLUSTER NODES, with the node that says them.
func (v *view) lines(yield func(*survey.Node, *cluster.Line) bool) {
	for _, n := range v.nodes {
		if n.Cluster == nil {
			continue
		}
		for i := range n.Cluster.Nodes.Lines {
			if !yield(n, &n.Cluster.Nodes.Lines[i]) {
				return
			}
		}
	}
}

// line is what the nodes say of the node at an address; nil: nothing.
func (v *view) line(addr string) *cluster.Line {
	for _, l := range v.lines {
		if l.Addr.String() == addr || l.Name.String() == addr {
			return l
		}
	}
	return nil
}

// awaySeverity is how bad it is that a node of a Cluster does not answer.
func (v *view) awaySeverity(addr string) health.Severity {
	if l := v.line(addr); l != nil && len(l.Slots) == 0 {
		return health.SeverityWarning
	}
	if v.line(addr) == nil && len(v.nodes) > 0 {
		return health.SeverityWarning
	}
	return health.SeverityError
}

var slotChecks = []Check{
	{
		Code: health.CodeClusterSlotUncovered, Severity: health.SeverityError, Title: "Slots of the Cluster have no owner",
		Why:  "Their keys are answered from memory, and writes to them are kept. With full coverage the whole Cluster refuses.",
		Fix:  "Bring back the master that had them, or give them to others: redis-cli --cluster check HOST:PORT, then redis-cli --cluster fix HOST:PORT.",
		When: "no node that is alive owns them, by the word of all nodes",
		find: uncovered,
	},
	{
		Code: health.CodeClusterSlotMoving, Severity: health.SeverityWarning, Title: "Slots are moving",
		Why:  "Writes of these slots wait until they have moved. A reshard that was interrupted leaves them so for ever.",
		Fix:  "If no reshard is running: redis-cli --cluster fix HOST:PORT.",
		When: "CLUSTER NODES of a node shows slots as migrating or importing",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if n.Cluster == nil {
					continue
				}
				away, here := n.Cluster.Nodes.Migrating.Len(), n.Cluster.Nodes.Importing.Len()
				if away+here > 0 {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("CLUSTER NODES: %d slots migrating, %d importing", away, here)})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeClusterDown, Severity: health.SeverityError, Title: "Nodes of the Cluster refuse all commands (CLUSTERDOWN)",
		Why:  "Their keys are answered from memory, and writes to them are kept.",
		Fix:  "In a failover it ends by itself within seconds. Otherwise: redis-cli --cluster check HOST:PORT.",
		When: "CLUSTER INFO says cluster_state:fail",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if n.Cluster != nil && n.Cluster.Info["cluster_state"] == "fail" {
					all = append(all, seen{subject: n.Addr, detail: "CLUSTER INFO: cluster_state:fail"})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeClusterNodesDisagree, Severity: health.SeverityWarning, Title: "The nodes disagree who owns which slots",
		Why:  "A client that asks one of them is sent to a wrong node first.",
		Fix:  "redis-cli --cluster check HOST:PORT. Check that the node reaches the bus ports of the others (port + 10000).",
		When: "CLUSTER NODES of a node shows other owners than most",
		find: disagreeing,
	},
	{
		Code: health.CodeClusterTwoClusters, Severity: health.SeverityError, Title: "The configured nodes belong to different Clusters",
		Why:  "Nothing is sent to any of them, since it is not known which one is meant.",
		Fix:  "Let REDIS_CLUSTER_NODES list nodes of one Cluster: CLUSTER NODES on each shows which belong together.",
		When: "two configured nodes do not list each other",
		find: func(v *view) []seen {
			for i, a := range v.nodes {
				for _, b := range v.nodes[i+1:] {
					if a.Configured && b.Configured && strangers(a, b) {
						return []seen{{subject: b.Addr, detail: "CLUSTER NODES there and at " + a.Addr + " have no node in common"}}
					}
				}
			}
			return nil
		},
	},
}

// uncovered counts the slots that nobody owns.
func uncovered(v *view) []seen {
	var owned slot.Set
	any := false
	for _, l := range v.lines {
		any = true
		if l.Flags&(cluster.FlagFailed|cluster.FlagNoAddr) == 0 {
			owned.AddSet(slot.SetOf(l.Slots...))
		}
	}
	if missing := slot.Count - owned.Len(); any && missing > 0 {
		return []seen{{detail: fmt.Sprintf("CLUSTER NODES: %d of %d slots have no owner", missing, slot.Count)}}
	}
	return nil
}

// disagreeing are the nodes that show other owners than most.
func disagreeing(v *view) (all []seen) {
	by := map[string][]string{}
	for _, n := range v.nodes {
		if n.Cluster != nil && n.Cluster.Fault == "" {
			by[owners(n)] = append(by[owners(n)], n.Addr)
		}
	}
	most := ""
	for text, addrs := range by {
		if most == "" || len(addrs) > len(by[most]) || len(addrs) == len(by[most]) && text < most {
			most = text
		}
	}
	for text, addrs := range by {
		if text == most {
			continue
		}
		for _, a := range addrs {
			all = append(all, seen{subject: a, detail: "CLUSTER NODES there differs from that at " + list(by[most])})
		}
	}
	slices.SortFunc(all, func(a, b seen) int { return strings.Compare(a.subject, b.subject) })
	return all
}

// owners is who owns which slots by the word of a node.
func owners(n *survey.Node) string {
	var b strings.Builder
	for _, l := range n.Cluster.Nodes.Lines {
		for _, r := range l.Slots {
			fmt.Fprintf(&b, "%s %s\n", l.ID, r)
		}
	}
	return b.String()
}

// strangers reports whether two nodes list no node in common.
func strangers(a, b *survey.Node) bool {
	if a.Cluster == nil || b.Cluster == nil || a.Cluster.Fault != "" || b.Cluster.Fault != "" {
		return false
	}
	return !slices.ContainsFunc(a.Cluster.Nodes.Lines, func(l cluster.Line) bool {
		return slices.ContainsFunc(b.Cluster.Nodes.Lines, func(m cluster.Line) bool { return l.ID == m.ID })
	})
}
