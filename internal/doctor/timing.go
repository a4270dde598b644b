package doctor

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// Bounds of Sentinel's times.
const (
	downAfterLeast = time.Second
	downAfterMost  = 15 * time.Second
	timeoutLeast   = 5 * time.Second
	timeoutMost    = time.Minute
)

var timingChecks = []Check{
	{
		Code: "sentinel-down-after", Severity: health.SeverityWarning, Title: "down-after-milliseconds is out of range",
		Why:  "A failover cannot begin sooner. A very short time takes a busy master for a dead one.",
		Fix:  "On each sentinel: redis-cli -p 26379 SENTINEL SET NAME down-after-milliseconds 3000.",
		When: "it is below 1 s or above 15 s (Redis' own default is 30 s)",
		find: func(v *view) []seen {
			return v.eachMillis("down-after-milliseconds", func(d time.Duration, _ survey.Fields) bool { return d < downAfterLeast || d > downAfterMost })
		},
	},
	{
		Code: "sentinel-failover-timeout-short", Severity: health.SeverityWarning, Title: "failover-timeout is too short",
		Why:  "A failover that is given up too early is begun again: one fault becomes several.",
		Fix:  "On each sentinel: redis-cli -p 26379 SENTINEL SET NAME failover-timeout 15000.",
		When: "it is below 5 s, or less than five times down-after-milliseconds",
		find: func(v *view) []seen {
			return v.eachMillis("failover-timeout", func(d time.Duration, m survey.Fields) bool {
				after, _ := m.Millis("down-after-milliseconds")
				return d < timeoutLeast || d < 5*after && after <= downAfterMost
			})
		},
	},
	{
		Code: "sentinel-failover-timeout-long", Severity: health.SeverityInfo, Title: "failover-timeout is long",
		Why:  "A failover that fails is tried again after twice this time.",
		Fix:  "On each sentinel: redis-cli -p 26379 SENTINEL SET NAME failover-timeout 15000.",
		When: "it is a minute or more (Redis' own default is 3 minutes)",
		find: func(v *view) []seen {
			return v.eachMillis("failover-timeout", func(d time.Duration, _ survey.Fields) bool { return d >= timeoutMost })
		},
	},
	{
		Code: health.CodeSentinelTilt, Severity: health.SeverityWarning, Title: "A sentinel is in TILT mode and takes no action",
		Why:  "It does not take part in a failover until it ends.",
		Fix:  "Look for a paused machine, a clock that jumps, or slow DNS where names are announced. It ends by itself after 30 s.",
		When: "INFO sentinel says sentinel_tilt:1",
		find: func(v *view) (all []seen) {
			for _, s := range v.sentinels {
				if s.Info["sentinel_tilt"] == "1" {
					all = append(all, seen{subject: s.Addr, detail: "INFO sentinel: sentinel_tilt:1"})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeSentinelFailover, Severity: health.SeverityWarning, Title: "A failover is under way",
		Why:  "Who is master changes at this moment, so the rest of this report may be out of date.",
		Fix:  "Run it again in some seconds.",
		When: "SENTINEL MASTER shows failover_in_progress",
		find: func(v *view) (all []seen) {
			for _, s := range v.sentinels {
				if s.Master.Flag("failover_in_progress") {
					all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("SENTINEL MASTER %s: flags is %s, failover-state is %s", v.Survey.MasterName, s.Master["flags"], s.Master["failover-state"])})
				}
			}
			return all
		},
	},
}

// eachMillis are the sentinels with a wrong time. Those that say the same make one.
func (v *view) eachMillis(name string, wrong func(time.Duration, survey.Fields) bool) (all []seen) {
	by := map[string][]string{}
	for _, s := range v.sentinels {
		if d, ok := s.Master.Millis(name); ok && wrong(d, s.Master) {
			by[s.Master[name]] = append(by[s.Master[name]], s.Addr)
		}
	}
	for _, text := range valuesText(by) {
		all = append(all, seen{detail: fmt.Sprintf("SENTINEL MASTER %s: %s is %s", v.Survey.MasterName, name, text)})
	}
	return all
}
