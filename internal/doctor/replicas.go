package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// lagMost is how far a replica may be behind.
const lagMost = 10 * time.Second

var replicaChecks = []Check{
	{
		Code: "redis-replica-wrong-master", Severity: health.SeverityError, Title: "A replica follows another master",
		Why:  "It does not have the data of the set. If it is promoted, the data is lost.",
		Fix:  "Make it follow the master: redis-cli -h REPLICA REPLICAOF MASTER PORT.",
		When: "a replica follows a server that is not of the set",
		find: func(v *view) (all []seen) {
			for _, n := range v.replicas() {
				if !v.follows(n) && v.node(n.Role.Master) == nil {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("ROLE: slave of %s; the sentinels name %s", orNobody(n.Role.Master), v.named)})
				}
			}
			return all
		},
	},
	{
		Code: "redis-replica-chained", Severity: health.SeverityWarning, Title: "A replica follows a replica",
		Why:  "It is behind by two links, and stands still when the one between fails.",
		Fix:  "Make it follow the master: redis-cli -h REPLICA REPLICAOF MASTER PORT.",
		When: "a replica follows a node of the set that is not the master",
		find: func(v *view) (all []seen) {
			for _, n := range v.replicas() {
				if between := v.node(n.Role.Master); !v.follows(n) && between != nil && between != n {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("ROLE: slave of %s; the master is %s", n.Role.Master, v.named)})
				}
			}
			return all
		},
	},
	{
		Code: "redis-replica-link", Severity: health.SeverityWarning, Title: "A replica is not connected to its master",
		Why:  "It falls behind, and cannot be promoted after some time.",
		Fix:  "Look at the log of the replica: the network, masterauth, or a copy of the data that takes long.",
		When: "ROLE of a replica does not say connected",
		find: func(v *view) (all []seen) {
			for _, n := range v.replicas() {
				if v.master != nil && v.follows(n) && n.Role.Link != "connected" && n.Role.Link != "" && !v.lacksLogin(n) {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("ROLE: slave of %s, %s", n.Role.Master, n.Role.Link)})
				}
			}
			return all
		},
	},
	{
		Code: "redis-replica-lag", Severity: health.SeverityWarning, Title: "A replica is far behind its master",
		Why:  "What it lacks is lost for everybody else if it is promoted. evercache sends its own writes again.",
		Fix:  "Look at the network and the load of the replica: INFO replication on the master shows offset and lag.",
		When: "the master has had no acknowledgement of a replica for 10 s",
		find: func(v *view) (all []seen) {
			for _, m := range v.masters() {
				for _, a := range m.Role.Replicas {
					if a.State == "online" && a.Lag >= lagMost {
						all = append(all, seen{subject: a.Addr, detail: fmt.Sprintf("INFO replication of %s: lag=%d, offset %d of %d", m.Addr, int(a.Lag.Seconds()), a.Offset, m.Role.Offset)})
					}
				}
			}
			return all
		},
	},
	{
		Code: "redis-replica-writable", Severity: health.SeverityError, Title: "A replica takes writes",
		Why:  "What is written there is on no other server, and is gone with the next copy of the data.",
		Fix:  "redis-cli -h REPLICA CONFIG SET replica-read-only yes, and the same in redis.conf.",
		When: "replica-read-only is no",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if n.Config["replica-read-only"] == "no" {
					all = append(all, seen{subject: n.Addr, detail: "CONFIG GET replica-read-only: no"})
				}
			}
			return all
		},
	},
	{
		Code: "redis-replica-stale-refused", Severity: health.SeverityWarning, Title: "A replica without its master answers no reads",
		Why:  "Reads go to replicas (REDIS_REPLICA_READS): when the master is away, they have to wait for the next one.",
		Fix:  "redis-cli -h REPLICA CONFIG SET replica-serve-stale-data yes. evercache bounds how old an answer may be itself.",
		When: "replica-serve-stale-data is no, and REDIS_REPLICA_READS is on",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if v.Settings.ReplicaReads && n.Config["replica-serve-stale-data"] == "no" {
					all = append(all, seen{subject: n.Addr, detail: "CONFIG GET replica-serve-stale-data: no"})
				}
			}
			return all
		},
	},
	{
		Code: "redis-priorities-differ", Severity: health.SeverityInfo, Title: "The replicas have different priorities",
		Why:  "The priority counts before the offset: a replica that lacks writes may be promoted before one that has them.",
		Fix:  "Where no data centre is preferred: the same replica-priority on all nodes.",
		When: "replica-priority differs among nodes, 0 not counted",
		find: func(v *view) []seen {
			by := map[string][]string{}
			for _, n := range v.nodes {
				if p := n.Config["replica-priority"]; v.mode() == health.ModeSentinel && p != "" && p != "0" {
					by[p] = append(by[p], n.Addr)
				}
			}
			if len(by) < 2 {
				return nil
			}
			return []seen{{detail: "CONFIG GET replica-priority: " + list(valuesText(by))}}
		},
	},
}

// replicas are the servers of a Sentinel set that say that they are replicas, while it is
// known whom they should follow. The one that the sentinels name is not among them.
func (v *view) replicas() []*survey.Node {
	if v.mode() != health.ModeSentinel || v.named == "" || v.failingOver() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(v.nodes), func(n *survey.Node) bool {
		return n.Role.Name != "replica" || slices.Contains(n.Names(), v.named)
	})
}

// follows reports whether a replica follows the master.
func (v *view) follows(n *survey.Node) bool { return v.same(v.named, n.Role.Master) }

func orNobody(addr string) string {
	if addr == "" {
		return "nobody"
	}
	return addr
}
