package findings

import "github.com/evercache/evercache/health"

// Away says why no master is in use.
type Away struct {
	Reason Reason
	Cause  string // the error's text
	Addr   string // of the one server; "": Sentinel mode
	// Default is the address at which nobody has said that there is a Redis, and
	// none is; "": somebody has.
	Default string
}

// away says why no master is in use and what to do about it.
func away(a Away, r health.Report) health.Finding {
	f := explain(a.Reason)
	f.Detail = a.Cause
	if a.Addr != "" {
		f.Detail = a.Addr + ": " + f.Detail
	}
	if a.Default != "" {
		f = unconfigured
		f.Detail = "nothing answers at the default address " + a.Default + ". What is written is lost when this process ends"
	}
	if r.Sentinel != nil && a.Reason == Silent {
		f.Detail = silentDetail(r.Sentinel)
	}
	return f
}

// Explain is what a reason is reported as: code, severity, title and fix.
func Explain(r Reason) health.Finding { return explain(r) }

// ExplainOne is the same about one server of several, where the others may be well.
func ExplainOne(r Reason) health.Finding {
	f := explain(r)
	for _, t := range byTrouble {
		if t.reason == r {
			f.Title, f.Fix = t.finding.Title, t.finding.Fix
		}
	}
	for _, k := range clusterKinds {
		if r != Unreachable && k.reason == r {
			f.Title, f.Fix = k.finding.Title, k.finding.Fix
		}
	}
	return f
}

// explain finds what the cause of an outage is called.
func explain(r Reason) health.Finding {
	if f, ok := sentinelTrouble(r); ok {
		return f
	}
	if f, ok := clusterKind(r); ok {
		return f
	}
	for _, table := range []map[Reason]health.Finding{fences, causes} {
		if f, ok := table[r]; ok {
			return f
		}
	}
	if f, ok := replies[r]; ok {
		f.Severity = health.SeverityError
		return f
	}
	return outOfReach
}

var (
	unconfigured = health.Finding{
		Code: health.CodeRedisNotConfigured, Severity: health.SeverityInfo, Title: "No Redis is configured: the cache is in memory only",
		Fix: "Nothing to do if that is meant. Otherwise set REDIS_HOST, REDIS_URL, REDIS_SENTINELS or REDIS_CLUSTER_NODES.",
	}
	outOfReach = health.Finding{
		Code: health.CodeRedisUnreachable, Severity: health.SeverityError, Title: "Redis cannot be reached",
		Fix: "Check that the server runs and that its address, port and firewall are right.",
	}
)

// causes explain what has happened.
var causes = map[Reason]health.Finding{
	IsSentinel: {
		Code: health.CodeRedisIsSentinel, Severity: health.SeverityError, Title: "The configured server is a sentinel, not a Redis server with data",
		Fix: "Set REDIS_HOST and REDIS_PORT to the server (6379 mostly); or use Sentinel mode: REDIS_SENTINEL_ENABLED, REDIS_SENTINELS and REDIS_SENTINEL_MASTER_NAME.",
	},
	NotRedis: {
		Code: health.CodeRedisNotRedis, Severity: health.SeverityError, Title: "The server at the configured address is not Redis",
		Fix: "Check REDIS_HOST and REDIS_PORT.",
	},
	WantsTLS: {
		Code: health.CodeRedisTLS, Severity: health.SeverityError, Title: "Redis requires TLS on this port, and evercache does not use TLS",
		Fix: "Set REDIS_TLS=true, and REDIS_TLS_CA_FILE where the CA is your own; or use the port without TLS (REDIS_PORT).",
	},
	SpeaksPlain: {
		Code: health.CodeRedisTLS, Severity: health.SeverityError, Title: "evercache uses TLS, and Redis does not use TLS on this port",
		Fix: "Use the TLS port of the server (REDIS_PORT; tls-port in redis.conf), or unset REDIS_TLS.",
	},
	Unresolved: {
		Code: health.CodeRedisUnresolved, Severity: health.SeverityError, Title: "The name of Redis cannot be resolved",
		Fix: "Check the name in REDIS_HOST or REDIS_URL (getent hosts NAME), and the DNS of this machine.",
	},
	NoDatabase: {
		Code: health.CodeRedisDB, Severity: health.SeverityError, Title: "Redis has no database of the configured number",
		Fix: "Lower REDIS_DB, or raise databases in redis.conf.",
	},
	Slow: {
		Code: health.CodeRedisSlow, Severity: health.SeverityError, Title: "Redis answers too slowly to be used",
		Fix: "Look for slow commands (SLOWLOG GET), swapping, a saturated network; raise the read and write timeouts if this latency is normal.",
	},
	NoMaster: {
		Code: health.CodeSentinelNoMaster, Severity: health.SeverityError, Title: "No sentinel names a master that answers as one",
		Fix: "Check whether the addresses that the sentinels announce (redis-cli -p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME) can be reached from this machine; if not, set REDIS_ADDRESS_MAP.",
	},
	NoFailover: {
		Code: health.CodeSentinelNoFailover, Severity: health.SeverityError, Title: "The master is down and no failover happens",
		Fix: "Check that a majority of the sentinels run and see each other (SENTINEL CKQUORUM), and that a replica can be promoted.",
	},
	TwoServers: twoServers,
}

// replies explain what Redis answers, or that it does not.
var replies = map[Reason]health.Finding{
	TimedOut: {
		Code: health.CodeRedisTimeout, Title: "Redis accepts connections but does not answer in time",
		Fix: "Check whether the server hangs (redis-cli PING), is paused (CLIENT PAUSE), swaps or runs a long script. Check whether a firewall drops packets.",
	},
	Handshake: {
		Code: health.CodeRedisTLS, Title: "The TLS handshake with Redis failed",
		Fix: "Check REDIS_TLS, the CA, the certificate's names (REDIS_TLS_SERVER_NAME) and whether the server wants a client certificate.",
	},
	ReadOnly: {
		Code: health.CodeRedisReplica, Title: "The configured server is a replica, not a master",
		Fix: "Point REDIS_HOST at the master, or use Sentinel mode, which follows it.",
	},
	Loading: {
		Code: health.CodeRedisLoading, Title: "Redis is loading its data from disk",
		Fix: "Wait: it is used as soon as it is ready. INFO persistence shows loading_eta_seconds.",
	},
	MasterDown: {
		Code: health.CodeRedisMasterDown, Title: "The configured server is a replica whose master is down",
		Fix: "Point REDIS_HOST at the master, or use Sentinel mode, which follows it.",
	},
	Login: {
		Code: health.CodeRedisAuth, Title: "Redis refuses the login",
		Fix: "Check REDIS_USERNAME and REDIS_PASSWORD, or REDIS_PASSWORD_FILE, which is read again at every attempt.",
	},
	Rights: {
		Code: health.CodeRedisNoPerm, Title: "The Redis ACL forbids what evercache needs",
		Fix: "Give the user the commands and the key patterns that docs/operations.md lists.",
	},
	MaxClients: {
		Code: health.CodeRedisMaxClients, Title: "Redis accepts no more connections",
		Fix: "Raise maxclients, or find out who uses the connections (CLIENT LIST).",
	},
	ClusterNode: {
		Code: health.CodeRedisClusterNode, Title: "The configured server is a node of a Redis Cluster",
		Fix: "Use Cluster mode: set REDIS_CLUSTER_NODES to some of its nodes, and unset REDIS_HOST, REDIS_PORT and REDIS_URL: docs/guide/cluster.md.",
	},
	CommandMissing: {
		Code: health.CodeRedisCommandMissing, Title: "Redis does not have a command that evercache requires",
		Fix: "Remove the rename-command line of this command from redis.conf, or use a server that has it.",
	},
	UnknownReply: {
		Code: health.CodeRedisUnknownReply, Title: "Redis answers with an error that evercache does not know",
		Fix: "Read the error. A proxy or a managed service often answers with errors of its own: see its log, or connect to the server directly.",
	},
	Busy: {
		Code: health.CodeRedisBusy, Title: "A script blocks Redis",
		Fix: "End it with SCRIPT KILL or FUNCTION KILL.",
	},
}
