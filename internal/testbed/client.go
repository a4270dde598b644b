package testbed

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

// Client is what the tests ask a client of the root package.
type Client interface {
	WaitConnected(ctx context.Context) error
	State() health.State
	Health() health.Report
	Stats() stats.Snapshot
}

// Connect waits until the client has a master.
func Connect(t *testing.T, c Client, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := c.WaitConnected(ctx); err != nil {
		t.Fatalf("not connected within %v: %v", within, err)
	}
}

// HasFinding reports whether a finding is there, and tells what to do.
func HasFinding(h health.Report, code string) bool {
	return slices.ContainsFunc(h.Findings, func(f health.Finding) bool { return f.Code == code && f.Fix != "" && f.Title != "" })
}

// WaitFinding waits until the client has a finding.
func WaitFinding(t *testing.T, c Client, code string) {
	t.Helper()
	Until(t, patience, func() bool { return HasFinding(c.Health(), code) },
		func() string { return fmt.Sprintf("no finding %s in %+v", code, c.Health()) })
}

// WaitSent waits until nothing is left to be sent, and says how many masters it took.
func WaitSent(t *testing.T, c Client, within time.Duration) {
	t.Helper()
	Until(t, within, func() bool { return c.State() == health.Connected && c.Health().OutboxEntries == 0 }, func() string {
		return fmt.Sprintf("%s, %+v, dialled %v", c.State(), c.Health(), c.Stats().RedisDials)
	})
}

// Recoveries is how often the client has sent all that it had to after an outage.
func Recoveries(c Client) uint64 {
	return c.Stats().StateTransitions[stats.Transition{From: health.Recovering.String(), To: health.Connected.String()}]
}

// Recovered waits until there have been more recoveries than that.
func Recovered(t *testing.T, c Client, before uint64) {
	t.Helper()
	Until(t, 30*time.Second, func() bool { return c.State() == health.Connected && Recoveries(c) > before },
		func() string { return fmt.Sprintf("%+v", c.Health()) })
}

// NothingWaits reports whether nothing is kept for the next master.
func NothingWaits(c Client) func() bool {
	return func() bool { return c.Health().OutboxEntries == 0 }
}
