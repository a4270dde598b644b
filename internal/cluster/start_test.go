package cluster

import (
	"slices"
	"testing"
	"time"
)

// begin is a machine that has heard nothing yet.
func begin(t *testing.T, w *world, seeds ...string) {
	t.Helper()
	var at []Addr
	for _, s := range seeds {
		at = append(at, w.node(s).addr)
	}
	w.m = New(at, Rules{})
	w.feed(Tick{w.now})
}

func (w *world) asks(a Addr) time.Duration {
	for _, ask := range w.d.Asks {
		if ask.Addr == a {
			return ask.Each
		}
	}
	return 0
}

func TestTheStartNeedsMostOfTheOwnersOwnWord(t *testing.T) {
	w := newCluster(t, "n", 3, 1)
	begin(t, w, "n4")
	if len(w.d.Asks) != 1 || w.asks(w.node("n4").addr) == 0 {
		t.Fatalf("asked: %v", w.d.Asks)
	}
	w.hear("n4") // a replica: it tells who the others are
	if w.asks(w.node("n0").addr) == 0 || len(w.d.Shards) != 0 {
		t.Fatalf("asked: %v; decided: %s", w.d.Asks, w.text())
	}
	w.hear("n0")
	w.wantSlot("", 0)
	w.hear("n2")
	w.wantSlot("n0", 0)
	w.wantSlot("n2", 8)
	w.wantSlot("", 4)
	w.hear("n1")
	w.wantSlot("n1", 4)
}

func TestTheStartWaitsForMostOfTheSeeds(t *testing.T) {
	w := newCluster(t, "n", 3, 1)
	begin(t, w, "n0", "n1", "n2")
	w.hear("n0")
	if len(w.d.Shards) != 0 {
		t.Fatalf("decided by one seed of three: %s", w.text())
	}
	w.hear("n1")
	w.wantSlot("n0", 0)
}

func TestAMinorityIsEnoughAfterAMoment(t *testing.T) {
	w := newCluster(t, "n", 3, 1)
	w.node("n1").up, w.node("n2").up = false, false
	begin(t, w, "n0", "n1", "n2")
	for range fewTimes {
		w.hear("n0", "n1", "n2", "n0")
	}
	w.wantSlot("", 0)
	w.now = w.now.Add(w.m.rules.StartGrace)
	w.hear("n0")
	w.wantSlot("n0", 0)
	w.wantSlot("", 4)
}

// twoClusters is a world of two, of which each has one of the seeds n0 and o1.
func twoClusters(t *testing.T) *world {
	w := newCluster(t, "n", 3, 1)
	w.nodes = append(w.nodes, newCluster(t, "o", 3, 1).nodes...)
	begin(t, w, "n0", "o1")
	return w
}

// TestASlowSeedIsWaitedFor: a busy machine makes it miss some questions.
func TestASlowSeedIsWaitedFor(t *testing.T) {
	w := twoClusters(t)
	w.node("o1").up = false
	for range fewTimes - 1 {
		w.hear("o1")
	}
	w.now = w.now.Add(2 * w.m.rules.StartGrace)
	w.hear("n0", "n1", "n2")
	w.hear("n0", "n1", "n2")
	w.wantSlot("", 0)
	w.node("o1").up = true
	w.hear("o1")
	if len(w.d.Shards) != 0 || !w.finding(CodeTwoClusters) {
		t.Errorf("decided: %s; %+v", w.text(), w.d.Findings)
	}
}

// TestASlowSeedSettlesNoDispute: of two Clusters none is taken because the seed of the
// other one has not answered a question. One that is gone for long does not count.
func TestASlowSeedSettlesNoDispute(t *testing.T) {
	w := twoClusters(t)
	w.hear("n0", "n1", "n2", "o1")
	w.now = w.now.Add(2 * w.m.rules.StartGrace)
	w.node("o1").up = false
	at := w.now
	for range 9 {
		w.hear("o1", "n0", "n1", "n2")
		if len(w.d.Shards) != 0 || !w.finding(CodeTwoClusters) {
			t.Fatalf("decided %v after the last answer: %s; %+v", w.now.Sub(at), w.text(), w.d.Findings)
		}
		w.now = w.now.Add(w.m.rules.StartGrace)
	}
	w.now = at.Add(untriedGraces * w.m.rules.StartGrace)
	w.hear("n0", "n1", "n2")
	w.hear("n0", "n1", "n2")
	w.wantSlot("n0", 0)
}

// TestASeedThatIsStillAskedIsWaitedFor: it may lead to another Cluster. One of which
// nothing is heard at all is not waited for forever.
func TestASeedThatIsStillAskedIsWaitedFor(t *testing.T) {
	w := newCluster(t, "n", 3, 1)
	o := newCluster(t, "o", 3, 1)
	w.nodes = append(w.nodes, o.nodes...)
	begin(t, w, "n0", "o1")
	w.hear("n0", "n1", "n2")
	w.now = w.now.Add(2 * w.m.rules.StartGrace)
	w.hear("n0", "n1", "n2")
	w.wantSlot("", 0)
	at := w.now
	w.hear("o1")
	if len(w.d.Shards) != 0 || !w.finding(CodeTwoClusters) {
		t.Errorf("decided: %s; %+v", w.text(), w.d.Findings)
	}
	w = newCluster(t, "n", 3, 1)
	begin(t, w, "n0", "n1", "n2")
	w.hear("n0")
	w.now = at.Add(untriedGraces * w.m.rules.StartGrace)
	w.hear("n0")
	w.wantSlot("n0", 0)
}

func TestSeedsOfTwoClustersAreAFault(t *testing.T) {
	w := newCluster(t, "n", 3, 1)
	o := newCluster(t, "o", 3, 1)
	w.nodes = append(w.nodes, o.nodes...)
	begin(t, w, "n0", "o1")
	for range 10 {
		w.hear("n0", "o1", "n1", "o2", "n2", "o0")
		w.now = w.now.Add(time.Second)
	}
	if len(w.d.Shards) != 0 || !w.finding(CodeTwoClusters) {
		t.Errorf("decided: %s; %+v", w.text(), w.d.Findings)
	}
}

func TestASeedOfAnotherClusterIsTold(t *testing.T) {
	w := newCluster(t, "n", 3, 1)
	o := newCluster(t, "o", 3, 1)
	w.nodes = append(w.nodes, o.nodes...)
	begin(t, w, "n0", "n1", "o1")
	w.hear("n0", "n1", "n2", "o1")
	w.wantSlot("n0", 0)
	w.wantSlot("n1", 4)
	if !w.finding(CodeTwoClusters) {
		t.Errorf("findings: %+v", w.d.Findings)
	}
	if w.asks(w.node("o0").addr) != 0 {
		t.Error("nodes of the other Cluster are asked")
	}
}

func TestAClusterOfOneMasterIsFound(t *testing.T) {
	w := newCluster(t, "n", 1, 0)
	begin(t, w, "n0")
	w.hear("n0")
	w.wantSlot("n0", 0)
}

// TestARebuiltClusterIsFollowed: every address answers with a node that is not ours.
func TestARebuiltClusterIsFollowed(t *testing.T) {
	w := newWorld(t, 3, 1)
	before := w.shard(0).Number
	o := newCluster(t, "o", 3, 1)
	for i, n := range o.nodes {
		n.addr = w.nodes[i].addr
		n.line.Addr = n.addr
	}
	o.gossipAll()
	for _, n := range w.nodes {
		n.up = false
	}
	w.hearAll()
	w.nodes = append(w.nodes, o.nodes...)
	for _, n := range o.nodes {
		w.hear(n.name)
	}
	w.wantSlot("n0", 0)
	for _, n := range o.nodes {
		w.hear(n.name)
	}
	w.wantSlot("o0", 0)
	if !w.finding(CodeReplaced) || w.shard(0).Number == before {
		t.Errorf("%s; %+v", w.text(), w.d.Findings)
	}
	for s, want := range []string{"o0", "o1", "o2"} {
		w.wantSlot(want, uint16(s*per))
	}
	for _, c := range w.moved {
		if c.From == 0 {
			t.Errorf("slots %s of a former shard are said to be nobody's", c.Slots)
		}
	}
}

func TestPaces(t *testing.T) {
	w := newWorld(t, 3, 1)
	for _, n := range w.nodes {
		if got := w.asks(n.addr); got != time.Second {
			t.Errorf("%s is asked each %v in a healthy Cluster", n.name, got)
		}
	}
	w.feed(ConnLost{Node: w.node("n0").id, At: w.now})
	for name, want := range map[string]time.Duration{"n0": 25, "n3": 25, "n1": 25, "n2": 25, "n4": 1000, "n5": 1000} {
		if got := w.asks(w.node(name).addr); got != want*time.Millisecond {
			t.Errorf("%s is asked each %v in an episode of n0", name, got)
		}
	}
	w.node("n0").up, w.node("n3").up = false, false
	w.wait(11 * time.Second)
	if got := w.asks(w.node("n3").addr); got != 250*time.Millisecond {
		t.Errorf("n3 is asked each %v in a quiet episode", got)
	}
	w.accuse("n0", FlagSuspected, "n1")
	w.hear("n1")
	if got := w.asks(w.node("n3").addr); got != 25*time.Millisecond {
		t.Errorf("n3 is asked each %v after news", got)
	}

	large := newWorld(t, 9, 1)
	if a, b := large.asks(large.node("n0").addr), large.asks(large.node("n9").addr); a != 500*time.Millisecond || b != 5*time.Second {
		t.Errorf("in a large Cluster a master is asked each %v, a replica each %v", a, b)
	}
}

func TestFindingsTellOfWhatLasts(t *testing.T) {
	for _, tt := range []struct {
		code Code
		make func(w *world)
	}{
		{CodeUnowned, func(w *world) { w.node("n0").slots.Remove(2) }},
		{CodeMoving, func(w *world) { w.node("n0").moving.Add(2) }},
		{CodeDown, func(w *world) { w.node("n1").ok = false }},
		{CodeNoReplica, func(w *world) { w.accuse("n3", FlagFailed, "n0", "n1", "n2"); w.node("n3").up = false }},
		{CodeDisagree, func(w *world) { w.node("n1").give(2, w.node("n2").id) }},
	} {
		w := newWorld(t, 3, 1)
		tt.make(w)
		w.wait(9 * time.Second)
		told := func() bool { // slots from 12 on have no owner in any of these
			return slices.ContainsFunc(w.d.Findings, func(f Finding) bool { return f.Code == tt.code && (f.Code != CodeUnowned || f.First == 2) })
		}
		if told() {
			t.Errorf("%s is told at once", tt.code)
		}
		w.wait(2 * time.Second)
		if !told() {
			t.Errorf("%s is not told: %+v", tt.code, w.d.Findings)
		}
	}
}

func TestWhatMovesIsShown(t *testing.T) {
	w := newWorld(t, 3, 1)
	w.node("n0").moving.Add(2)
	w.node("n1").moving.Add(2)
	w.hear("n0", "n1")
	if w.d.Moving.String() != "2" {
		t.Errorf("moving: %s", &w.d.Moving)
	}
	w.node("n0").moving.Remove(2)
	w.hear("n0")
	if w.d.Moving.String() != "2" { // n1 still says so
		t.Errorf("moving: %s", &w.d.Moving)
	}
	w.node("n1").moving.Remove(2)
	w.hear("n1")
	if !w.d.Moving.Empty() {
		t.Errorf("moving: %s", &w.d.Moving)
	}
}
