package sentinel

import (
	"testing"
	"time"
)

func TestStartFindsTheMaster(t *testing.T) {
	w := bareWorld(t)
	w.run(150)
	w.want(Suspect, "n1")
	w.wantConfirmed(true)
	w.run(300)
	w.want(Clear, "n1")
	if w.d.Generation != 1 || len(w.m.History()) != 0 {
		t.Errorf("generation %d, history %v", w.d.Generation, w.m.History())
	}
}

func TestStartWithOneSentinelIsProvisional(t *testing.T) {
	w := bareWorld(t)
	w.sentinel("s2").dead, w.sentinel("s3").dead = true, true
	w.run(500)
	w.want(Suspect, "n1")
	w.wantConfirmed(false)
	w.run(10000)
	w.wantConfirmed(false)
	w.sentinel("s2").dead = false
	w.run(300)
	w.wantConfirmed(true)
	w.want(Clear, "n1")
}

func TestStartWaitsForTheOthersAMoment(t *testing.T) {
	w := bareWorld(t)
	s := w.sentinel("s1")
	s.named = "n2"
	w.promote("n2") // s1 is wrong, and the first to answer
	w.clock = 10
	w.poll(s)
	w.probe(w.node("n2"))
	w.want(Fenced, "")
	w.run(400)
	w.wantMaster("n1")
}

func TestStartBelievesNeitherOfTwoEqualWords(t *testing.T) {
	w := bareWorld(t)
	w.sentinel("s3").dead = true
	w.promote("n2")
	w.sentinel("s2").named = "n2"
	w.run(5000)
	w.want(Fenced, "")
	w.sentinel("s2").epoch = 1
	w.run(300)
	w.want(Suspect, "n2")
	w.wantConfirmed(false)
}

func TestStartInAnOutageFollowsThePromotion(t *testing.T) {
	w := bareWorld(t)
	w.node("n1").dead = true
	w.run(1000)
	w.want(Fenced, "")
	w.try("s1", "n1")
	w.promote("n2")
	w.run(50)
	w.want(Suspect, "n2") // its line is known from the replicas
	w.announce("n2", 1, "s1", "s2")
	w.run(100)
	w.wantConfirmed(true)
}

func TestStartAfterThePromotionBeforeTheNews(t *testing.T) {
	w := bareWorld(t)
	w.node("n1").dead = true
	w.promote("n2") // never seen as a replica
	w.sentinel("s1").progress, w.sentinel("s1").promoted = ProgressSelected, "n2"
	w.run(200)
	w.want(Suspect, "n2")
	w.wantConfirmed(false)
}

func TestStartInAPlannedFailoverDoesNotTakeTheOldMaster(t *testing.T) {
	w := bareWorld(t)
	w.promote("n2")
	s := w.sentinel("s1")
	s.named, s.master, s.epoch, s.progress, s.promoted = "n2", "n1", 1, ProgressPromoted, "n2"
	w.run(1000) // n1 is still named by two of three, and says master
	w.wantMaster("n2")
}

func TestASentinelThatIsWrongForEverDoesNotHoldUpTheStart(t *testing.T) {
	w := bareWorld(t)
	w.sentinel("s3").epoch = 99
	w.sentinel("s3").named = "n3"
	w.run(1000)
	w.want(Fenced, "")
	w.run(1500)
	w.wantMaster("n1")
	w.wantConfirmed(true)
}

func TestStartBetweenFailoverByHandAndItsNotice(t *testing.T) {
	w := bareWorld(t)
	w.promote("n2")
	w.repoint("n1", "n2")
	w.repoint("n3", "n2")
	w.run(300)
	w.want(Suspect, "n2") // the master they name says itself that it follows n2
	w.wantConfirmed(false)
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(300)
	w.want(Clear, "n2")
}

func TestStartDoesNotFollowANamedReplicaAnywhere(t *testing.T) {
	w := bareWorld(t)
	stranger := w.add("n9", "")
	stranger.id = hexID(0x99)
	for _, s := range w.guard {
		s.lists = []string{"n2", "n3"}
	}
	w.repoint("n1", "n9")
	w.run(1000)
	w.want(Fenced, "")
}

func TestStartWithoutSentinelsHasNoMaster(t *testing.T) {
	w := bareWorld(t)
	for _, s := range w.guard {
		s.dead = true
	}
	w.run(9000)
	w.want(Fenced, "")
	w.run(2000)
	w.want(Degraded, "")
	for _, s := range w.guard {
		s.dead = false
	}
	w.run(1000)
	w.want(Clear, "n1")
}

func TestPeersAreWatchedOnceEach(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.guard[:2] {
		s.peers = []PeerView{
			{Addr: Addr{"sentinel-2", 26379}, ID: w.guard[1].id},
			{Addr: Addr{"sentinel-4", 26379}, ID: hexID(0x204)},
			{Addr: Addr{"sentinel-5", 26379}, ID: hexID(0x205), Flags: FlagSDown},
		}
	}
	w.guard[1].peers = append(w.guard[1].peers, PeerView{Addr: Addr{"sentinel-6", 26379}, ID: hexID(0x206)}) // by one's word
	w.run(100)
	want := []Addr{w.guard[0].addr, w.guard[1].addr, w.guard[2].addr, {"sentinel-4", 26379}}
	if len(w.d.Sentinels) != len(want) {
		t.Fatalf("watch %v, want %v", w.d.Sentinels, want)
	}
	for i := range want {
		if w.d.Sentinels[i] != want[i] {
			t.Errorf("watch %v, want %v", w.d.Sentinels, want)
		}
	}
}

func TestNodesAndSentinelsAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 500 {
		w.clock++
		a := Addr{Host: "10.9.9.9", Port: uint16(i + 1)}
		w.feed(Event{Sentinel: a, At: at(w.clock), Channel: "+sdown", Message: "slave x 10.8.8.8 " + itoa(i+1) + " @ shop 10.7.7.7 " + itoa(i+1)})
		w.feed(Link{Sentinel: a, At: at(w.clock), Up: true})
	}
	w.run(1000)
	w.want(Clear, "n1")
}

func TestStatusSaysWhoIsHeardAndWhoAgrees(t *testing.T) {
	w := newWorld(t)
	w.guardEpochs(3)
	w.announce("n2", 2, "s3")
	w.link("s2", false)
	w.event("s3", "+tilt", "#tilt mode entered")
	w.run(200)
	st := w.m.Status()
	if st.Known != 3 || st.Reachable != 3 || st.Needed != 2 || st.Agreeing != 2 || st.Quorum != 2 || !st.CanFailOver() {
		t.Errorf("status %+v", st)
	}
	s2, s3 := st.Sentinels[1], st.Sentinels[2]
	if s2.Subscribed || s2.Stale || !s3.Subscribed || !s3.Stale || !s3.Tilt || s3.Named != w.node("n2").addr || s3.Epoch != 2 {
		t.Errorf("s2 %+v, s3 %+v", s2, s3)
	}
	if n := st.Nodes[1]; n.Role != RoleReplica || n.Follows != w.node("n1").addr || !n.Promotable || !n.Reachable {
		t.Errorf("n2 %+v", n)
	}
	w.sentinel("s1").dead, w.sentinel("s2").dead = true, true
	w.run(200)
	if st := w.m.Status(); st.CanFailOver() || st.Reachable != 1 {
		t.Errorf("status %+v: one of three elects nobody", st)
	}
}

func TestThePaceFollowsTheNews(t *testing.T) {
	w := newWorld(t)
	r := Rules{}.withDefaults()
	pace := func(when string, probe, poll time.Duration) {
		t.Helper()
		if w.d.ProbeEach != probe || w.d.PollEach != poll {
			t.Errorf("%s: probes each %v, polls each %v", when, w.d.ProbeEach, w.d.PollEach)
		}
	}
	pace("calm", r.ProbeIdle, r.PollIdle)
	w.event("s1", "+switch-master", "shop % %", "n3", "n1")
	if !w.d.PollNow || !w.d.ProbeNow {
		t.Error("a hint makes nobody ask")
	}
	w.node("n1").dead = true
	w.run(200)
	pace("fenced", r.ProbeFast, r.PollFast)
	w.run(12000)
	pace("fenced and quiet", r.ProbeSlow, r.PollSlow)
	w.try("s1", "n1")
	pace("a try", r.ProbeFast, r.PollFast)
	w.promote("n2")
	w.run(200)
	pace("adopted", r.ProbeFast, r.PollFast)
	w.run(5000)
	pace("adopted, unproved", r.ProbeSlow, r.PollSlow)
}
