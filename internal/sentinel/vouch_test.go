package sentinel

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// bogus are addresses that no node of the world has.
func bogus(n int) (addrs []Addr) {
	for i := range n {
		addrs = append(addrs, Addr{Host: fmt.Sprintf("10.6.6.%d", i+1), Port: 6379})
	}
	return addrs
}

// wantAsked fails unless exactly these nodes are asked.
func (w *world) wantAsked(names ...string) {
	w.t.Helper()
	var want []Addr
	for _, name := range names {
		want = append(want, w.node(name).addr)
	}
	for _, a := range w.d.Probes {
		if !slices.Contains(want, a) {
			w.t.Fatalf("at %.0f ms: %v is asked", w.clock, a)
		}
	}
	if len(w.d.Probes) != len(want) {
		w.t.Fatalf("at %.0f ms: asked are %v, want %v", w.clock, w.d.Probes, want)
	}
}

func TestWhatOneSentinelAloneNamesIsNotAsked(t *testing.T) {
	for _, n := range []int{1, 60, 5000} {
		w := bareWorld(t)
		s3 := w.sentinel("s3")
		s3.alone = bogus(min(n, 2*MaxListed))
		for range 5 {
			w.clock += 10
			w.poll(s3) // it is the first to answer
			w.wantAsked()
		}
		w.run(1000)
		w.want(Clear, "n1")
		w.wantConfirmed(true)
		w.wantAsked("n1", "n2", "n3")
		if len(w.d.Promotable) != 2 {
			t.Errorf("promotable: %v", w.d.Promotable)
		}
		w.feed(Event{Sentinel: s3.addr, At: at(w.clock), Channel: "+sdown", Message: "slave x 10.6.6.1 6379 @ shop 10.6.6.2 6379"})
		w.wantAsked("n1", "n2", "n3")
		if e := w.m.Status().Sentinels[2]; e.Differs {
			t.Errorf("it is said to differ within a second")
		}
		w.run(4000)
		w.want(Clear, "n1")
		for i, e := range w.m.Status().Sentinels {
			if e.Differs != (i == 2) || len(e.Alone) != map[bool]int{true: min(n, MaxListed-2)}[i == 2] {
				t.Errorf("%d lists: sentinel %d differs: %v, names %d alone", n, i+1, e.Differs, len(e.Alone))
			}
		}
		s3.alone = nil
		w.run(200)
		if e := w.m.Status().Sentinels[2]; e.Differs || len(e.Alone) > 0 {
			t.Errorf("it still differs: %+v", e)
		}
	}
}

// TestASentinelThatIsLeftAloneIsNotBelievedMore: what the others said when they
// were heard last still counts.
func TestASentinelThatIsLeftAloneIsNotBelievedMore(t *testing.T) {
	w := newWorld(t)
	w.sentinel("s1").dead, w.sentinel("s2").dead = true, true
	w.sentinel("s3").alone = bogus(9)
	w.run(20_000)
	w.wantAsked("n1", "n2", "n3")
	w.want(Clear, "n1")
	w.sentinel("s3").alias, w.sentinel("s3").epoch = bogus(1)[0], 9
	w.run(1000)
	w.wantAsked("n1", "n2", "n3")
	w.wantMaster("n1")
}

// TestFewerThanAMajorityMaySayWhoTheMasterIs, when the others have not answered
// in time, and no more: the master says who its replicas are.
func TestFewerThanAMajorityMaySayWhoTheMasterIs(t *testing.T) {
	w := bareWorld(t)
	w.sentinel("s1").dead, w.sentinel("s2").dead = true, true
	s3 := w.sentinel("s3")
	s3.alone = bogus(9)
	w.poll(s3)
	w.wantAsked() // the others may yet answer
	w.run(1000)
	w.want(Suspect, "n1")
	w.wantAsked("n1", "n2", "n3")
	w.wantConfirmed(false)
	w.node("n1").dead = true // its word stands
	w.run(1000)
	w.wantAsked("n1", "n2", "n3")
}

// TestAMasterThatAMinorityNamedIsForgotten when the others are heard.
func TestAMasterThatAMinorityNamedIsForgotten(t *testing.T) {
	w := bareWorld(t)
	w.sentinel("s1").dead, w.sentinel("s2").dead = true, true
	s3 := w.sentinel("s3")
	s3.alias = bogus(1)[0]
	w.run(1000)
	if !slices.Equal(w.d.Probes, bogus(1)) {
		t.Fatalf("asked are %v", w.d.Probes)
	}
	w.sentinel("s1").dead, w.sentinel("s2").dead = false, false
	w.run(1500)
	w.want(Clear, "n1")
	w.wantAsked("n1", "n2", "n3")
}

func TestWhatTheOperatorListsIsAskedByOneSentinelsWord(t *testing.T) {
	w := bareWorld(t)
	w.m.Allow(bogus(2)...)
	w.sentinel("s3").alone = bogus(3)[1:]
	w.run(200)
	if got, want := len(w.d.Probes), 4; got != want || !slices.Contains(w.d.Probes, bogus(2)[1]) {
		t.Errorf("asked are %v", w.d.Probes)
	}
}

func TestTheOnlySentinelIsTheMajority(t *testing.T) {
	w := bareWorld(t)
	w.guard = w.guard[:1]
	w.guard[0].others = 0
	w.m = New("shop", []Addr{w.guard[0].addr}, Rules{FailoverTimeout: 5 * time.Second})
	w.run(500)
	w.want(Clear, "n1")
	w.wantConfirmed(true)
	w.wantAsked("n1", "n2", "n3")
}

// TestAReplicaThatTheSentinelsHaveNotFoundYetIsKnownByItsMaster: they look each
// ten seconds.
func TestAReplicaThatTheSentinelsHaveNotFoundYetIsKnownByItsMaster(t *testing.T) {
	w := bareWorld(t)
	for _, s := range w.guard {
		s.lists = []string{}
	}
	w.run(1000)
	w.want(Clear, "n1")
	w.wantAsked("n1", "n2", "n3")
	w.sentinel("s1").lists = nil // the first one has found them
	w.run(4000)
	if e := w.m.Status().Sentinels[0]; e.Differs {
		t.Errorf("what the master knows is no difference: %+v", e)
	}
}

// ghosts are sentinels that do not exist, under addresses that could be dialled.
func ghosts(n int) (peers []PeerView) {
	for i := range n {
		peers = append(peers, PeerView{Addr: Addr{Host: "10.5.5.5", Port: uint16(i + 1)}, ID: hexID(0x700 + i), Flags: FlagSentinel})
	}
	return peers
}

// TestPeersOfOneSentinelAloneHoldNothingUp: nor are they logged in to.
func TestPeersOfOneSentinelAloneHoldNothingUp(t *testing.T) {
	w := bareWorld(t)
	s3 := w.sentinel("s3")
	s3.peers, s3.others = ghosts(MaxListed), maxSentinels
	w.poll(s3)
	w.run(1000)
	w.want(Clear, "n1")
	w.wantConfirmed(true)
	if st := w.m.Status(); st.Known != 3 || st.Needed != 2 || len(w.d.Sentinels) != 3 {
		t.Errorf("known %d, needed %d, heard %v", st.Known, st.Needed, w.d.Sentinels)
	}
	w.sentinel("s2").others = 4 // and another one remembers two that are gone
	w.run(200)
	if st := w.m.Status(); st.Known != 5 {
		t.Errorf("known %d, want what two of them claim at least", st.Known)
	}
	w.sentinel("s2").others = 2
	w.node("n1").dead = true
	w.promote("n2")
	w.announce("n2", 1, "s1", "s2")
	w.run(500)
	w.wantMaster("n2")
	w.wantConfirmed(true)
}

// TestABorrowedIDTakesNoVoteAway: a sentinel says that it is another one.
func TestABorrowedIDTakesNoVoteAway(t *testing.T) {
	w := bareWorld(t)
	w.guard[0].id = w.guard[1].id
	w.guard[0].alias = bogus(1)[0]
	w.run(1000)
	w.want(Clear, "n1")
	w.wantConfirmed(true)
	w.wantAsked("n1", "n2", "n3")
}

// TestAMasterThatNobodyElseKnowsIsNoAlarm while a majority names ours.
func TestAMasterThatNobodyElseKnowsIsNoAlarm(t *testing.T) {
	w := newWorld(t)
	s3 := w.sentinel("s3")
	for i := range 20 {
		s3.alias, s3.epoch = bogus(20)[i], int64(10+i)
		w.run(100)
		w.want(Clear, "n1")
		w.feed(Event{Sentinel: s3.addr, At: at(w.clock), Channel: "+switch-master", Message: "shop 10.0.0.1 7001 10.6.6.1 6379"})
		w.want(Clear, "n1")
	}
	w.sentinel("s1").dead, w.sentinel("s2").dead = true, true
	w.run(100)
	s3.alias = bogus(30)[29]
	w.run(100)
	w.want(Suspect, "n1") // nobody says otherwise
}

// TestTheFailoverTimeoutOfOneSentinelAloneHoldsNothingUp: an outage is given up
// after twice what two of them are set to.
func TestTheFailoverTimeoutOfOneSentinelAloneHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	w.guard[0].patience, w.guard[1].patience, w.guard[2].patience = time.Second, 2*time.Second, 24*time.Hour
	w.run(200)
	for _, n := range w.nodes {
		n.dead = true
	}
	w.run(3900)
	w.want(Fenced, "n1")
	w.run(400)
	w.want(Degraded, "n1")
}

// TestHintsWithoutEndMakeNobodyBusy: all are asked at once, and then each 100 ms.
func TestHintsWithoutEndMakeNobodyBusy(t *testing.T) {
	w := newWorld(t)
	asked := 0
	for range 1000 {
		w.clock++
		w.event("s3", "+monitor", "master shop % quorum 2", "n1")
		if w.d.PollNow != w.d.ProbeNow {
			t.Fatal("only one half is asked")
		}
		if w.d.PollNow {
			asked++
		}
	}
	if asked < 9 || asked > 11 {
		t.Errorf("%d times in a second", asked)
	}
	w.event("s3", "+monitor", "master shop % quorum 2", "n1")
	before := w.d.PollNow
	w.clock += 100
	w.feed(Tick{At: at(w.clock)})
	if before || !w.d.PollNow {
		t.Errorf("the last hint was forgotten: %v, %v", before, w.d.PollNow)
	}
}
