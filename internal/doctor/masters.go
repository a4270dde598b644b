package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

var masterChecks = []Check{
	{
		Code: health.CodeSentinelNoMaster, Severity: health.SeverityError, Title: "The sentinels name no master",
		Why:  "There is nowhere to write to: memory answers, and writes are kept.",
		Fix:  "Look at SENTINEL MASTER NAME on each sentinel.",
		When: "sentinels monitor the name, and none names an address",
		find: func(v *view) []seen {
			if len(v.sentinels) == 0 || v.named != "" {
				return nil
			}
			return []seen{{detail: "SENTINEL GET-MASTER-ADDR-BY-NAME " + v.Survey.MasterName + ": no address"}}
		},
	},
	{
		Code: health.CodeSentinelMasterSilent, Severity: health.SeverityError, Title: "The master does not answer",
		Why:  "Memory answers reads, and writes are kept, until there is another master.",
		Fix:  "Look at the master's host. The sentinels begin a failover after down-after-milliseconds. SENTINEL FAILOVER NAME begins one now.",
		When: "the master does not answer here, and the sentinels do not reach it either",
		find: func(v *view) (all []seen) {
			for _, n := range v.silentNodes() {
				if v.held(n) && v.same(n.Addr, v.named) {
					all = append(all, seen{subject: n.Addr, detail: v.heldText(n)})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeSentinelMasterDemoted, Severity: health.SeverityError, Title: findings.Explain(findings.Demoted).Title,
		Why:  "It refuses writes. The sentinels announce a server that is no master.",
		Fix:  "Find out who ran REPLICAOF or FAILOVER there. Undo it with REPLICAOF NO ONE, or wait: the sentinels name another master after some 20 s. Under Sentinel use SENTINEL FAILOVER NAME only.",
		When: "the server that the sentinels name says ROLE slave",
		find: func(v *view) []seen {
			if v.mode() != health.ModeSentinel || v.master == nil || v.master.Role.Name != "replica" {
				return nil
			}
			return []seen{{subject: v.named, detail: "ROLE: slave of " + v.master.Role.Master + "; the sentinels name it the master"}}
		},
	},
	{
		Code: health.CodeSentinelTwoMasters, Severity: health.SeverityError, Title: "A second server says that it is a master",
		Why:  "Clients that reach it write what is lost when it becomes a replica again.",
		Fix:  "Find out who ran REPLICAOF NO ONE there, or started it anew. Make it a replica: redis-cli -h HOST REPLICAOF MASTER PORT. The sentinels do so after about ten seconds, where they know it.",
		When: "a server that the sentinels do not name as the master says ROLE master; a warning in the first seconds after a failover, or after its start",
		find: rivals,
	},
	{
		Code: health.CodeRedisReplica, Severity: health.SeverityError, Title: findings.Explain(findings.ReadOnly).Title,
		Why:  "It refuses writes.",
		Fix:  findings.Explain(findings.ReadOnly).Fix,
		When: "the single server says ROLE slave",
		find: func(v *view) []seen {
			if v.mode() != health.ModeStandalone || v.master == nil || v.master.Role.Name != "replica" {
				return nil
			}
			return []seen{{subject: v.master.Addr, detail: "ROLE: slave of " + v.master.Role.Master}}
		},
	},
	{
		Code: "redis-standalone-replicas", Severity: health.SeverityInfo, Title: "The single server has replicas",
		Why:  "If it fails, nobody is promoted for this process: it knows this server only.",
		Fix:  "If sentinels watch it, use Sentinel mode: docs/guide/migrate.md. evercache doctor --plan sentinel says what that would meet.",
		When: "in standalone mode, the server lists replicas",
		find: func(v *view) []seen {
			if v.mode() != health.ModeStandalone || v.master == nil || v.master.Role.Name != "master" || len(v.master.Role.Replicas) == 0 {
				return nil
			}
			return []seen{{subject: v.master.Addr, detail: fmt.Sprintf("ROLE: master with %d replicas", len(v.master.Role.Replicas))}}
		},
	},
	{
		Code: health.CodeSentinelNoReplica, Severity: health.SeverityError, Title: "No replica can be promoted",
		Why:  "If the master fails, there is no failover.",
		Fix:  "Start a replica again, or let one be promoted: redis-cli -h REPLICA CONFIG SET replica-priority 100.",
		When: "every replica has priority 0, is away, or is not connected to the master",
		find: noReplica,
	},
}

// rivals are the servers that say that they are masters beside the one that the sentinels name.
func rivals(v *view) (all []seen) {
	for _, n := range v.nodes {
		if v.mode() != health.ModeSentinel || v.failingOver() || v.named == "" || n.Role.Name != "master" || slices.Contains(n.Names(), v.named) {
			continue
		}
		x := seen{subject: n.Addr, detail: "ROLE: master; the sentinels name " + v.named}
		if v.toBeDemoted(n) {
			x.severity, x.title = health.SeverityWarning, "A server that is to become a replica still says that it is a master"
			x.fix = "Wait: the sentinels make it a replica within some ten seconds. Run this again then. To close the window for good: min-replicas-to-write 1 on every node."
		}
		all = append(all, x)
	}
	return all
}

// demotedWithin is how long a sentinel may take to make an old master a replica: it first waits for some
// eight seconds, and asks for the role each ten.
const demotedWithin = 20 * time.Second

// toBeDemoted reports whether a second master is one that a failover has just replaced, or that was started
// anew a moment ago, and the sentinels have it on their list of replicas.
func (v *view) toBeDemoted(n *survey.Node) bool {
	return len(v.entries(n)) > 0 && (v.replacedLately() || v.restarted(n))
}

// restarted reports whether a server runs only since a moment ago, and the master for longer.
func (v *view) restarted(n *survey.Node) bool {
	if v.master == nil {
		return false
	}
	up, ok := n.Info.Int("uptime_in_seconds")
	masters, known := v.master.Info.Int("uptime_in_seconds")
	const apart = 5 // seconds: not started together
	return ok && known && up < int64(demotedWithin/time.Second) && masters-up >= apart
}

// replacedLately reports whether the sentinels have named another master a moment ago.
func (v *view) replacedLately() bool {
	return slices.ContainsFunc(v.sentinels, func(s *survey.Sentinel) bool {
		since, ok := s.Master.Millis("role-reported-time")
		epoch, _ := s.Master.Int("config-epoch")
		return ok && epoch > 0 && since < demotedWithin
	})
}

func noReplica(v *view) []seen {
	if len(v.sentinels) == 0 || v.failingOver() {
		return nil
	}
	var texts []string
	for _, r := range v.replicaEntries() {
		why := v.unpromotable(r)
		if why == "" {
			return nil
		}
		texts = append(texts, r.Addr()+" "+why)
	}
	if len(texts) == 0 {
		return []seen{{detail: "SENTINEL REPLICAS " + v.Survey.MasterName + ": none"}}
	}
	return []seen{{detail: "SENTINEL REPLICAS " + v.Survey.MasterName + ": " + list(texts)}}
}

// unpromotable is why a replica cannot take over; "": it can.
func (v *view) unpromotable(r survey.Fields) string {
	priority := r["slave-priority"]
	if n := v.node(r.Addr()); n != nil && n.Config["replica-priority"] != "" { // the newer word
		priority = n.Config["replica-priority"]
	}
	down, _ := r.Int("master-link-down-time")
	switch {
	case priority == "0":
		return "has replica-priority 0"
	case r.Flag("s_down") || r.Flag("o_down") || r.Flag("disconnected") && v.node(r.Addr()) == nil:
		return "is away (flags " + r["flags"] + ")"
	case r["master-link-status"] == "err" && down > lateOK && v.node(r.Addr()) == nil:
		return "is not connected to its master"
	}
	return ""
}
