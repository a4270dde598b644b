package doctor

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/survey"
)

const (
	nodeTimeoutLeast = time.Second
	nodeTimeoutLong  = 10 * time.Second
)

var shardChecks = []Check{
	{
		Code: health.CodeClusterNoReplica, Severity: health.SeverityError, Title: "A shard has no replica that could be promoted",
		Why:  "If its master fails, its slots have no owner, and with full coverage the whole Cluster refuses.",
		Fix:  "Start a replica again, or add one: redis-cli --cluster add-node NEW:PORT HOST:PORT --cluster-slave --cluster-master-id ID.",
		When: "no replica of a master with slots is alive and may be promoted",
		find: func(v *view) (all []seen) {
			for _, n := range v.masters() {
				if n.Cluster != nil && v.promotable(n) == 0 {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("CLUSTER NODES: no replica of %s that is alive and without the flag nofailover", n.Cluster.Nodes.Self.ID)})
				}
			}
			return all
		},
	},
	{
		Code: "cluster-few-masters", Severity: health.SeverityError, Title: "Fewer than three masters",
		Why:  "A failover needs the votes of a majority of the masters. Of two none may fail.",
		Fix:  "Add masters: redis-cli --cluster add-node, then redis-cli --cluster rebalance.",
		When: "fewer than three masters own slots",
		find: func(v *view) []seen {
			n := v.mastersListed()
			if v.mode() != health.ModeCluster || n == 0 || n >= 3 {
				return nil
			}
			return []seen{{detail: fmt.Sprintf("CLUSTER NODES: %d masters own slots", n)}}
		},
	},
	{
		Code: "cluster-one-host", Severity: health.SeverityWarning, Title: "Several masters are on one machine",
		Why:  "They fail together. If they are the majority, no replica is promoted.",
		Fix:  "Spread the masters: redis-cli CLUSTER FAILOVER on replicas on other machines.",
		When: "two masters with slots have the same host",
		find: func(v *view) []seen {
			var addrs []string
			for _, n := range v.masters() {
				addrs = append(addrs, n.Addr)
			}
			if v.mode() != health.ModeCluster {
				return nil
			}
			return shared(addrs, "masters")
		},
	},
	{
		Code: "cluster-full-coverage", Severity: health.SeverityInfo, Title: "One shard without a master stops the whole Cluster",
		Why:  "From the loss of a master to the promotion of its replica, all nodes refuse all commands: about a second in each failover.",
		Fix:  "Where the other shards should go on: redis-cli CONFIG SET cluster-require-full-coverage no on every node, and in redis.conf.",
		When: "cluster-require-full-coverage is yes (Redis' own default)",
		find: func(v *view) []seen {
			return v.clusterSetting("cluster-require-full-coverage", func(value string) bool { return value == "yes" }, "")
		},
	},
	{
		Code: "cluster-node-timeout-short", Severity: health.SeverityWarning, Title: "cluster-node-timeout is very short",
		Why:  "A busy master is taken for a dead one.",
		Fix:  "redis-cli CONFIG SET cluster-node-timeout 5000 on every node, and in redis.conf.",
		When: "it is below a second",
		find: func(v *view) []seen {
			return v.nodeTimeouts(func(d time.Duration) bool { return d < nodeTimeoutLeast })
		},
	},
	{
		Code: "cluster-node-timeout-long", Severity: health.SeverityInfo, Title: "cluster-node-timeout is long",
		Why:  "A failover takes this time, and about two seconds more.",
		Fix:  "redis-cli CONFIG SET cluster-node-timeout 5000 on every node, and in redis.conf.",
		When: "it is above 10 s (Redis' own default is 15 s)",
		find: func(v *view) []seen { return v.nodeTimeouts(func(d time.Duration) bool { return d > nodeTimeoutLong }) },
	},
	{
		Code: "cluster-node-gone", Severity: health.SeverityWarning, Title: "The nodes remember one that is gone",
		Why:  "It is asked, and waited for, for ever. One that had slots counts in the majority.",
		Fix:  "redis-cli CLUSTER FORGET ID on every node, within a minute.",
		When: "CLUSTER NODES shows a node whose address is not known (noaddr)",
		find: gone,
	},
}

// promotable counts the replicas of a master that could take over, by the word of the
// master.
func (v *view) promotable(n *survey.Node) (count int) {
	for _, l := range n.Cluster.Nodes.Lines {
		if l.Flags.Has(cluster.FlagReplica) && l.Master == n.Cluster.Nodes.Self.ID && l.Flags&(cluster.FlagFailed|cluster.FlagNoAddr|cluster.FlagNoFailover|cluster.FlagHandshake) == 0 {
			count++
		}
	}
	return count
}

// mastersListed is how many masters own slots.
func (v *view) mastersListed() int {
	ids := map[cluster.ID]bool{}
	for _, l := range v.lines {
		if len(l.Slots) > 0 {
			ids[l.ID] = true
		}
	}
	return len(ids)
}

// clusterSetting is one finding about a setting that is wrong on some nodes.
func (v *view) clusterSetting(name string, wrong func(string) bool, unit string) []seen {
	by := map[string][]string{}
	for _, n := range v.nodes {
		if value, ok := n.Config[name]; ok && v.mode() == health.ModeCluster && wrong(value) {
			by[value+unit] = append(by[value+unit], n.Addr)
		}
	}
	if len(by) == 0 {
		return nil
	}
	return []seen{{detail: "CONFIG GET " + name + ": " + list(valuesText(by))}}
}

func (v *view) nodeTimeouts(wrong func(time.Duration) bool) []seen {
	return v.clusterSetting("cluster-node-timeout", func(value string) bool {
		d, ok := survey.Fields{"t": value}.Millis("t")
		return ok && wrong(d)
	}, " ms")
}

func gone(v *view) (all []seen) {
	by := map[string][]string{}
	var order []string
	for n, l := range v.lines {
		if l.Flags.Has(cluster.FlagNoAddr) {
			id := l.ID.String()
			if by[id] == nil {
				order = append(order, id)
			}
			by[id] = append(by[id], n.Addr)
		}
	}
	for _, id := range order {
		all = append(all, seen{subject: id, detail: "CLUSTER NODES lists it as noaddr at " + list(by[id])})
	}
	return all
}
