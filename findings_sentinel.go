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
		Code: "sentinel-nonsense", Severity: Warning, Title: "Sentinels have published what makes no sense; it was ignored",
		Detail: fmt.Sprintf("%d messages", h.Rejected),
		Fix:    "Check that the configured addresses are sentinels, and which versions they run.",
	})
	add(slices.ContainsFunc(h.Sentinels, func(s SentinelNode) bool { return s.Tilt }), Finding{
		Code: "sentinel-tilt", Severity: Warning, Title: "A sentinel is in TILT mode and acts on nothing",
		Fix: "Look for a paused machine, a clock that jumps, or slow DNS where host names are announced.",
	})
	add(h.Stage == sentinel.Clear.String() && h.CurrentMaster != "" && !slices.ContainsFunc(h.Nodes, func(n RedisNode) bool { return n.Promotable }), Finding{
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
