package evercache

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Health is a snapshot of what the client knows; taking it never dials.
func (c *Client) Health() Health {
	now, node, depth := c.status.get(), c.node.Load(), c.outbox.Depth()
	h := Health{
		State:         now.state,
		Since:         now.since,
		Mode:          c.opts.mode(),
		RequestedMode: *c.opts.RequestedMode,
		Connected:     node != nil && now.state != Closed,
		Master:        now.master,
		Cause:         now.cause,
		Findings:      slices.Clone(c.opts.Findings),
		Sentinel:      c.sentinelHealth(),
		OutboxEntries: depth.Entries,
		OutboxBytes:   depth.Bytes,
		Feed:          c.feedHealth(),
		Recovery:      c.recoveryHealth(),
		Journal:       c.journal.health(),
	}
	if c.opts.MemoryOnly || now.state == Connected {
		h.Cause = nil
	}
	if depth.Oldest != 0 {
		h.OutboxOldest = max(0, time.Duration(c.clock.precise()-depth.Oldest))
	}
	switch {
	case c.opts.MemoryOnly || now.state == Closed:
	case node == nil:
		h.Findings = append(h.Findings, c.awayFinding(now.cause))
	default:
		h.Findings = append(h.Findings, nodeFindings(node)...)
	}
	h.Findings = append(h.Findings, sentinelFindings(h.Sentinel)...)
	h.Findings = append(h.Findings, outboxFindings(h, depth.Overflowed)...)
	h.Findings = append(h.Findings, c.recoveryFindings(h, node)...)
	h.Findings = append(h.Findings, c.journal.findings()...)
	h.Findings = append(h.Findings, c.kit.told()...)
	return h
}

// awayFinding says why no master answers and what to do about it.
func (c *Client) awayFinding(cause error) Finding {
	if cause == nil {
		cause = errNotYet
	}
	f := findingOf(remote.KindOf(cause))
	if remote.WasSlow(cause) {
		f = slowFinding
	}
	if g, ok := watchFinding(cause); ok {
		f = g
	}
	if g, ok := misaddressed(cause); ok {
		f = g
	}
	f.Detail = cause.Error()
	if c.opts.mode() == Standalone {
		f.Detail = c.opts.Addr + ": " + f.Detail
	}
	if c.memoryIsAll() && (f.Code == "redis-unreachable" || cause == errNotYet) {
		f.Severity = Info
		f.Title = "No Redis is configured and none answers at the default address: memory is all there is"
		f.Fix = "Nothing to do if that is meant. Otherwise start Redis there, or set REDIS_HOST or REDIS_URL."
	}
	return f
}

var slowFinding = Finding{
	Code: "redis-slow", Severity: Error,
	Title: "Redis answers too slowly to be used",
	Fix:   "Look for slow commands (SLOWLOG GET), swapping, a saturated network; raise the read and write timeouts if this latency is normal.",
}

// misaddressed explains a server that answers, but is not the one that is meant.
func misaddressed(cause error) (Finding, bool) {
	switch {
	case errors.Is(cause, remote.ErrNotRedis):
		return Finding{
			Code: "redis-not-redis", Severity: Error, Title: "What answers there is not Redis",
			Fix: "Check host and port, and whether the port wants TLS (REDIS_TLS).",
		}, true
	case errors.Is(cause, remote.ErrNoDatabase):
		return Finding{
			Code: "redis-db", Severity: Error, Title: "Redis has no database of the configured number",
			Fix: "Lower REDIS_DB, or raise databases in redis.conf.",
		}, true
	}
	return Finding{}, false
}

// awayFindings explain an outage by the kind of its cause.
var awayFindings = map[remote.Kind]Finding{
	remote.Timeout: {
		Code: "redis-timeout", Title: "Redis accepts connections but does not answer in time",
		Fix: "Check whether the server hangs (redis-cli PING), is paused (CLIENT PAUSE), swaps or runs a long script, and whether a firewall drops packets.",
	},
	remote.TLS: {
		Code: "redis-tls", Title: "The TLS handshake with Redis failed",
		Fix: "Check REDIS_TLS, the CA, the certificate's names (REDIS_TLS_SERVER_NAME) and whether the server wants a client certificate.",
	},
	remote.ReadOnly: {
		Code: "redis-replica", Title: "The configured server is a replica, not a master",
		Fix: "Point REDIS_HOST at the master, or use Sentinel mode, which follows it.",
	},
	remote.Loading: {
		Code: "redis-loading", Title: "Redis is loading its data from disk",
		Fix: "Wait: it is used as soon as it is ready. INFO persistence shows loading_eta_seconds.",
	},
	remote.MasterDown: {
		Code: "redis-masterdown", Title: "The configured server is a replica whose master is down",
		Fix: "Point REDIS_HOST at the master, or use Sentinel mode, which follows it.",
	},
	remote.Auth: {
		Code: "redis-auth", Title: "Redis refuses our login",
		Fix: "Check REDIS_USERNAME and REDIS_PASSWORD or its file; the file is read again at every attempt.",
	},
	remote.NoPerm: {
		Code: "redis-noperm", Title: "The Redis ACL forbids what evercache needs",
		Fix: "Give the user the commands and the key patterns that docs/operations.md lists.",
	},
	remote.MaxClients: {
		Code: "redis-maxclients", Title: "Redis has no connection left for us",
		Fix: "Raise maxclients, or find who holds the connections (CLIENT LIST).",
	},
	remote.Moved: {
		Code: "redis-cluster-node", Title: "The configured server is a node of a Redis Cluster",
		Fix: "Cluster mode is not built yet: use one server or a Sentinel set.",
	},
	remote.Busy: {
		Code: "redis-busy", Title: "A script blocks Redis",
		Fix: "End it with SCRIPT KILL or FUNCTION KILL.",
	},
}

func findingOf(k remote.Kind) Finding {
	f, ok := awayFindings[k]
	if !ok {
		f = Finding{
			Code: "redis-unreachable", Title: "Redis cannot be reached",
			Fix: "Check that the server runs and that its address, port and firewall are right.",
		}
	}
	f.Severity = Error
	return f
}

// refusedFindings explain a master that answers but takes no writes.
var refusedFindings = map[remote.Kind]Finding{
	remote.OOM: {
		Code: "redis-oom", Title: "Redis has reached maxmemory and refuses writes",
		Fix: "Raise maxmemory, or set an eviction policy that fits a cache (maxmemory-policy allkeys-lfu).",
	},
	remote.Misconf: {
		Code: "redis-misconf", Title: "Redis refuses writes because its last save failed",
		Fix: "Free disk space or repair the save directory; see the server's log.",
	},
	remote.NoReplicas: {
		Code: "redis-noreplicas", Title: "Redis refuses writes because too few replicas are connected",
		Fix: "Bring the replicas back, or lower min-replicas-to-write.",
	},
}

func nodeFindings(n *remote.Node) (fs []Finding) {
	if f, ok := refusedFindings[n.Refused()]; ok {
		f.Severity = Error
		f.Detail = "reads are answered; writes are kept in memory until it takes them again"
		fs = append(fs, f)
	}
	if err := n.Forbidden(); err != nil {
		f := findingOf(remote.NoPerm)
		f.Detail = err.Error()
		fs = append(fs, f)
	}
	if n.HeartbeatForbidden() {
		fs = append(fs, Finding{
			Code: "redis-heartbeat-forbidden", Severity: Warning,
			Title: "The Redis ACL forbids the heartbeat's key",
			Fix:   "Allow the user the keys <prefix>~*, so that a server that takes no writes is noticed before a caller's write is.",
		})
	}
	return fs
}

func outboxFindings(h Health, overflowed uint64) (fs []Finding) {
	if h.OutboxEntries > 0 {
		fs = append(fs, Finding{
			Code: "outbox-pending", Severity: Warning,
			Title:  "Acknowledged writes wait in memory for a Redis master that takes them",
			Detail: fmt.Sprintf("waiting: %d, %d bytes, the oldest for %v", h.OutboxEntries, h.OutboxBytes, h.OutboxOldest.Round(time.Second)),
			Fix:    "Bring Redis back, or mend why it refuses them, before this process ends.",
		})
	}
	if overflowed > 0 {
		fs = append(fs, Finding{
			Code: "outbox-overflowed", Severity: Error,
			Title:  "The outbox was full: some keys will be deleted in Redis instead of written",
			Detail: fmt.Sprintf("%d writes", overflowed),
			Fix:    "Raise the outbox's bounds (EVERCACHE_OUTBOX_MEMORY), or shorten the outage.",
		})
	}
	return fs
}
