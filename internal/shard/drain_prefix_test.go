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
	st := New(Config{Mode: health.ModeCluster, OutboxEntries: 100, OutboxBytes: 1 << 20, RingBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)}, clock.New())
	t.Cleanup(func() { st.cancel(nil) })
	sh := newShard(st)
	some := slot.SetOf(slot.Range{First: 1, Last: 9})
	d := &drainage{shard: sh, lies: newSlotsOf(some, &slot.Set{}, nil)}
	s := d.newSweep([]outbox.Prefix{
		{Text: "c:everywhere", Since: 1, Lo: 1000, Hi: 1000, Seq: 1},
		{Text: "c:moved", Since: 1, Lo: 1000, Hi: 1000, Seq: 2, Slots: some},
	})
	if got, _ := s.date("c:everywhere", sh); got.Lo != 1000 || got.Hi != 1000 {
		t.Errorf("where nothing has moved: %d to %d", got.Lo, got.Hi)
	}
	moved := "c:moved{" + slot.TagFor(5) + "}"
	got, under := s.date(moved, sh)
	if !under || got.Lo != 1000 || got.Hi != 1000+migrated.Milliseconds() || got.To < got.Hi {
		t.Errorf("where slots have moved: %d to %d (%d)", got.Lo, got.Hi, got.To)
	}
	if mark := s.dates[2]; mark.Hi != 1000 {
		t.Errorf("the mark is of %d: what others send again would yield to it", mark.Hi)
	}
	sh.Ledger.Add(outbox.Record{Kind: outbox.Set, Key: moved, Class: "c:", Slot: 5, Since: 2, Ends: 1 << 62}, sh.Ledger.Epoch(), 2)
	if _, under := s.date(moved, sh); under {
		t.Error("what this process has written since is deleted")
	}
}

// What another process had written before a write that waits seems younger than that when
// it has moved: who of the two came first cannot be told any more.
func TestAWriteInASlotThatHasMovedAllowsForTheMove(t *testing.T) {
	st := New(Config{Mode: health.ModeCluster, OutboxEntries: 100, OutboxBytes: 1 << 20, RingBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)}, clock.New())
	t.Cleanup(func() { st.cancel(nil) })
	sh := newShard(st)
	sh.slots.Store(newSlotsOf(slot.SetOf(slot.Range{Last: 9}), &slot.Set{}, nil))
	now := int64(0)
	for name, r := range map[string]outbox.Record{
		"never sent": {}, "sent before": {Lo: 1000, Hi: 1001},
	} {
		r.Kind, r.Key, r.Class, r.Slot, r.Since = outbox.Delete, "c:{"+slot.TagFor(5)+"}", "c:", 5, now+1
		now += 2
		if err := st.Outbox.Put(r); err != nil {
			t.Fatal(err)
		}
		before, _ := st.Outbox.Record(r.Key)
		st.Outbox.Carry(slot.SetOf(slot.Range{First: 5, Last: 5}), sh.movedClock(), now)
		after, _ := st.Outbox.Record(r.Key)
		was, is := sh.condOf(&before), sh.condOf(&after)
		if !after.Carried || was.To != was.Hi || is.Hi != was.Hi || is.To != was.To+migrated.Milliseconds() {
			t.Errorf("%s: to %d (%d) before, %d (%d) after", name, was.To, was.Hi, is.To, is.Hi)
		}
		st.Outbox.Done(r.Key, after.Seq)
	}
}
