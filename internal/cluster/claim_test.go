package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

func TestANodeOwnsASlotByItsOwnWordOnly(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.node("n0").up = false
	w.promote("n3")
	w.gossipAll()
	w.hear("n1", "n2", "n4", "n5") // all say that n3 is the master of these slots
	w.wantSlot("n0", 0)
	w.hear("n3")
	w.wantSlot("n3", 0)
	w.wantSlot("n1", 4)
}

func TestAPromotedReplicaIsTheNextMasterOfItsShard(t *testing.T) {
	w := newWorld(t, 3, 1)
	before := w.shard(0)
	w.node("n0").up = false
	w.promote("n3")
	w.hear("n3") // before anybody else has heard of it
	after := w.shard(0)
	if after.Number != before.Number || after.Generation == before.Generation || w.nameOf(after.Master.ID) != "n3" {
		t.Errorf("%+v became %+v", before, after)
	}
	if len(w.moved) != 0 || len(w.promoted) != 1 || w.promoted[0] != (Promotion{before.Number, w.node("n0").id, w.node("n3").id}) {
		t.Errorf("moved %v, promoted %v", w.moved, w.promoted)
	}
	w.wantStage(0, Suspect, TroubleUnproven)
}

func TestAReplicaOfAReplicaMayBeTheNextMaster(t *testing.T) {
	w := newWorld(t, 3, 2)
	number := w.shard(0).Number
	w.node("n0").up = false
	w.promote("n3")
	gossip(w.node("n3"), w.node("n6"))
	w.node("n6").demote(w.node("n3"))
	w.hear("n6") // n3 itself is never heard
	w.node("n3").up = false
	w.promote("n6")
	w.hear("n6")
	w.wantSlot("n6", 0)
	if w.shard(0).Number != number || len(w.moved) != 0 {
		t.Errorf("another shard than %d: %s", number, w.text())
	}
}

func TestTheHigherEpochWins(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.node("n0").up = false
	w.promote("n3")
	w.hear("n0", "n3")
	w.wantSlot("n3", 0)
	w.node("n0").up = true // it comes back, and has heard nothing yet
	w.hear("n0", "n3", "n0")
	w.wantSlot("n3", 0)
	w.gossipAll()
	w.hearAll()
	w.wantSlot("n3", 0)
	if w.shard(0).Number == 0 || len(w.d.Shards) != 3 {
		t.Errorf("the shards are %s", w.text())
	}
}

func TestAnEqualEpochTakesNothing(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.node("n0").line.Epoch = 2 // two masters with one epoch: for a moment that can be
	w.hear("n0")
	w.node("n1").slots.Add(0)
	w.hear("n1")
	w.wantSlot("n0", 0)
	w.node("n1").line.Epoch = 3
	w.hear("n1")
	w.wantSlot("n1", 0)
}

func TestAnOwnerThatHasLostASlotIsFollowed(t *testing.T) {
	w := newWorld(t, 3, 1)
	claims := w.node("n1")
	claims.slots.Add(9) // of n2, whose epoch is the higher one
	early := claims.view(w)
	w.hear("n1")
	w.wantSlot("n2", 9)
	w.now = w.now.Add(time.Second)
	w.node("n2").slots.Remove(9)
	w.hear("n2")
	w.wantSlot("", 9)
	if !slices.ContainsFunc(w.moved, func(c Change) bool { return c.To == 0 && c.From != 0 && c.Slots.Has(9) }) {
		t.Errorf("the loss of slot 9 is not told: %v", w.moved)
	}
	w.feed(early) // it was asked before the owner lost it
	w.wantSlot("", 9)
	w.hear("n1")
	w.wantSlot("n1", 9)
}

func TestASilentOwnerIsFollowedByTheWordOfTwoOthers(t *testing.T) {
	for _, tt := range []struct {
		others int
		silent bool
		want   string
	}{{0, true, "n3"}, {1, true, "n3"}, {2, true, "n0"}, {2, false, "n3"}} {
		w := newWorld(t, 4, 1)
		n := w.node("n0")
		n.slots.Add(12) // of n3, whose epoch is the higher one
		w.node("n3").up = !tt.silent
		w.hear("n3")
		for _, name := range []string{"n1", "n2"}[:tt.others] {
			k := w.node(name).table[n.id]
			k.slots.Add(12)
			w.node(name).table[n.id] = k
			k = w.node(name).table[w.node("n3").id]
			k.slots.Remove(12)
			w.node(name).table[w.node("n3").id] = k
		}
		w.hear("n1", "n2", "n0")
		w.wantSlot(tt.want, 12)
		w.wantSlot("n3", 13)
	}
}

func TestSlotsThatWereReshardedAreOneBatch(t *testing.T) {
	w := newWorld(t, 3, 1)
	a, b := w.shard(0).Number, w.shard(4).Number
	for s := range uint16(3) {
		w.reshard(s, "n1")
	}
	w.hear("n1")
	w.want("n1", *slot.SetOf(slot.Range{First: 0, Last: 2}))
	w.wantSlot("n0", 3)
	if len(w.moved) != 1 || w.moved[0].From != a || w.moved[0].To != b || w.moved[0].Slots.String() != "0-2" {
		t.Errorf("the changes are %v", w.moved)
	}
	w.gossipAll()
	w.hearAll()
	if len(w.moved) != 1 || len(w.promoted) != 0 {
		t.Errorf("the changes are %v and %v", w.moved, w.promoted)
	}
}

func TestTheSourceOfAReshardMayTellFirst(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.reshard(2, "n1")
	gossip(w.node("n1"), w.node("n0"))
	w.hear("n0")
	w.wantSlot("", 2)
	w.hear("n1")
	w.wantSlot("n1", 2)
}

func TestWhomOthersNameIsAskedAtOnce(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.reshard(0, "n1")
	w.gossipAll()
	w.hear("n5") // a replica
	if want := []Addr{w.node("n1").addr}; !slices.Equal(w.d.AskNow, want) {
		t.Errorf("asked at once: %v, want %v", w.d.AskNow, want)
	}
	w.wantSlot("n0", 0)
	w.hear("n0")
	if want := []Addr{w.node("n1").addr}; !slices.Equal(w.d.AskNow, want) {
		t.Errorf("asked at once: %v, want %v", w.d.AskNow, want)
	}
	w.hear("n1")
	w.hearAll()
	if len(w.d.AskNow) != 0 {
		t.Errorf("asked at once when all agree: %v", w.d.AskNow)
	}
}

func TestANewMasterGetsAShardOfItsOwn(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.add("n", 6)
	w.gossipAll()
	w.hearAll()
	w.hear("n6")
	w.reshard(0, "n6")
	w.hear("n6")
	w.wantSlot("n6", 0)
	numbers := map[uint32]bool{}
	for _, sh := range w.d.Shards {
		numbers[sh.Number] = true
	}
	if len(numbers) != 4 || w.shard(0).Number != 4 {
		t.Errorf("the shards are %s", w.text())
	}
}

func TestTheNumberOfAShardIsNotUsedAgain(t *testing.T) {
	w := newWorld(t, 3, 1)
	for s := range uint16(per) {
		w.reshard(s, "n1")
	}
	w.gossipAll()
	w.hearAll()
	if len(w.d.Shards) != 2 {
		t.Fatalf("the shards are %s", w.text())
	}
	w.node("n0").line = Line{ID: w.node("n0").id, Addr: w.node("n0").addr, Flags: FlagMaster}
	w.reshard(0, "n0")
	w.gossipAll()
	w.hearAll()
	w.wantSlot("n0", 0)
	if got := w.shard(0).Number; got != 4 {
		t.Errorf("the shard is number %d", got)
	}
}

func TestSlotsThatWentAwayAndCameBackAreToldByTheEpoch(t *testing.T) {
	w := newWorld(t, 3, 1)
	before := w.shard(0)
	w.reshard(0, "n1")
	gossip(w.node("n1"), w.node("n0"))
	w.reshard(0, "n0")
	w.gossipAll()
	w.hear("n0", "n1", "n2")
	w.wantSlot("n0", 0)
	after := w.shard(0)
	if !slices.Contains(w.returned, before.Number) || after.Generation == before.Generation || after.Number != before.Number {
		t.Errorf("returned %v; %+v became %+v", w.returned, before, after)
	}
	if len(w.moved) != 0 {
		t.Errorf("slots moved: %v", w.moved)
	}
	w.wantStage(0, Suspect, TroubleUnproven)
	w.wait(time.Second)
	w.wantStage(0, Healthy, TroubleNone)
}

func TestARestartBeginsAnotherGeneration(t *testing.T) {
	w := newWorld(t, 3, 1)
	before := w.shard(0)
	w.node("n0").runID = "another"
	w.hear("n0")
	if after := w.shard(0); after.Generation != before.Generation+1 || after.Number != before.Number || len(w.returned) != 0 {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestAnOlderAnswerChangesNothing(t *testing.T) {
	w := newWorld(t, 3, 1)
	old := w.node("n0").view(w)
	w.now = w.now.Add(time.Second)
	w.reshard(0, "n1")
	w.gossipAll()
	w.hear("n0", "n1")
	w.feed(old)
	w.wantSlot("n1", 0)
	early := w.node("n3").view(w) // a replica
	w.now = w.now.Add(time.Second)
	w.promote("n3")
	w.hear("n3")
	w.wantSlot("n3", 1)
	w.feed(early)
	w.wantStage(1, Suspect, TroubleUnproven)
}

func TestADemotedMasterKeepsItsShardUntilTheNextIsThere(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.promote("n3")
	gossip(w.node("n3"), w.node("n0"))
	w.hear("n0")
	w.wantStage(0, Blocked, TroubleDemoted)
	if len(w.moved) != 0 {
		t.Errorf("slots moved: %v", w.moved)
	}
	if want := w.node("n3").addr; !slices.Contains(w.d.AskNow, want) {
		t.Errorf("its new master is not asked at once: %v", w.d.AskNow)
	}
	w.hear("n3")
	w.wantSlot("n3", 0)
}
