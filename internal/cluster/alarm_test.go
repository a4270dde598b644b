package cluster

import (
	"slices"
	"testing"
	"time"
)

// accuse lets nodes hold another down.
func (w *world) accuse(name string, flags Flags, by ...string) {
	for _, b := range by {
		k := w.node(b).table[w.node(name).id]
		k.line.Flags = k.line.Flags&^(FlagSuspected|FlagFailed) | flags
		w.node(b).table[w.node(name).id] = k
	}
}

func TestAFreshClusterStaysHealthy(t *testing.T) {
	w := newWorld(t, 3, 1) // its current epoch is 6, above all config epochs
	generation := w.shard(0).Generation
	for range 60 {
		w.hearAll()
		w.beatAll()
		w.now = w.now.Add(time.Second)
		told := slices.ContainsFunc(w.d.Findings, func(f Finding) bool { return f.Code != CodeUnowned }) // few slots are used here
		if !w.allHealthy() || told {
			t.Fatalf("%s; %+v", w.text(), w.d.Findings)
		}
	}
	if w.shard(0).Generation != generation || len(w.moved)+len(w.promoted)+len(w.returned) != 0 {
		t.Errorf("something changed: %s", w.text())
	}
}

func TestARiseOfTheCurrentEpochIsAnElection(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.node("n4").current = 7
	w.hear("n4")
	for _, s := range []uint16{0, 4, 8} {
		w.wantStage(s, Suspect, TroubleElection)
	}
	w.wait(2 * time.Second)
	w.wantStage(0, Suspect, TroubleElection)
	w.wait(2*w.m.rules.NodeTimeout - time.Second)
	if !w.allHealthy() {
		t.Errorf("the election does not lapse: %s", w.text())
	}
	w.gossipAll() // the others hear of the same epoch later
	w.wait(time.Second)
	if !w.allHealthy() {
		t.Errorf("an old election is taken for a new one: %s", w.text())
	}
}

func TestAnElectionEndsWithItsPromotion(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.node("n1").current = 7
	w.hear("n1")
	w.wantStage(0, Suspect, TroubleElection)
	w.promote("n3") // under epoch 7
	w.hear("n3")
	w.node("n2").current = 8 // asked for by one who has lost
	w.hear("n2")
	w.gossipAll()
	w.wait(time.Second)
	if !w.allHealthy() {
		t.Errorf("the election does not end: %s", w.text())
	}
}

func TestWeakSignsMakeAShardSuspect(t *testing.T) {
	for name, tt := range map[string]struct {
		sign func(w *world)
		want Trouble
	}{
		"a node holds the master down": {func(w *world) { w.accuse("n0", FlagSuspected, "n5"); w.hear("n5") }, TroubleSuspected},
		"a replica is not attached":    {func(w *world) { w.node("n3").up = false; w.hear("n0") }, TroubleReplica},
		"a slow barrier": {func(w *world) {
			w.feed(Barrier{Node: w.node("n0").id, SentAt: w.now, At: w.now.Add(time.Second)})
		}, TroubleUnproven},
		"no barrier is held": {func(w *world) {
			w.now = w.now.Add(w.m.rules.NodeTimeout/2 + time.Millisecond)
			w.beat("n1", 1)
			w.beat("n2", 1)
			w.hear("n0", "n1", "n2")
		}, TroubleUnconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3, 1)
			tt.sign(w)
			w.wantStage(0, Suspect, tt.want)
			w.wantStage(4, Healthy, TroubleNone)
		})
	}
}

func TestStrongSignsBlockAShard(t *testing.T) {
	for name, tt := range map[string]struct {
		sign func(w *world)
		want Trouble
	}{
		"its connection is lost": {func(w *world) { w.feed(ConnLost{Node: w.node("n0").id, At: w.now}) }, TroubleSilent},
		"it does not answer":     {func(w *world) { w.node("n0").up = false; w.hear("n0") }, TroubleSilent},
		"no barrier is answered": {func(w *world) {
			w.feed(Barrier{Node: w.node("n0").id, SentAt: w.now, At: w.now.Add(time.Millisecond), Fault: FaultSilent})
		}, TroubleSilent},
		"it loads": {func(w *world) {
			w.feed(View{Node: w.node("n0").addr, SentAt: w.now, At: w.now, Fault: FaultLoading})
		}, TroubleLoading},
		"it says READONLY": {func(w *world) { w.refuse("n0", FaultDemoted) }, TroubleDemoted},
		"it is a replica":  {func(w *world) { w.node("n0").demote(w.node("n1")); w.hear("n0") }, TroubleDemoted},
		"CLUSTERDOWN":      {func(w *world) { w.refuse("n0", FaultDown) }, TroubleDown},
		"a barrier meets CLUSTERDOWN": {func(w *world) {
			w.feed(Barrier{Node: w.node("n0").id, SentAt: w.now, At: w.now.Add(time.Millisecond), Fault: FaultDown})
		}, TroubleDown},
		"its state is fail": {func(w *world) { w.node("n0").ok = false; w.hear("n0") }, TroubleDown},
		"it has failed":     {func(w *world) { w.accuse("n0", FlagFailed, "n4"); w.hear("n4") }, TroubleFailed},
		"a replica rises without vouchers": {func(w *world) {
			w.promote("n3")
			w.node("n3").current = 6
			w.node("n3").line.Epoch = 0 // lower than it was known under
			w.hear("n3")
			w.node("n3").line.Epoch = 8
			for _, n := range w.nodes {
				delete(n.table, w.node("n3").id)
			}
			w.hear("n0", "n1", "n2", "n3")
		}, TroubleRival},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3, 1)
			tt.sign(w)
			w.wantStage(0, Blocked, tt.want)
			w.wantStage(4, Healthy, TroubleNone)
			w.wantSlot("n0", 0)
		})
	}
}

func (w *world) refuse(name string, f Fault) {
	w.t.Helper()
	w.feed(Refused{Node: w.node(name).id, SentAt: w.now, At: w.now.Add(time.Millisecond), Fault: f})
	w.now = w.now.Add(2 * time.Millisecond)
}

func TestCLUSTERDOWNEndsWithTheNodesOwnWord(t *testing.T) {
	w := newWorld(t, 3, 1)
	late := Refused{Node: w.node("n0").id, SentAt: w.now, At: w.now.Add(time.Second), Fault: FaultDown}
	w.node("n0").ok = false
	w.hear("n0")
	w.node("n0").ok = true
	w.hear("n0")
	w.wantStage(0, Suspect, TroubleUnproven)
	w.feed(late) // refused before the node said that it takes commands
	w.wantStage(0, Suspect, TroubleUnproven)
	if n := w.shard(0); n.Generation != 1 {
		t.Errorf("generation %d: the node was well all the time", n.Generation)
	}
}

func TestWhatOthersSeeBlocksAnAnsweringMasterForAMoment(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.accuse("n0", FlagFailed, "n1", "n2", "n3")
	w.hearAll()
	w.wantStage(0, Blocked, TroubleFailed)
	w.wait(w.m.rules.BlockLimit - 300*time.Millisecond)
	w.wantStage(0, Blocked, TroubleFailed)
	w.wait(time.Second)
	w.wantStage(0, Suspect, TroubleFailed)
	w.node("n0").up = false
	w.hear("n0")
	w.wantStage(0, Blocked, TroubleSilent)
	w.wait(10 * time.Second)
	w.wantStage(0, Blocked, TroubleSilent)
}

func TestANodeThatHasFailedAccusesNobody(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.accuse("n4", FlagFailed, "n0", "n1", "n2")
	w.accuse("n0", FlagSuspected, "n4") // it is cut off, and holds everybody down
	w.accuse("n1", FlagSuspected, "n4")
	w.hearAll()
	if !w.allHealthy() {
		t.Errorf("%s", w.text())
	}
}

func TestOnlyABarrierThatEveryPromotableReplicaHasIsProof(t *testing.T) {
	w := newWorld(t, 3, 2) // n3 and n6 follow n0
	alarm := func() {
		w.feed(ConnLost{Node: w.node("n0").id, At: w.now})
		w.now = w.now.Add(time.Millisecond)
		w.hear("n0")
		w.wantStage(0, Suspect, TroubleUnproven)
	}
	alarm()
	if got := len(w.shard(0).Promotable); got != 2 {
		t.Fatalf("%d promotable replicas", got)
	}
	w.beat("n0", 1)
	w.hear("n0")
	w.wantStage(0, Suspect, TroubleUnproven)
	w.feed(Barrier{Node: w.node("n0").id, SentAt: w.now, At: w.now, Acked: 2, By: []Addr{w.node("n3").addr, w.node("n4").addr}})
	w.hear("n0")
	w.wantStage(0, Suspect, TroubleUnproven)
	w.beat("n0", 2)
	w.hear("n0")
	w.wantStage(0, Healthy, TroubleNone)
	alarm()
	w.feed(Barrier{Node: w.node("n0").id, SentAt: w.now, At: w.now, Acked: 0, By: []Addr{w.node("n6").addr, w.node("n3").addr}})
	w.hear("n0")
	w.wantStage(0, Healthy, TroubleNone)
}

func TestWhoIsPromotable(t *testing.T) {
	names := func(w *world) (out []string) {
		for _, n := range w.shard(0).Promotable {
			out = append(out, w.nameOf(n.ID))
		}
		slices.Sort(out)
		return out
	}
	for _, tt := range []struct {
		name string
		make func(w *world)
		want []string
	}{
		{"all", func(*world) {}, []string{"n3", "n6"}},
		{"failed by one master of three", func(w *world) { w.accuse("n6", FlagFailed, "n1") }, []string{"n3", "n6"}},
		{"failed by two", func(w *world) { w.accuse("n6", FlagFailed, "n1", "n2") }, []string{"n3"}},
		{"nofailover", func(w *world) { w.node("n6").line.Flags |= FlagNoFailover; w.gossipAll() }, []string{"n3"}},
		{"by one node's word still", func(w *world) {
			w.node("n6").line.Master = w.node("n1").id
			for _, n := range w.nodes {
				if n.name != "n5" {
					gossip(w.node("n6"), n)
				}
			}
		}, []string{"n3", "n6"}},
		{"gone to another master", func(w *world) { w.node("n6").line.Master = w.node("n1").id; w.gossipAll() }, []string{"n3"}},
	} {
		w := newWorld(t, 3, 2)
		tt.make(w)
		w.hearAll()
		if got := names(w); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAReplicaMoreNeedsAProofMore(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.feed(ConnLost{Node: w.node("n0").id, At: w.now})
	w.now = w.now.Add(time.Millisecond)
	w.hear("n0")
	n := w.add("n", 6)
	n.line.Flags, n.line.Master = FlagReplica, w.node("n0").id
	w.gossipAll()
	w.hear("n0", "n1")
	w.beat("n0", 1)
	w.hear("n0")
	w.wantStage(0, Suspect, TroubleUnproven)
	w.beat("n0", 2)
	w.hear("n0")
	w.wantStage(0, Healthy, TroubleNone)
}

func TestASlowBarrierThatAllHaveIsAProofToo(t *testing.T) {
	w := newWorld(t, 3, 1)
	slow := func(late time.Duration) {
		w.feed(Barrier{Node: w.node("n0").id, SentAt: w.now, At: w.now.Add(250 * time.Millisecond), Late: late, Acked: 1})
		w.now = w.now.Add(251 * time.Millisecond)
	}
	slow(100 * time.Millisecond) // our own time makes no barrier slow
	w.wantStage(0, Healthy, TroubleNone)
	slow(0)
	w.wantStage(0, Suspect, TroubleUnproven)
	slow(0)
	w.hear("n0")
	w.wantStage(0, Healthy, TroubleNone)
}

func TestABarrierOfTheMasterBeforeProvesNothing(t *testing.T) {
	w := newWorld(t, 3, 1)
	sent := w.now
	w.now = w.now.Add(10 * time.Millisecond)
	w.promote("n3")
	w.hear("n3")
	for _, name := range []string{"n0", "n3"} {
		w.feed(Barrier{Node: w.node(name).id, SentAt: sent, At: w.now, Acked: 9})
	}
	w.hear("n3")
	w.wantStage(0, Suspect, TroubleUnproven)
}

func TestABarrierFromBeforeTheAlarmProvesNothing(t *testing.T) {
	w := newWorld(t, 3, 1)
	sent := w.now
	w.now = w.now.Add(10 * time.Millisecond)
	w.accuse("n0", FlagSuspected, "n1")
	w.hear("n1")
	w.accuse("n0", 0, "n1")
	w.hear("n1", "n0")
	w.feed(Barrier{Node: w.node("n0").id, SentAt: sent, At: w.now, Acked: 1})
	w.hear("n0")
	w.wantStage(0, Suspect, TroubleUnproven)
	w.beat("n0", 1)
	w.hear("n0")
	w.wantStage(0, Healthy, TroubleNone)
}

func TestAShardWithoutNewsIsDegraded(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.node("n0").up, w.node("n3").up = false, false
	w.wait(2*w.m.rules.NodeTimeout - time.Second)
	w.wantStage(0, Blocked, TroubleSilent)
	w.wait(2 * time.Second)
	w.wantStage(0, Degraded, TroubleSilent)
	if w.shard(0).Writes() || !w.shard(4).Writes() {
		t.Error("writes are sent to the wrong shards")
	}
	w.accuse("n0", FlagSuspected, "n1") // news
	w.hear("n1")
	w.wantStage(0, Blocked, TroubleSilent)
	w.node("n0").up = true
	w.accuse("n0", 0, "n1")
	w.node("n3").up = true
	w.wait(time.Second)
	w.wantStage(0, Healthy, TroubleNone)
}

func TestARefusedSlotIsInDoubtAlone(t *testing.T) {
	w := newWorld(t, 3, 1)
	before := w.d.Routes
	refused := Refused{Node: w.node("n0").id, SentAt: w.now, At: w.now.Add(time.Millisecond), Fault: FaultMoved, Slot: 1, To: w.node("n1").addr}
	w.feed(refused)
	if !w.d.Doubted.Has(1) || w.d.Doubted.Len() != 1 || w.d.Routes == before {
		t.Errorf("in doubt: %s", &w.d.Doubted)
	}
	if !slices.Equal(w.d.AskNow, []Addr{w.node("n1").addr, w.node("n0").addr}) {
		t.Errorf("asked at once: %v", w.d.AskNow)
	}
	w.wantStage(0, Healthy, TroubleNone)
	w.now = w.now.Add(10 * time.Millisecond)
	w.hear("n0")
	if !w.d.Doubted.Empty() {
		t.Errorf("in doubt after the owner's word: %s", &w.d.Doubted)
	}
	w.feed(refused) // it arrives after that
	if !w.d.Doubted.Empty() {
		t.Errorf("in doubt by an old reply: %s", &w.d.Doubted)
	}
	refused.SentAt, refused.At, refused.Slot = w.now, w.now, noSlot
	refused.To = w.stranger("n2").addr
	refused.To.Port = 9999
	w.feed(refused) // no slot, and an address that nobody lists: not asked, since asking sends the password
	if !w.d.Doubted.Empty() || slices.Contains(w.d.AskNow, refused.To) {
		t.Errorf("in doubt: %s; asked: %v", &w.d.Doubted, w.d.AskNow)
	}
}
