package evercache

import (
	"errors"
	"net"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

// awayFinding says why no master is in use and what to do about it.
func (c *Client) awayFinding(cause error) Finding {
	if cause == nil {
		cause = errNotYet
	}
	f := explain(cause)
	f.Detail = cause.Error()
	if c.opts.mode() == Standalone {
		f.Detail = c.opts.Addr + ": " + f.Detail
	}
	if c.unconfigured(cause) {
		f = unconfigured
		f.Detail = "none answers at the default address " + c.opts.Addr + " either: what is written is gone when this process ends"
	}
	return f
}

// away is awayFinding with what the sentinels show.
func (c *Client) away(cause error, h *SentinelHealth) Finding {
	f := c.awayFinding(cause)
	if h != nil && errors.Is(cause, watch.ErrSilent) {
		f.Detail = silentDetail(h)
	}
	return f
}

// unconfigured reports that nobody has said where Redis is and that none is at the
// default address: memory is all there is, and nothing is missing.
func (c *Client) unconfigured(cause error) bool {
	return !c.opts.MemoryOnly && c.memoryIsAll() && (cause == errNotYet || explain(cause).Code == outOfReach.Code)
}

// explain finds what the cause of an outage is called. What has happened counts
// before the kind of reply that it was noticed by.
func explain(cause error) Finding {
	if e, ok := errors.AsType[*watch.SentinelError](cause); ok {
		return sentinelTrouble(watch.BlameFor(e.Err))
	}
	for _, fence := range fences {
		if errors.Is(cause, fence.is) {
			return fence.finding
		}
	}
	k := remote.KindOf(cause)
	switch _, unresolved := errors.AsType[*net.DNSError](cause); {
	case errors.Is(cause, remote.ErrWantsTLS):
		return wantsTLS
	case errors.Is(cause, remote.ErrPlain):
		return speaksPlain
	case unresolved:
		return unresolvable
	case errors.Is(cause, remote.ErrNotRedis):
		return notRedis
	case errors.Is(cause, remote.ErrSentinel):
		return isSentinel
	case errors.Is(cause, remote.ErrNoDatabase):
		return noDatabase
	case errors.Is(cause, remote.ErrTwoServers):
		return twoServers
	case errors.Is(cause, watch.ErrNoMaster) && k != remote.Conn: // what an operator has to mend
		return kindFinding(k)
	case errors.Is(cause, watch.ErrNoMaster):
		return noMaster
	case errors.Is(cause, watch.ErrGivenUp):
		return noFailover
	case remote.WasSlow(cause):
		return tooSlow
	}
	return kindFinding(k)
}

var (
	unconfigured = Finding{
		Code: "redis-not-configured", Severity: Info, Title: "No Redis is configured: memory is all there is",
		Fix: "Nothing to do if that is meant. Otherwise set REDIS_HOST, REDIS_URL or REDIS_SENTINELS.",
	}
	notRedis = Finding{
		Code: "redis-not-redis", Severity: Error, Title: "What answers there is not Redis",
		Fix: "Check REDIS_HOST and REDIS_PORT.",
	}
	isSentinel = Finding{
		Code: "redis-is-sentinel", Severity: Error, Title: "What answers there is a sentinel, not a Redis server with data",
		Fix: "Set REDIS_HOST and REDIS_PORT to the server (6379 mostly); or use Sentinel mode: REDIS_SENTINEL_ENABLED, REDIS_SENTINELS and REDIS_SENTINEL_MASTER_NAME.",
	}
	wantsTLS = Finding{
		Code: "redis-tls", Severity: Error, Title: "Redis speaks TLS on this port, and we do not",
		Fix: "Set REDIS_TLS=true, and REDIS_TLS_CA_FILE where the CA is your own; or use the port without TLS (REDIS_PORT).",
	}
	speaksPlain = Finding{
		Code: "redis-tls", Severity: Error, Title: "We speak TLS, and Redis does not on this port",
		Fix: "Use the TLS port of the server (REDIS_PORT; tls-port in redis.conf), or unset REDIS_TLS.",
	}
	unresolvable = Finding{
		Code: "redis-unresolved", Severity: Error, Title: "The name of Redis cannot be resolved",
		Fix: "Check the name in REDIS_HOST or REDIS_URL (getent hosts NAME), and the DNS of this machine.",
	}
	noDatabase = Finding{
		Code: "redis-db", Severity: Error, Title: "Redis has no database of the configured number",
		Fix: "Lower REDIS_DB, or raise databases in redis.conf.",
	}
	tooSlow = Finding{
		Code: "redis-slow", Severity: Error, Title: "Redis answers too slowly to be used",
		Fix: "Look for slow commands (SLOWLOG GET), swapping, a saturated network; raise the read and write timeouts if this latency is normal.",
	}
	noMaster = Finding{
		Code: "sentinel-no-master", Severity: Error, Title: "No sentinel names a master that answers as one",
		Fix: "Check whether the addresses that the sentinels announce (redis-cli -p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME) can be dialled from here; if not, set REDIS_ADDRESS_MAP.",
	}
	noFailover = Finding{
		Code: "sentinel-no-failover", Severity: Error, Title: "The master is gone and no failover comes",
		Fix: "Check that a majority of the sentinels run and see each other (SENTINEL CKQUORUM), and that a replica can be promoted.",
	}
	outOfReach = Finding{
		Code: "redis-unreachable", Title: "Redis cannot be reached",
		Fix: "Check that the server runs and that its address, port and firewall are right.",
	}
)

// kindFinding explains a reply, or that there was none.
func kindFinding(k remote.Kind) Finding {
	f, ok := byKind[k]
	if !ok {
		f = outOfReach
	}
	f.Severity = Error
	return f
}

var byKind = map[remote.Kind]Finding{
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
		Fix: "Check REDIS_USERNAME and REDIS_PASSWORD, or REDIS_PASSWORD_FILE, which is read again at every attempt.",
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
	remote.Lacks: {
		Code: "redis-command-missing", Title: "Redis lacks a command that evercache cannot do without",
		Fix: "Take the command out of rename-command in redis.conf, or use a server that has it.",
	},
	remote.UnknownReply: {
		Code: "redis-unknown-reply", Title: "Redis answers with an error that evercache does not know",
		Fix: "Read the error. A proxy or a managed service between often speaks in words of its own: see its log, or connect to the server itself.",
	},
	remote.Busy: {
		Code: "redis-busy", Title: "A script blocks Redis",
		Fix: "End it with SCRIPT KILL or FUNCTION KILL.",
	},
}
