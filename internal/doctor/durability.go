package doctor

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

var durabilityChecks = []Check{
	{
		Code: "redis-no-persistence", Severity: health.SeverityWarning, Title: "A master keeps nothing on its disk",
		Why:  "If it restarts before the sentinels, or the other masters, notice, it comes back empty, and its replicas empty themselves too. evercache puts back the last minute of its own writes.",
		Fix:  "redis-cli CONFIG SET appendonly yes on every node, and in redis.conf. Or let nothing restart a failed master sooner than a failover takes.",
		When: "save is empty and appendonly is no; info for a single server",
		find: func(v *view) (all []seen) {
			for _, n := range v.masters() {
				save, known := n.Config["save"]
				if !known || save != "" || n.Config["appendonly"] != "no" {
					continue
				}
				s := seen{subject: n.Addr, detail: `CONFIG GET save: "", appendonly: no`}
				if v.mode() == health.ModeStandalone {
					s.severity = health.SeverityInfo
				}
				all = append(all, s)
			}
			return all
		},
	},
	{
		Code: "redis-min-replicas-off", Severity: health.SeverityInfo, Title: "A master takes writes without any replica",
		Why:  "A master that is cut off, or that comes back after a failover, goes on taking writes of other clients, which are lost. evercache sends its own again.",
		Fix:  "redis-cli CONFIG SET min-replicas-to-write 1 on every node, and in redis.conf.",
		When: "min-replicas-to-write is 0, and the master has two or more replicas",
		find: func(v *view) []seen {
			return v.eachMin(func(least, online, all int64) bool { return least == 0 && all > 1 })
		},
	},
	{
		Code: health.CodeRedisNoReplicas, Severity: health.SeverityError, Title: "Redis refuses writes because too few replicas are connected",
		Why:  "Reads are answered. Writes are kept until enough replicas are back.",
		Fix:  "Bring the replicas back, or lower min-replicas-to-write.",
		When: "fewer replicas are online, and no further behind than min-replicas-max-lag, than min-replicas-to-write",
		find: func(v *view) []seen {
			return v.eachMin(func(least, online, all int64) bool { return online < least })
		},
	},
	{
		Code: "redis-min-replicas-high", Severity: health.SeverityWarning, Title: "One lost replica stops all writes",
		Why:  "min-replicas-to-write is as high as the number of replicas. After a failover there is one fewer.",
		Fix:  "Lower it below the number of replicas, or add a replica: redis-cli CONFIG SET min-replicas-to-write 1.",
		When: "min-replicas-to-write is not below the number of replicas",
		find: func(v *view) []seen {
			return v.eachMin(func(least, online, all int64) bool { return least > 0 && least >= all && online >= least })
		},
	},
	{
		Code: "redis-settings-differ", Severity: health.SeverityWarning, Title: "The nodes have different settings",
		Why:  "After a failover the new master keeps, evicts or refuses other things than the old one.",
		Fix:  "Give all nodes the same: redis-cli CONFIG SET, and CONFIG REWRITE or redis.conf.",
		When: "appendonly, maxmemory, maxmemory-policy or min-replicas-to-write differ among nodes, or only some have a save; a replica with priority 0 does not count",
		find: func(v *view) (all []seen) {
			for _, name := range []string{"appendonly", "save", "maxmemory", "maxmemory-policy", "min-replicas-to-write"} {
				if by := v.settingBy(name); len(by) > 1 {
					all = append(all, seen{detail: fmt.Sprintf("CONFIG GET %s: %s", name, strings.Join(valuesText(by), "; "))})
				}
			}
			return all
		},
	},
	{
		Code: "redis-no-config-file", Severity: health.SeverityInfo, Title: "A server runs without a configuration file",
		Why:  "What a failover changes is not kept: a master that was replaced comes back as a master, and takes writes for some ten seconds, which are lost.",
		Fix:  "Start it with a file that it can write: redis-server /etc/redis/redis.conf. With min-replicas-to-write 1 a master that comes back alone takes no writes.",
		When: "in Sentinel mode, INFO shows no config_file; min-replicas-to-write is 0",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				file, known := n.Info["config_file"]
				if v.mode() == health.ModeSentinel && known && file == "" && n.Config["min-replicas-to-write"] == "0" {
					all = append(all, seen{subject: n.Addr, detail: "INFO server: config_file is empty"})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeRedisMisconf, Severity: health.SeverityError, Title: findings.Explain(findings.Misconf).Title,
		Why:  "Reads are answered. Writes are kept until a save succeeds.",
		Fix:  findings.Explain(findings.Misconf).Fix,
		When: "the last save or the last write of the append-only file failed",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if text := failedSave(n); text != "" {
					all = append(all, seen{subject: n.Addr, detail: "INFO persistence: " + text})
				}
			}
			return all
		},
	},
}

// settingBy is a setting of the nodes that are a master, or may become one. Of save it counts only where
// nothing else is kept, and only whether there is any.
func (v *view) settingBy(name string) map[string][]string {
	by := map[string][]string{}
	for _, n := range v.nodes {
		value, ok := n.Config[name]
		switch {
		case !ok, n.Role.Name == "replica" && n.Config["replica-priority"] == "0":
			continue
		case name == "save" && n.Config["appendonly"] == "yes":
			continue
		case name == "save" && value != "":
			value = "set"
		}
		by[value] = append(by[value], n.Addr)
	}
	return by
}

// eachMin are the masters of which something is true of min-replicas-to-write, the
// replicas that are online, and all of them.
func (v *view) eachMin(wrong func(least, online, all int64) bool) (out []seen) {
	if v.failingOver() {
		return nil
	}
	for _, n := range v.masters() {
		least, ok := n.Config.Int("min-replicas-to-write")
		online := int64(0)
		for _, a := range n.Role.Replicas {
			if a.State == "online" {
				online++
			}
		}
		known := max(online, v.replicasKnown(n))
		detail := fmt.Sprintf("CONFIG GET min-replicas-to-write: %d; replicas online: %d", least, online)
		if good, counted := n.Info.Int("min_slaves_good_slaves"); counted && good < online { // without those that lag
			online, detail = good, detail+fmt.Sprintf("; INFO replication: min_slaves_good_slaves:%d", good)
		}
		if ok && n.Role.Name == "master" && wrong(least, online, known) {
			out = append(out, seen{subject: n.Addr, detail: detail})
		}
	}
	return out
}

// replicasKnown is how many replicas a master is known to have.
func (v *view) replicasKnown(n *survey.Node) int64 {
	all := int64(len(n.Role.Replicas))
	if v.mode() == health.ModeSentinel {
		for _, s := range v.sentinels {
			k, _ := s.Master.Int("num-slaves")
			all = max(all, k)
		}
	}
	return all
}

func failedSave(n *survey.Node) string {
	switch {
	case n.Info["aof_last_write_status"] == "err":
		return "aof_last_write_status:err"
	case n.Info["rdb_last_bgsave_status"] == "err" && n.Config["save"] != "":
		return "rdb_last_bgsave_status:err"
	}
	return ""
}
