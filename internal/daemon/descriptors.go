package daemon

import (
	"fmt"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
)

// mostConnections bounds the open connections from callers, whatever the system
// grants: each costs memory.
const mostConnections = 1024

// What is kept of the file descriptors for everything but callers.
const (
	ownDescriptors  = 24 // listener, refusals, Redis twice over, journal and its rewrite, secrets, certificates, DNS
	setDescriptors  = 8  // the nodes of a Sentinel set
	perSentinel     = 3  // two connections, and one that is being made
	leastSentinels  = 5  // behind one DNS name
	perNode         = 6  // of a Cluster: one to ask, and of a master calls, heartbeat, large values and their replay, and one that is being made
	leastNodes      = 12 // behind the seeds
	fewConnections  = 128
	leastConnection = 4
)

// reserve is how many descriptors are not for callers.
func reserve(r evercache.Options) int {
	n := ownDescriptors
	if s := len(r.Sentinels); s > 0 {
		if s == 1 {
			s = leastSentinels
		}
		n += setDescriptors + perSentinel*s
	}
	if s := len(r.ClusterNodes); s > 0 {
		n += perNode * max(s, leastNodes)
	}
	return n
}

// connectionsWithin is how many connections callers may have, where limit
// descriptors are granted and open ones are in use before anything is opened.
// limit 0: the system has no such limit.
func connectionsWithin(limit uint64, open, reserve int) int {
	if limit == 0 || limit > 1<<20 {
		return mostConnections
	}
	return min(max(int(limit)-open-reserve, leastConnection), mostConnections)
}

// connectionsFor asks the system how many connections callers may have.
func connectionsFor(cfg config.Config) int {
	return connectionsWithin(descriptorLimit(), openDescriptors(), reserve(cfg.Redis))
}

// descriptorFindings tell of a limit that leaves little for callers, or nothing
// for Redis.
func descriptorFindings(most int) []health.Finding {
	if most >= fewConnections {
		return nil
	}
	f := health.Finding{
		Code: "few-descriptors", Severity: health.SeverityWarning,
		Title:  "The limit on open files leaves room for few callers",
		Detail: fmt.Sprintf("connections that are taken at the same time: %d; the rest of the limit is kept for Redis, the sentinels and the journal", most),
		Fix:    "Raise the limit on open files to 4096 or more (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker) and restart.",
	}
	if most == leastConnection {
		f.Severity = health.SeverityError
		f.Detail += "; the limit is so low that connections to Redis may fail too"
	}
	return []health.Finding{f}
}

// fullFindings tell that callers have every connection.
func (b *bounded) fullFindings() []health.Finding {
	if !b.full() {
		return nil
	}
	return []health.Finding{{
		Code: "connections-full", Severity: health.SeverityWarning,
		Title:  "Callers have every connection",
		Detail: fmt.Sprintf("open: %d; closed while they were quiet: %d; refused: %d", cap(b.slots), b.madeRoom.Load(), b.refused.Load()),
		Fix:    "Look for callers that open connections and do not use them again, or that send slowly. Where there are that many callers, run more processes.",
	}}
}
