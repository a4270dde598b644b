package findings

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

// fences are the reasons for which a known master gets no writes, one text each.
var fences = map[Reason]health.Finding{
	FailingOver: {
		Code: health.CodeSentinelFailover, Severity: health.SeverityWarning, Title: "A failover is under way",
		Fix: "Nothing to do: the next master is used as soon as it accepts writes.",
	},
	Silent: {
		Code: health.CodeSentinelMasterSilent, Severity: health.SeverityError, Title: "The master does not answer, and no sentinel has begun a failover",
		Fix: "Check the master (redis-cli PING there). If it answers, the network between it and this machine is broken. The sentinels start a failover after down-after-milliseconds. SENTINEL FAILOVER starts one now.",
	},
	Demoted: {
		Code: health.CodeSentinelMasterDemoted, Severity: health.SeverityError, Title: "The master has become a replica, and no sentinel names another master",
		Fix: "Find out who ran REPLICAOF there. Undo it with REPLICAOF NO ONE, or wait: the sentinels make it a master again, or name another one.",
	},
	Rival: {
		Code: health.CodeSentinelTwoMasters, Severity: health.SeverityError, Title: "A replica says that it is a master, and no sentinel made it one",
		Fix: "Find out who ran REPLICAOF NO ONE there. Make it follow the master again (REPLICAOF), or wait: the sentinels do so after about ten seconds.",
	},
	Restarted: {
		Code: health.CodeSentinelMasterLoading, Severity: health.SeverityWarning, Title: "The master was restarted and is loading its data from disk",
		Fix: "Wait. INFO persistence on the master shows loading_eta_seconds. If the sentinels replace it meanwhile, the next master is used.",
	},
	Returning: {
		Code: health.CodeSentinelMasterReturning, Severity: health.SeverityWarning, Title: "The master answers again; the sentinels have not yet shown that they keep it",
		Fix: "Nothing to do: it is used within two seconds. If this happens often, find out what blocks the master (SLOWLOG GET, INFO persistence).",
	},
}

// silentDetail says what the sentinels do about a master that does not answer.
func silentDetail(h *health.Sentinel) string {
	after := "after how long they do so is not known"
	if h.DownAfter > 0 {
		after = fmt.Sprintf("they do so when it has not answered for %v", h.DownAfter.Round(time.Millisecond))
	}
	return fmt.Sprintf("master %s; considered down by %d of %d sentinels; %s", h.CurrentMaster, h.HoldDown, h.Known, after)
}
