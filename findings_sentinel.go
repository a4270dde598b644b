package evercache

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/watch"
)

// watchFinding explains why Sentinel mode has no master in use.
func watchFinding(cause error) (Finding, bool) {
	switch k := remote.KindOf(cause); {
	case errors.Is(cause, watch.ErrNoMaster) && k != remote.Conn: // what an operator has to mend
		return findingOf(k), true
	case errors.Is(cause, watch.ErrFenced):
		return Finding{
			Code: "sentinel-failover", Severity: Warning, Title: "A failover is under way",
			Fix: "Nothing to do: the next master is followed as soon as it accepts writes.",
		}, true
	case errors.Is(cause, watch.ErrNoMaster):
		return Finding{
			Code: "sentinel-no-master", Severity: Error, Title: "No sentinel names a master that answers as one",
			Fix: "Check REDIS_SENTINELS, REDIS_SENTINEL_MASTER_NAME, the sentinels' login, and whether the announced addresses can be dialled from here (else REDIS_ADDRESS_MAP).",
		}, true
	case errors.Is(cause, watch.ErrGivenUp):
		return Finding{
			Code: "sentinel-no-failover", Severity: Error, Title: "The master is gone and no failover comes",
			Fix: "Check that a majority of the sentinels run and see each other (SENTINEL CKQUORUM), and that a replica can be promoted.",
		}, true
	}
	return Finding{}, false
}

// sentinelFindings look at the set beyond its master.
func sentinelFindings(h *SentinelHealth) (fs []Finding) {
	if h == nil || len(h.Sentinels) == 0 {
		return nil
	}
	add := func(when bool, f Finding) {
		if when {
			fs = append(fs, f)
		}
	}
	add(!h.CanFailOver, Finding{
		Code: "sentinel-no-quorum", Severity: Error, Title: "Too few sentinels answer for a failover",
		Detail: fmt.Sprintf("%d of %d answer; a majority needs %d, the quorum is %d", h.Reachable, h.Known, h.Needed, h.Quorum),
		Fix:    "Bring the sentinels back. Until then a dead master stays dead; memory answers then.",
	})
	add(h.CanFailOver && h.Reachable < h.Known, Finding{
		Code: "sentinel-unreachable", Severity: Warning, Title: "A sentinel does not answer",
		Detail: strings.Join(unreachable(h), ", "),
		Fix:    "Start it again, or remove it everywhere (SENTINEL RESET on the others, one by one) if it is gone for good.",
	})
	add(h.Rejected > 0, Finding{
		Code: "sentinel-nonsense", Severity: Warning, Title: "Sentinels have said what makes no sense; it was ignored",
		Detail: fmt.Sprintf("%d messages or answers%s", h.Rejected, nonsensical(h)),
		Fix:    "Check that the configured addresses are sentinels, and which versions they run.",
	})
	add(len(h.Forbidden) > 0, Finding{
		Code: "sentinel-unproven", Severity: Warning, Title: "The ACL of the Redis nodes forbids what a failover is followed by",
		Detail: fmt.Sprintf("forbidden: %s. %s", strings.Join(h.Forbidden, ", "), unproven(h.Forbidden)),
		Fix:    "Give the user INFO, ROLE, WAIT and the keys <prefix>~* on every node: docs/operations.md.",
	})
	add(slices.ContainsFunc(h.Sentinels, func(s SentinelNode) bool { return s.Tilt }), Finding{
		Code: "sentinel-tilt", Severity: Warning, Title: "A sentinel is in TILT mode and acts on nothing",
		Fix: "Look for a paused machine, a clock that jumps, or slow DNS where host names are announced.",
	})
	add(h.CurrentMaster != "" && !slices.ContainsFunc(h.Nodes, func(n RedisNode) bool { return n.Promotable }), Finding{
		Code: "sentinel-no-replica", Severity: Error, Title: "No replica could take over",
		Fix: "Bring a replica back, or give one a replica-priority above 0.",
	})
	add(h.Provisional && h.Stage != sentinel.Fenced.String(), Finding{
		Code: "sentinel-provisional", Severity: Info, Title: "The master is provisional: no majority of the sentinels names it yet",
		Fix: "Nothing to do: it is confirmed within about a second. If it stays so, check which master each sentinel names.",
	})
	return fs
}

func unreachable(h *SentinelHealth) (names []string) {
	for _, s := range h.Sentinels {
		if !s.Reachable {
			names = append(names, s.Addr)
		}
	}
	return names
}

// unproven says what is not promised without what the ACL forbids.
func unproven(forbidden []string) string {
	var lost []string
	needed := func(what string) bool { return what != "ROLE" }
	info, role := slices.Contains(forbidden, "INFO"), slices.Contains(forbidden, "ROLE")
	switch {
	case info && role:
		return "No node can be asked what it is, so none is used."
	case info:
		lost = append(lost, "that a new master is used before a majority of the sentinels names it")
	}
	if slices.ContainsFunc(forbidden, needed) {
		lost = append(lost, "that an alarm ever ends, and so that a write is known to survive a failover")
	}
	if len(lost) == 0 {
		return "Reads and writes go on as promised."
	}
	return "Reads and writes go on. Not promised then: " + strings.Join(lost, "; ") + "."
}

// nonsensical names the sentinels that said it.
func nonsensical(h *SentinelHealth) string {
	var names []string
	for _, s := range h.Sentinels {
		if s.Rejected > 0 {
			names = append(names, s.Addr)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " of " + strings.Join(names, ", ")
}
