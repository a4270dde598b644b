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

// Troubled reports whether there is something to report of it.
func (s *Master) Troubled() bool {
	var none Reason
	return s.Refused != none || s.Forbidden != nil || s.Mute != "" || s.NoScripts || len(s.Missing) > 0 ||
		s.Puzzled != nil || s.TooLong != nil || s.Apart || s.Before6_0
}

// Command is one that Redis lacks.
type Command struct {
	Name      string
	Forbidden bool // by the ACL; else the server does not have it
}

// masters reports what a master that answers does not do for us.
func masters(s Master, r health.Report) (fs []health.Finding) {
	if f, ok := refusals[s.Refused]; ok {
		f.Severity = health.SeverityError
		f.Detail = "reads are answered; writes are kept " + keptIn(r.Journal) + " until Redis accepts them again"
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
			Detail: "forbidden: writing " + s.Mute + ". A server that refuses writes is noticed only when a caller writes. After a failover or a restart it is not known which writes were lost, so all kept writes are sent again",
			Fix:    "Allow the user the keys <prefix>~*.",
		})
	}
	if r.Feed.Cause != nil {
		fs = append(fs, health.Finding{
			Code: health.CodeRedisFeed, Severity: health.SeverityWarning,
			Title:  "Redis does not announce what other processes change",
			Detail: r.Feed.Cause.Error() + "; values in memory are served for at most L1TTL (5 s) and are never coherent. A value that Redis has just answered may be coherent",
			Fix:    "Allow the user CLIENT TRACKING (ACL: +client|tracking), and use no proxy that speaks only RESP2.",
		})
	}
	if s.NoScripts {
		fs = append(fs, health.Finding{
			Code: health.CodeRedisScriptsForbidden, Severity: health.SeverityWarning,
			Title:  "Redis does not allow scripts",
			Detail: "deletes leave no tombstone. A load that began before a delete in another process may bring the old value back. Kept writes are sent without checking for newer writes of others",
			Fix:    "Allow the user EVALSHA, EVAL and SCRIPT LOAD (ACL: +eval +evalsha +script|load), and the commands that scripts call (see redis-command-missing, if it is reported).",
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
		Detail: "maxmemory-policy is " + policy + ". If keys were evicted during an outage, or Redis was restarted or replaced during it, the keys of kept writes are deleted instead of written: Redis may no longer know whether these writes are the newest",
		Fix:    "Set maxmemory-policy to noeviction, and give Redis enough memory. A volatile policy does not help: the keys that record the order have a TTL, so they are evicted too.",
	}
	if policy == "" {
		f.Title = "It is not known whether Redis evicts keys"
		f.Detail = "INFO is forbidden, or does not say it. The keys of kept writes are deleted instead of written: Redis may no longer know whether these writes are the newest"
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
		Fix: "Free disk space or repair the directory for snapshots; see the server's log.",
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
