package doctor

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

const (
	// clocksApart is how much a server's clock may differ from ours. mastersApart is how
	// much those of two masters of a Cluster may.
	clocksApart  = time.Second
	mastersApart = 50 * time.Millisecond
)

const fixClocks = "Let NTP set the clocks of all machines (timedatectl, chronyc tracking)."

var clockChecks = []Check{
	{
		Code: health.CodeRedisClock, Severity: health.SeverityWarning, Title: "The clocks of Redis and of this machine differ",
		Why:  "Keys end too early or too late, and revocations are kept until the slowest clock says that they have expired. A clock that jumps puts a sentinel into TILT mode.",
		Fix:  fixClocks,
		When: "TIME differs from our clock by more than a second, the time of the question left out",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if ahead, uncertainty, ok := n.Clock.Ahead(); ok && ahead.Abs()-uncertainty > clocksApart {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("TIME: %s (± %v)", aheadText(ahead), uncertainty.Round(time.Millisecond))})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeClusterClocksDiffer, Severity: health.SeverityWarning, Title: "The clocks of two masters of the Cluster differ",
		Why:  "The order of writes of a key that moves between them is told less well: more of the kept ones become deletes.",
		Fix:  fixClocks,
		When: "TIME of two masters differs by 50 ms or more, for certain",
		find: apartMasters,
	},
}

func aheadText(ahead time.Duration) string {
	if ahead < 0 {
		return fmt.Sprintf("its clock is %v behind ours", ahead.Abs().Round(time.Millisecond))
	}
	return fmt.Sprintf("its clock is %v ahead of ours", ahead.Round(time.Millisecond))
}

// apartMasters are the two masters whose clocks certainly differ most.
func apartMasters(v *view) []seen {
	if v.mode() != health.ModeCluster {
		return nil
	}
	var first, last *survey.Node // the one that is behind most, and ahead most, for certain
	var behind, ahead time.Duration
	for _, n := range v.masters() {
		by, uncertainty, ok := n.Clock.Ahead()
		if !ok {
			continue
		}
		if first == nil || by+uncertainty < behind {
			first, behind = n, by+uncertainty
		}
		if last == nil || by-uncertainty > ahead {
			last, ahead = n, by-uncertainty
		}
	}
	if first == nil || first == last || ahead-behind < mastersApart {
		return nil
	}
	return []seen{{detail: fmt.Sprintf("TIME: the clock of %s is at least %v behind that of %s", first.Addr, (ahead - behind).Round(time.Millisecond), last.Addr)}}
}
