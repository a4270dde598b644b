package shard

import (
	"log/slog"
	"testing"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/slot"
)

// A key that has moved seems to have been written later than it was. A delete of its
// prefix that came after it must reach it.
func TestADeleteOfAPrefixReachesWhatHasMoved(t *testing.T) {
	st := New(Config{Mode: health.ModeCluster, Log: slog.New(slog.DiscardHandler)}, clock.New())
	t.Cleanup(func() { st.cancel(nil) })
	sh := newShard(st)
	some := slot.SetOf(slot.Range{First: 1, Last: 9})
	d := &drainage{shard: sh, lies: newSlotsOf(some, &slot.Set{}, nil)}
	s := d.newSweep([]outbox.Prefix{
		{Text: "c:everywhere", Since: 1, Lo: 1000, Hi: 1000, Seq: 1},
		{Text: "c:moved", Since: 1, Lo: 1000, Hi: 1000, Seq: 2, Slots: some},
	})
	if got := s.dates[1]; got.Lo != 1000 || got.Hi != 1000 {
		t.Errorf("where nothing has moved: %d to %d", got.Lo, got.Hi)
	}
	if got := s.dates[2]; got.Lo != 1000 || got.Hi != 1000+migrated.Milliseconds() || got.To < got.Hi {
		t.Errorf("where slots have moved: %d to %d (%d)", got.Lo, got.Hi, got.To)
	}
}
