package evercache

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/watch"
)

// fences are the reasons for which a known master gets no writes, one text each.
var fences = []struct {
	is      error
	finding Finding
}{
	{watch.ErrFenced, Finding{
		Code: "sentinel-failover", Severity: Warning, Title: "A failover is under way",
		Fix: "Nothing to do: the next master is followed as soon as it accepts writes.",
	}},
	{watch.ErrSilent, Finding{
		Code: "sentinel-master-silent", Severity: Error, Title: "The master does not answer, and no sentinel has begun a failover",
		Fix: "Look at the master (redis-cli PING there). If it is well, the network between it and this machine is broken. The sentinels act after down-after-milliseconds; to make them, SENTINEL FAILOVER.",
	}},
	{watch.ErrDemoted, Finding{
		Code: "sentinel-master-demoted", Severity: Error, Title: "The master has become a replica, and no sentinel names another master",
		Fix: "Look for whoever ran REPLICAOF there, and undo it with REPLICAOF NO ONE, or wait: the sentinels turn it back, or name the next master.",
	}},
	{watch.ErrRival, Finding{
		Code: "sentinel-two-masters", Severity: Error, Title: "A replica says that it is a master, and no sentinel made it one",
		Fix: "Look for whoever ran REPLICAOF NO ONE there, and let it follow the master again (REPLICAOF). The sentinels do so after about ten seconds.",
	}},
	{watch.ErrLoading, Finding{
		Code: "sentinel-master-loading", Severity: Warning, Title: "The master was restarted and reads its data from disk",
		Fix: "Wait. INFO persistence on the master shows loading_eta_seconds. If the sentinels replace it meanwhile, the next master is followed.",
	}},
	{watch.ErrReturning, Finding{
		Code: "sentinel-master-returning", Severity: Warning, Title: "The master answers again; the sentinels have yet to show that they do not replace it",
		Fix: "Nothing to do: it is used within two seconds. If this comes again and again, look for what holds the master up (SLOWLOG GET, INFO persistence).",
	}},
}

// silentDetail says what the sentinels do about a master that does not answer.
func silentDetail(h *SentinelHealth) string {
	after := "it is not known after how long they do"
	if h.DownAfter > 0 {
		after = fmt.Sprintf("they do when it has not answered them for %v", h.DownAfter.Round(time.Millisecond))
	}
	return fmt.Sprintf("master %s; held down by %d of %d sentinels; %s", h.CurrentMaster, h.HoldDown, h.Known, after)
}
