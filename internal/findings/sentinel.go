package findings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
)

// sentinels looks at the sentinels.
func sentinels(h *health.Sentinel) (fs []health.Finding) {
	if h == nil || len(h.Sentinels) == 0 {
		return nil
	}
	fs = troubles(h)
	if !h.CanFailOver && (h.CurrentMaster != "" || len(fs) == 0) {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelNoQuorum, Severity: health.SeverityError, Title: "Too few sentinels answer for a failover",
			Detail: quorum(h),
			Fix:    "Bring the sentinels back (redis-cli -p 26379 SENTINEL CKQUORUM " + h.MasterName + "). Until then no failover is possible: if the master fails, only memory answers.",
		})
	}
	if h.Rejected > 0 {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelNonsense, Severity: health.SeverityWarning, Title: "Invalid messages of sentinels were ignored",
			Detail: fmt.Sprintf("%d messages or answers of %s", h.Rejected, those(h, func(s health.SentinelNode) bool { return s.Rejected > 0 })),
			Fix:    "Check that the configured addresses are sentinels, and check their versions.",
		})
	}
	if tilted := func(s health.SentinelNode) bool { return s.Tilt }; slices.ContainsFunc(h.Sentinels, tilted) {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelTilt, Severity: health.SeverityWarning, Title: "A sentinel is in TILT mode and takes no action",
			Detail: those(h, tilted),
			Fix:    "Look for a paused machine, a clock that jumps, or slow DNS where host names are announced. It ends by itself after 30 s: redis-cli -p 26379 INFO sentinel says sentinel_tilt:0.",
		})
	}
	if differs := func(s health.SentinelNode) bool { return s.Differs }; slices.ContainsFunc(h.Sentinels, differs) {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelDisagrees, Severity: health.SeverityWarning, Title: "A sentinel names other nodes than the others do",
			Detail: differences(h),
			Fix:    "Check that the address is your sentinel. Look at SENTINEL MASTER and SENTINEL REPLICAS there; SENTINEL RESET makes it forget nodes that no longer exist.",
		})
	}
	return fs
}

// differences says what each sentinel that differs names.
func differences(h *health.Sentinel) string {
	var all []string
	for _, s := range h.Sentinels {
		switch n := len(s.Alone); {
		case !s.Differs:
		case n == 0:
			all = append(all, fmt.Sprintf("%s names the master %s", s.Addr, s.Names))
		default:
			all = append(all, fmt.Sprintf("only %s names %s (%d in all); these nodes are not used, and no password is sent to them", s.Addr, strings.Join(s.Alone[:min(n, 3)], ", "), n))
		}
	}
	return strings.Join(all, "; ")
}

// set look at the master and its replicas.
func set(h *health.Sentinel) (fs []health.Finding) {
	if h == nil || len(h.Sentinels) == 0 {
		return nil
	}
	if len(h.Forbidden) > 0 {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelUnproven, Severity: health.SeverityWarning, Title: "The Redis nodes do not allow what evercache needs to follow a failover",
			Detail: fmt.Sprintf("missing: %s. %s", strings.Join(h.Forbidden, ", "), unproven(h.Forbidden)),
			Fix:    "Give the user INFO, ROLE, WAIT and the keys <prefix>~* on every node, and remove the rename-command lines of these commands: docs/operations.md.",
		})
	}
	if h.CurrentMaster != "" && !slices.ContainsFunc(h.Nodes, func(n health.Node) bool { return n.Promotable }) {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelNoReplica, Severity: health.SeverityError, Title: "No replica can be promoted",
			Detail: "master: " + h.CurrentMaster + "; " + replicas(h),
			Fix:    "Start a replica again, or give one a replica-priority above 0.",
		})
	}
	if len(h.Plaintext) > 0 {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelPlaintext, Severity: health.SeverityInfo, Title: "The Redis password is sent without TLS to addresses that others announce",
			Detail: fmt.Sprintf("%s, as announced by the sentinels and the nodes. Whoever can answer at one of these addresses, or read the network traffic, learns the password", strings.Join(h.Plaintext, ", ")),
			Fix:    "Set REDIS_TLS=true: then each server has to prove its identity first. Or list the nodes that you trust in REDIS_ADDRESS_MAP, such as 10.0.0.1:6379=10.0.0.1:6379.",
		})
	}
	if h.Provisional && h.Stage != fenced {
		fs = append(fs, health.Finding{
			Code: health.CodeSentinelProvisional, Severity: health.SeverityInfo, Title: "The master is provisional: no majority of the sentinels names it yet",
			Detail: fmt.Sprintf("%s is used; %d of %d sentinels name it, a majority needs %d. What is written there is kept until then", cmp.Or(h.CurrentMaster, "a master"), h.Agreeing, h.Known, h.Needed),
			Fix:    "Nothing to do: it is confirmed within about a second. If not, check which master each sentinel names.",
		})
	}
	return fs
}

// those names the sentinels of which something is true.
func those(h *health.Sentinel, is func(health.SentinelNode) bool) string {
	var names []string
	for _, s := range h.Sentinels {
		if is(s) {
			names = append(names, s.Addr)
		}
	}
	return cmp.Or(strings.Join(names, ", "), "sentinels that are not listed any more")
}

// replicas says of each why it could not take over, as far as can be seen.
func replicas(h *health.Sentinel) string {
	var all []string
	for _, n := range h.Nodes {
		switch {
		case n.Addr == h.CurrentMaster:
		case !n.Reachable:
			all = append(all, n.Addr+" does not answer")
		case n.Link != "" && n.Link != "online":
			all = append(all, n.Addr+" is not in sync: "+n.Link)
		default:
			all = append(all, n.Addr+" has priority 0, is considered down, or does not follow this master")
		}
	}
	return cmp.Or(strings.Join(all, "; "), "no replica is known")
}

// unproven says what is not promised without what the ACL forbids.
func unproven(forbidden []string) string {
	var lost []string
	needed := func(what string) bool { return what != "ROLE" }
	info, role := slices.Contains(forbidden, "INFO"), slices.Contains(forbidden, "ROLE")
	switch {
	case info && role:
		return "The role of the nodes cannot be read, so no node is used."
	case info:
		lost = append(lost, "that a new master is used before a majority of the sentinels names it")
	}
	if slices.ContainsFunc(forbidden, needed) {
		lost = append(lost, "that an alarm ends, and that a write is confirmed to survive a failover")
	}
	if len(lost) == 0 {
		return "Reads and writes go on as promised."
	}
	return "Reads and writes go on. Not promised: " + strings.Join(lost, "; ") + "."
}

// fenced is the stage in which no master is used.
const fenced = "fenced"
