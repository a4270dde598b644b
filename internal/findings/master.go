package findings

import "github.com/evercache/evercache/health"

// Master is what the master in use says of us.
type Master struct {
	Refused   Reason // why it takes no writes: OOM, Misconf, NoReplicas
	Forbidden error  // by the ACL, within the last minute
	Mute      string // the heartbeat's keys, which the ACL forbids; "": it does not
	NoScripts bool   // scripts cannot be run
	Missing   []Command
	Puzzled   error // a reply that we do not know, within the last minute
	TooLong   error // a value was not read for its size, within the last hour
	Apart     bool  // its address reaches two servers

	NeverEvicts bool
	Evicts      string // by which policy; "": not known

	Version              string // of the Redis that it is compatible to
	Before6_0, Before6_2 bool
}

// Command is one that Redis lacks.
type Command struct {
	Name      string
	Forbidden bool // by the ACL; else the server does not have it
}

// masters tell what a master that answers does not do for us.
func masters(s Master, r health.Report) (fs []health.Finding) {
	if f, ok := refusals[s.Refused]; ok {
		f.Severity = health.SeverityError
		f.Detail = "reads are answered; writes are kept " + keptIn(r.Journal) + " until it takes them again"
		fs = append(fs, f)
	}
	if s.Forbidden != nil {
		f := explain(Rights)
		f.Detail = s.Forbidden.Error()
		fs = append(fs, f)
	}
	if s.Mute != "" {
		fs = append(fs, health.Finding{
			Code: health.CodeRedisHeartbeatForbidden, Severity: health.SeverityWarning,
			Title:  "The Redis ACL forbids the heartbeat's key",
			Detail: "forbidden: writing " + s.Mute + ". A server that takes no writes is noticed at a caller's write only, and which writes a failover or a restart has lost cannot be told: all that are kept are sent again",
			Fix:    "Allow the user the keys <prefix>~*.",
		})
	}
	if r.Feed.Cause != nil {
		fs = append(fs, health.Finding{
			Code: health.CodeRedisFeed, Severity: health.SeverityWarning,
			Title:  "Redis does not announce what other processes change",
			Detail: r.Feed.Cause.Error() + "; what memory holds is served for at most L1TTL (5 s) without asking, and never called coherent; what Redis itself has just answered may be",
			Fix:    "Allow the user CLIENT TRACKING (ACL: +client|tracking), and let no proxy stand between that speaks RESP2 only.",
		})
	}
	if s.NoScripts {
		fs = append(fs, health.Finding{
			Code: health.CodeRedisScriptsForbidden, Severity: health.SeverityWarning,
			Title:  "Redis does not let us run scripts",
			Detail: "deletes leave no tombstone, a load that began before a delete elsewhere may bring the old value back, and what an outage kept is sent without a look at what others wrote since",
			Fix:    "Allow the user EVALSHA, EVAL and SCRIPT LOAD (ACL: +eval +evalsha +script|load), and give the server what they call (see redis-command-missing, if it is there).",
		})
	}
	if !s.NeverEvicts {
		fs = append(fs, evicts(s.Evicts))
	}
	return append(fs, server(s)...)
}

// evicts is about a server that may evict keys.
func evicts(policy string) health.Finding {
	f := health.Finding{
		Code: health.CodeRedisEvicts, Severity: health.SeverityInfo,
		Title:  "Redis evicts keys when its memory is full",
		Detail: "maxmemory-policy is " + policy + ". When keys were evicted in an outage, or Redis was restarted or replaced in it, the keys of kept writes are deleted instead of written: Redis may have lost what tells whether they are the newest",
		Fix:    "Set maxmemory-policy to noeviction, and give Redis memory enough. A volatile policy does not help: what tells the order expires, so it is evicted too.",
	}
	if policy == "" {
		f.Title = "It is not known whether Redis evicts keys"
		f.Detail = "INFO is forbidden, or does not tell. The keys of kept writes are deleted instead of written: Redis may have lost what tells whether they are the newest"
		f.Fix = "Allow the user INFO (ACL: +info)."
		f.Severity = health.SeverityWarning
	}
	return f
}

// refusals explain a master that answers but takes no writes.
var refusals = map[Reason]health.Finding{
	OOM: {
		Code: health.CodeRedisOOM, Title: "Redis has reached maxmemory and refuses writes",
		Fix: "Raise maxmemory (redis-cli CONFIG SET maxmemory, and in redis.conf). An eviction policy makes room too, but then some kept writes are deleted instead of written (redis-evicts).",
	},
	Misconf: {
		Code: health.CodeRedisMisconf, Title: "Redis refuses writes because its last save failed",
		Fix: "Free disk space or repair the save directory; see the server's log.",
	},
	NoReplicas: {
		Code: health.CodeRedisNoReplicas, Title: "Redis refuses writes because too few replicas are connected",
		Fix: "Bring the replicas back, or lower min-replicas-to-write.",
	},
}

// keptIn says where a write is kept that Redis has not taken.
func keptIn(j health.Journal) string {
	switch {
	case !j.Enabled:
		return "in memory"
	case j.Err != nil:
		return "in memory only, and answered with an error since the journal cannot be written,"
	}
	return "in memory and in the journal"
}
