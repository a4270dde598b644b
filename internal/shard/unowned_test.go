package shard

import (
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/clock"
)

// Slots that stay without an owner are an outage, also where the client's clock is behind
// when they are looked at.
func TestSlotsThatStayWithoutAnOwnerAreAnOutage(t *testing.T) {
	t.Parallel()
	st := New(Config{Mode: health.ModeCluster, Log: slog.New(slog.DiscardHandler)}, clock.New())
	t.Cleanup(func() { st.cancel(nil) })
	st.status.Apply(masterVerified, nil)
	st.status.Apply(writesReplayed, nil)
	st.incomplete.Store(st.Clock.Now())
	st.missSlots() // too early
	if s := st.State(); s != health.Connected {
		t.Fatalf("at once: %v", s)
	}
	for end := time.Now().Add(20 * time.Second); st.State() != health.Degraded; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it stays %v", st.State())
		}
	}
}
