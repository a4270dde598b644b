package evercache

import (
	"fmt"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/censor"
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
		Clock:         clockHealth(node),
	}
	if c.opts.MemoryOnly || now.state == Connected {
		h.Cause = nil
	}
	if depth.Oldest != 0 {
		h.OutboxOldest = max(0, time.Duration(c.clock.precise()-depth.Oldest))
	}
	h.Findings = append(h.Findings, c.findings(h, now.cause, node, depth.Overflowed)...)
	return h
}

// findings are what is wrong at this moment. Each group is a function of what is
// known; none dials or waits. A finding always has a title, a detail and a fix.
func (c *Client) findings(h Health, cause error, node *remote.Node, overflowed uint64) []Finding {
	var master, kept []Finding
	sentinels := sentinelFindings(h.Sentinel)
	if !c.unconfigured(cause) { // else there is nowhere to send anything
		kept = outboxFindings(h, overflowed)
	}
	switch {
	case c.opts.MemoryOnly || h.State == Closed:
	case node == nil:
		master = without(sentinels, c.away(cause, h.Sentinel))
	default:
		master = masterFindings(c.sayings(node), h)
	}
	return shown(slices.Concat(
		master,
		tombFindings(c.tombs.live(c.clock.precise()), c.evicting.known().last.MaxMemory),
		c.keyFiles.findings(time.Now()),
		clockFindings(h),
		sentinels,
		setFindings(h.Sentinel),
		kept,
		recoveryFindings(h, time.Unix(0, c.recovery.resetAt.Load())),
		rejectedFindings(c.rejections.Load(), time.Unix(0, c.rejectedAt.Load())),
		valueFindings(c.classValues(), time.Now()),
		c.journal.findings(),
		c.kit.told(),
	))
}

// without is f, unless others tell of it: they know more.
func without(others []Finding, f Finding) []Finding {
	if slices.ContainsFunc(others, func(o Finding) bool { return o.Code == f.Code }) {
		return nil
	}
	return []Finding{f}
}

// maxDetail bounds the detail of a finding, in bytes.
const maxDetail = 2 << 10

// maxTitle bounds the title.
const maxTitle = 300

// shown are findings whose details can be shown: a server may have said what is in
// them.
func shown(fs []Finding) []Finding {
	for i := range fs {
		fs[i].Title = censor.Text(fs[i].Title, maxTitle)
		fs[i].Detail = censor.Text(fs[i].Detail, maxDetail)
		fs[i].Fix = censor.Text(fs[i].Fix, maxDetail)
	}
	return fs
}

// sayings are what the master in use says of us.
type sayings struct {
	refused   remote.Kind // why it takes no writes; OK: it does
	forbidden error       // by the ACL, within the last minute
	mute      string      // the heartbeat's keys, which the ACL forbids; "": it does not
	scripts   bool        // scripts cannot be run
	missing   []remote.Missing
	puzzled   error // a reply that we do not know, within the last minute
	evictions remote.Evictions
	tooLong   error // a value was not read for its size, within the last hour
	apart     bool  // its address reaches two servers
	server    remote.Server
}

func (c *Client) sayings(n *remote.Node) sayings {
	s := sayings{refused: n.Refused(), forbidden: n.Forbidden(), scripts: n.ScriptsForbidden(), missing: n.Missing(), puzzled: n.Puzzled(), tooLong: n.Oversize(), apart: n.Apart(), server: n.Server(), evictions: c.evicting.known().last}
	if n.HeartbeatForbidden() {
		s.mute = c.opts.KeyPrefix + "~b:*"
	}
	return s
}

// masterFindings tell what a master that answers does not do for us.
func masterFindings(s sayings, h Health) (fs []Finding) {
	if f, ok := refusals[s.refused]; ok {
		f.Severity = Error
		f.Detail = "reads are answered; writes are kept " + keptIn(h.Journal) + " until it takes them again"
		fs = append(fs, f)
	}
	if s.forbidden != nil {
		f := kindFinding(remote.NoPerm)
		f.Detail = s.forbidden.Error()
		fs = append(fs, f)
	}
	if s.mute != "" {
		fs = append(fs, Finding{
			Code: "redis-heartbeat-forbidden", Severity: Warning,
			Title:  "The Redis ACL forbids the heartbeat's key",
			Detail: "forbidden: writing " + s.mute + ". A server that takes no writes is noticed at a caller's write only, and which writes a failover or a restart has lost cannot be told: all that are kept are sent again",
			Fix:    "Allow the user the keys <prefix>~*.",
		})
	}
	if h.Feed.Cause != nil {
		fs = append(fs, Finding{
			Code: "redis-feed", Severity: Warning,
			Title:  "Redis does not announce what other processes change",
			Detail: h.Feed.Cause.Error() + "; what memory holds is served for at most L1TTL (5 s) without asking, and never called coherent; what Redis itself has just answered may be",
			Fix:    "Allow the user CLIENT TRACKING (ACL: +client|tracking), and let no proxy stand between that speaks RESP2 only.",
		})
	}
	if s.scripts {
		fs = append(fs, Finding{
			Code: "redis-scripts-forbidden", Severity: Warning,
			Title:  "Redis does not let us run scripts",
			Detail: "deletes leave no tombstone, a load that began before a delete elsewhere may bring the old value back, and what an outage kept is sent without a look at what others wrote since",
			Fix:    "Allow the user EVALSHA, EVAL and SCRIPT LOAD (ACL: +eval +evalsha +script|load), and give the server what they call (see redis-command-missing, if it is there).",
		})
	}
	if !s.evictions.Never {
		fs = append(fs, evictsFinding(s.evictions))
	}
	return append(fs, serverFindings(s)...)
}

// evictsFinding is about a server that may evict keys.
func evictsFinding(e remote.Evictions) Finding {
	f := Finding{
		Code: "redis-evicts", Severity: Info,
		Title:  "Redis evicts keys when its memory is full",
		Detail: "maxmemory-policy is " + e.Policy + ". When keys were evicted in an outage, or Redis was restarted or replaced in it, the keys of kept writes are deleted instead of written: Redis may have lost what tells whether they are the newest",
		Fix:    "Set maxmemory-policy to noeviction, and give Redis memory enough. A volatile policy does not help: what tells the order expires, so it is evicted too.",
	}
	if e.Policy == "" {
		f.Title = "It is not known whether Redis evicts keys"
		f.Detail = "INFO is forbidden, or does not tell. The keys of kept writes are deleted instead of written: Redis may have lost what tells whether they are the newest"
		f.Fix = "Allow the user INFO (ACL: +info)."
		f.Severity = Warning
	}
	return f
}

// refusals explain a master that answers but takes no writes.
var refusals = map[remote.Kind]Finding{
	remote.OOM: {
		Code: "redis-oom", Title: "Redis has reached maxmemory and refuses writes",
		Fix: "Raise maxmemory (redis-cli CONFIG SET maxmemory, and in redis.conf). An eviction policy makes room too, but then some kept writes are deleted instead of written (redis-evicts).",
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

// keptIn says where a write is kept that Redis has not taken.
func keptIn(j JournalHealth) string {
	switch {
	case !j.Enabled:
		return "in memory"
	case j.Err != nil:
		return "in memory only, and answered with an error since the journal cannot be written,"
	}
	return "in memory and in the journal"
}

func outboxFindings(h Health, overflowed uint64) (fs []Finding) {
	if h.OutboxEntries > 0 {
		f := Finding{
			Code: "outbox-pending", Severity: Warning,
			Title:  "Acknowledged writes wait for a Redis master that takes them",
			Detail: fmt.Sprintf("waiting: %d, %d bytes, the oldest for %v", h.OutboxEntries, h.OutboxBytes, h.OutboxOldest.Round(time.Second)),
			Fix:    "Bring Redis back, or mend why it refuses them.",
		}
		if h.Journal.Enabled && h.Journal.Err == nil {
			f.Detail += "; they are in the journal and survive the end of this process"
			if h.Journal.Unsaved > 0 {
				f.Detail += fmt.Sprintf(", but for %d that it had no room for", h.Journal.Unsaved)
			}
			if overflowed > 0 {
				f.Detail += "; values that had no room in the outbox are not: of them only the delete of their key or class waits"
			}
		} else {
			f.Detail += "; they are in memory only"
			f.Fix = "Bring Redis back, or mend why it refuses them, before this process ends."
		}
		fs = append(fs, f)
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
