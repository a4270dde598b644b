package doctor

import (
	"fmt"
	"strconv"
	"time"

	"github.com/evercache/evercache/health"
)

// forkSlow is how long a fork may stop a server.
const forkSlow = 500 * time.Millisecond

// backlogFor is how long a replica should be able to be away without a copy of all data.
const backlogFor = time.Minute

var loadChecks = []Check{
	{
		Code: "redis-fork-slow", Severity: health.SeverityWarning, Title: "A fork stops a server for long",
		Why:  "While it forks for a snapshot, a rewrite or a copy for a replica, it answers nobody. A sentinel may take it for dead.",
		Fix:  "Turn transparent huge pages off (/sys/kernel/mm/transparent_hugepage/enabled: never), give each server less memory, or save less often.",
		When: "latest_fork_usec is above half a second",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				usec, _ := n.Info.Int("latest_fork_usec")
				if took := time.Duration(min(usec, 1<<40)) * time.Microsecond; took > forkSlow {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("INFO stats: latest_fork_usec:%d", usec)})
				}
			}
			return all
		},
	},
	{
		Code: "redis-backlog-small", Severity: health.SeverityWarning, Title: "The replication backlog is small for the writes",
		Why:  "A replica that is away for a moment has to copy all data again. Until it has, it cannot be promoted well.",
		Fix:  "redis-cli CONFIG SET repl-backlog-size 64mb on every node, and in redis.conf: the writes of a minute or more.",
		When: "the writes of a minute, at the rate of this moment, do not fit into repl-backlog-size",
		find: smallBacklog,
	},
	{
		Code: "redis-keepalive-off", Severity: health.SeverityInfo, Title: "A server does not notice dead connections",
		Why:  "Connections of clients that are gone stay, and count for maxclients.",
		Fix:  "redis-cli CONFIG SET tcp-keepalive 60, and in redis.conf.",
		When: "tcp-keepalive is 0",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if n.Config["tcp-keepalive"] == "0" {
					all = append(all, seen{subject: n.Addr, detail: "CONFIG GET tcp-keepalive: 0"})
				}
			}
			return all
		},
	},
	{
		Code: "redis-timeout-short", Severity: health.SeverityInfo, Title: "A server closes idle connections within seconds",
		Why:  "A process that nobody uses asks its master every five seconds. Its connections are closed before that, and it is degraded for a moment.",
		Fix:  "redis-cli CONFIG SET timeout 0 on every node, and in redis.conf; or 60 seconds and more.",
		When: "timeout is between 1 and 5 seconds",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if s, err := strconv.Atoi(n.Config["timeout"]); err == nil && s > 0 && s <= 5 {
					all = append(all, seen{subject: n.Addr, detail: "CONFIG GET timeout: " + n.Config["timeout"]})
				}
			}
			return all
		},
	},
	{
		Code: "redis-clients-many", Severity: health.SeverityWarning, Title: "A server has few connections left",
		Why:  "When they are used up, nobody else is let in: no new process, and no client that reconnects.",
		Fix:  "Raise maxclients, or find out who uses the connections: redis-cli CLIENT LIST.",
		When: "connected_clients is above 90 % of maxclients",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				now, ok := n.Info.Int("connected_clients")
				most, known := n.Info.Int("maxclients")
				if !known {
					most, known = n.Config.Int("maxclients")
				}
				if ok && known && most > 0 && now*10 > most*9 {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("INFO clients: connected_clients:%d, maxclients:%d", now, most)})
				}
			}
			return all
		},
	},
}

// smallBacklog compares what a master sends to a replica with its backlog.
func smallBacklog(v *view) (all []seen) {
	for _, n := range v.masters() {
		rate, err := strconv.ParseFloat(n.Info["instantaneous_output_repl_kbps"], 64) // Redis 7: KiB a second, to all replicas
		size, ok := n.Config.Int("repl-backlog-size")
		if replicas := len(n.Role.Replicas); err == nil && ok && replicas > 0 && rate/float64(replicas)*1024*backlogFor.Seconds() > float64(size) {
			all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("INFO stats: instantaneous_output_repl_kbps:%s to %d replicas; CONFIG GET repl-backlog-size: %d", n.Info["instantaneous_output_repl_kbps"], replicas, size)})
		}
	}
	return all
}
