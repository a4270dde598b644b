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
		Fix: "Nothing to do: the next master is followed as soon as it accepts writes.",
	},
	Silent: {
		Code: health.CodeSentinelMasterSilent, Severity: health.SeverityError, Title: "The master does not answer, and no sentinel has begun a failover",
		Fix: "Look at the master (redis-cli PING there). If it is well, the network between it and this machine is broken. The sentinels act after down-after-milliseconds; to make them, SENTINEL FAILOVER.",
	},
	Demoted: {
		Code: health.CodeSentinelMasterDemoted, Severity: health.SeverityError, Title: "The master has become a replica, and no sentinel names another master",
		Fix: "Look for whoever ran REPLICAOF there, and undo it with REPLICAOF NO ONE, or wait: the sentinels turn it back, or name the next master.",
	},
	Rival: {
		Code: health.CodeSentinelTwoMasters, Severity: health.SeverityError, Title: "A replica says that it is a master, and no sentinel made it one",
		Fix: "Look for whoever ran REPLICAOF NO ONE there, and let it follow the master again (REPLICAOF). The sentinels do so after about ten seconds.",
	},
	Restarted: {
		Code: health.CodeSentinelMasterLoading, Severity: health.SeverityWarning, Title: "The master was restarted and reads its data from disk",
		Fix: "Wait. INFO persistence on the master shows loading_eta_seconds. If the sentinels replace it meanwhile, the next master is followed.",
	},
	Returning: {
		Code: health.CodeSentinelMasterReturning, Severity: health.SeverityWarning, Title: "The master answers again; the sentinels have yet to show that they do not replace it",
		Fix: "Nothing to do: it is used within two seconds. If this comes again and again, look for what holds the master up (SLOWLOG GET, INFO persistence).",
	},
}

// silentDetail says what the sentinels do about a master that does not answer.
func silentDetail(h *health.Sentinel) string {
	after := "it is not known after how long they do"
	if h.DownAfter > 0 {
		after = fmt.Sprintf("they do when it has not answered them for %v", h.DownAfter.Round(time.Millisecond))
	}
	return fmt.Sprintf("master %s; held down by %d of %d sentinels; %s", h.CurrentMaster, h.HoldDown, h.Known, after)
}
