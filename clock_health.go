package evercache

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// ClockHealth compares the clock of the master in use with ours.
type ClockHealth struct {
	// Known: the master has told its time.
	Known bool
	// Ahead is how far its clock is ahead of ours, less than 0: behind. The truth is
	// not further from it than Uncertainty, which is what the way there and back
	// leaves open.
	Ahead, Uncertainty time.Duration
}

func clockHealth(n *remote.Node) ClockHealth {
	if n == nil {
		return ClockHealth{}
	}
	low, high, ok := n.ClockAhead(time.Now())
	if !ok {
		return ClockHealth{}
	}
	return ClockHealth{Known: true, Ahead: low + (high-low)/2, Uncertainty: (high - low + 1) / 2}
}

// clocksApart is how much two clocks may differ: NTP keeps them within some
// milliseconds.
const clocksApart = time.Second

// clockFindings tell of clocks that certainly differ.
func clockFindings(h Health) []Finding {
	c := h.Clock
	if !c.Known || c.Ahead.Abs()-c.Uncertainty <= clocksApart {
		return nil
	}
	how := "ahead of"
	if c.Ahead < 0 {
		how = "behind"
	}
	return []Finding{{
		Code: "redis-clock", Severity: Warning,
		Title:  "The clocks of Redis and of this process differ",
		Detail: fmt.Sprintf("that of Redis is %v %s ours (± %v); which of them is wrong cannot be told from here", c.Ahead.Abs().Round(time.Millisecond), how, c.Uncertainty.Round(time.Millisecond)),
		Fix:    "Let NTP set the clocks of both machines (timedatectl, chronyc tracking).",
	}}
}
