package findings

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

// clocksApart is how much two clocks may differ: NTP keeps them within some
// milliseconds.
const clocksApart = time.Second

// clocks reports clocks that certainly differ.
func clocks(c health.Clock) []health.Finding {
	if !c.Known || c.Ahead.Abs()-c.Uncertainty <= clocksApart {
		return nil
	}
	how := "ahead of"
	if c.Ahead < 0 {
		how = "behind"
	}
	return []health.Finding{{
		Code: health.CodeRedisClock, Severity: health.SeverityWarning,
		Title:  "The clocks of Redis and of this process differ",
		Detail: fmt.Sprintf("the clock of Redis is %v %s the clock of this process (± %v); evercache cannot know which of them is wrong", c.Ahead.Abs().Round(time.Millisecond), how, c.Uncertainty.Round(time.Millisecond)),
		Fix:    "Let NTP set the clocks of both machines (timedatectl, chronyc tracking).",
	}}
}
