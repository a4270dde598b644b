package watch

import (
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

func slots(ranges ...slot.Range) *slot.Set { return slot.SetOf(ranges...) }

func TestASlotIsPickedThatIsNotToBeAvoided(t *testing.T) {
	all := slots(slot.Range{First: 10, Last: 13})
	for n, want := range []uint16{10, 12, 10, 12} {
		if s, ok := pick(all, slots(slot.Range{First: 11, Last: 11}, slot.Range{First: 13, Last: 99}), uint64(n)); s != want || !ok {
			t.Errorf("pick %d = %d, %v; want %d", n, s, ok, want)
		}
	}
	if s, ok := pick(all, all, 3); ok {
		t.Errorf("picked %d of none", s)
	}
}

// TestKeysSpread: processes that begin alike do not all write to one slot.
func TestKeysSpread(t *testing.T) {
	all := slots(slot.Range{First: 0, Last: 5460})
	seen := map[uint16]int{}
	for _, process := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		for tenure := range uint64(8) {
			s, _ := pick(all, &slot.Set{}, spread(process, 1, tenure))
			seen[s]++
		}
	}
	if len(seen) < 48 {
		t.Errorf("64 keys are in %d slots", len(seen))
	}
}

// seated is a supervisor without I/O, with one seat.
func seated(sh cluster.Shard) (*Cluster, *shardSeat) {
	d := NewCluster(ClusterConfig{KeyPrefix: "app:", Process: "me", Log: slog.New(slog.DiscardHandler)}, ClusterHooks{})
	st := d.newShardSeat(sh.Number)
	st.shard = sh
	d.seats[sh.Number] = st
	return d, st
}

func TestAKeyIsReplacedAsSoonAsItVouchesForNothing(t *testing.T) {
	mine := slots(slot.Range{First: 0, Last: 5460})
	for name, change := range map[string]func(*Cluster, *shardSeat) (returned bool){
		"its slot moves":         func(d *Cluster, st *shardSeat) bool { d.now.Moving.Add(st.tag.slot); return false },
		"its slot is in doubt":   func(d *Cluster, st *shardSeat) bool { d.now.Doubted.Add(st.tag.slot); return false },
		"its slots are back":     func(*Cluster, *shardSeat) bool { return true },
		"its slot has gone":      func(_ *Cluster, st *shardSeat) bool { st.shard.Slots = without(mine, st.tag.slot); return false },
		"a rise in a gap":        func(_ *Cluster, st *shardSeat) bool { st.gap = gap{time.Now(), 6}; return false },
		"nothing":                func(*Cluster, *shardSeat) bool { return false },
		"a gap without a rise":   func(_ *Cluster, st *shardSeat) bool { st.gap = gap{time.Now(), 7}; return false },
		"others move":            func(d *Cluster, st *shardSeat) bool { d.now.Moving = *without(mine, st.tag.slot); return false },
		"the epoch rose, no gap": func(_ *Cluster, st *shardSeat) bool { st.shard.Epoch++; return false },
	} {
		d, st := seated(cluster.Shard{Number: 4, Slots: mine, Epoch: 7})
		d.checkTag(st, false)
		before := st.tag
		if before.key == "" || slot.Of(before.key) != before.slot || before.void || !mine.Has(before.slot) {
			t.Fatalf("the first key is %+v", before)
		}
		st.tag.proven = true
		returned := change(d, st)
		d.checkTag(st, returned)
		kept := name == "nothing" || name == "a gap without a rise" || name == "others move" || name == "the epoch rose, no gap"
		after := st.tag
		if (after.key == before.key) != kept || after.proven != kept {
			t.Errorf("%s: %+v, before %+v", name, after, before)
		}
		if !kept && (after.void || slot.Of(after.key) != after.slot || !st.shard.Slots.Has(after.slot) || restless(&d.now).Has(after.slot)) {
			t.Errorf("%s: %+v is no good", name, after)
		}
	}
}

func without(s *slot.Set, n uint16) *slot.Set {
	out := *s
	out.Remove(n)
	return &out
}

// TestWhereEverySlotMovesTheKeyIsVoid: it is kept, and each dial asks for one that was
// never used.
func TestWhereEverySlotMovesTheKeyIsVoid(t *testing.T) {
	mine := slots(slot.Range{First: 5, Last: 6})
	d, st := seated(cluster.Shard{Number: 1, Slots: mine})
	d.checkTag(st, false)
	d.now.Moving = *mine
	d.checkTag(st, false)
	void := st.tag
	d.checkTag(st, false)
	if !void.void || st.tag != void {
		t.Fatalf("the key is %+v, then %+v", void, st.tag)
	}
	d.c.Heartbeat = func(uint32) remote.Heartbeat { return remote.Heartbeat{} }
	if p := d.plan(st); p.key == void.key || p.key != st.tag.key {
		t.Errorf("a dial asks for %s", p.key)
	}
	d.now.Moving = slot.Set{}
	d.checkTag(st, false)
	if st.tag.void {
		t.Error("it is void when its slot does not move any more")
	}
}

// TestARefusedKeyIsReplacedOnceInAWhile: until the owner itself has told, each slot may
// be refused.
func TestARefusedKeyIsReplacedOnceInAWhile(t *testing.T) {
	d, st := seated(cluster.Shard{Number: 1, Slots: slots(slot.Range{First: 5, Last: 6})})
	d.checkTag(st, false)
	st.tag.begun = time.Now().Add(-time.Hour)
	before := st.tag
	if !d.displaced(st, before.key) || st.tag.slot == before.slot {
		t.Fatalf("the key is %+v, before %+v", st.tag, before)
	}
	if d.displaced(st, st.tag.key) || d.displaced(st, before.key) {
		t.Error("replaced again at once")
	}
}

func TestATimeWithoutAnyAnswerIsNoted(t *testing.T) {
	d, st := seated(cluster.Shard{Number: 1, Slots: slots(slot.Range{First: 5, Last: 6}), Epoch: 3})
	now := time.Now()
	d.noteGap(now)
	d.noteGap(now.Add(longGap))
	if !st.gap.at.IsZero() {
		t.Error("a short one is noted")
	}
	d.noteGap(now.Add(3 * longGap))
	if st.gap.at.IsZero() || st.gap.epoch != 3 || st.gap.bad(3) || !st.gap.bad(4) {
		t.Errorf("the gap is %+v", st.gap)
	}
}
