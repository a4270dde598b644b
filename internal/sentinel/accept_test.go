package sentinel

import "testing"

// The story every test here changes in one point: n1 dies, s1 leads, n2 is
// promoted.
func dying(t *testing.T) *world {
	w := newWorld(t)
	w.node("n1").dead = true
	w.run(100)
	w.want(Fenced, "n1")
	return w
}

func TestAPromotedReplicaIsTakenBeforeAnybodyAnnouncesIt(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.promote("n2")
	w.run(50)
	w.want(Suspect, "n2")
	w.wantConfirmed(false)
	w.announce("n2", 1, "s2")
	w.run(100)
	w.wantConfirmed(false)
	w.announce("n2", 1, "s3")
	w.run(100)
	w.wantConfirmed(true)
}

// The old master lives and has not heard either. Sentinels tell each other every 2 s, and
// on a busy machine that takes longer than a majority is listened to for.
func TestANewMasterIsKeptUntilAllCanHaveHeardOfIt(t *testing.T) {
	for name, tt := range map[string]struct {
		hear   bool // the others hear of it, after 4 s
		dies   bool // its leader does, after 1 s
		master string
	}{
		"late":                       {hear: true, master: "n2"},
		"never":                      {master: "n1"},
		"never, and its leader dies": {dies: true, master: "n1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.try("s1", "n1")
			w.selected("s1", "n2", "n1")
			w.promote("n2")
			w.run(50)
			w.over("s1", "+failover-end", "n1")
			w.announce("n2", 1, "s1")
			if tt.dies {
				w.run(1000)
				w.sentinel("s1").dead = true
				w.link("s1", false)
				w.run(3000)
				w.wantMaster(tt.master)
				return
			}
			w.run(4000)
			w.wantMaster("n2")
			w.wantConfirmed(false)
			if tt.hear {
				w.announce("n2", 1, "s2", "s3")
				w.run(200)
				w.wantConfirmed(true)
			}
			w.run(4000)
			w.wantMaster(tt.master)
			w.wantConfirmed(true)
			if n := len(w.m.History()); tt.hear && n != 1 {
				t.Errorf("%d changes of master", n)
			}
		})
	}
}

func TestRoleAloneMakesNoMaster(t *testing.T) {
	w := dying(t)
	w.promote("n2") // of our line, a replica until now; nobody speaks of a failover
	w.run(5000)
	w.wantMaster("n1")
}

func TestACandidateWithoutOurHistoryIsRefused(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	n := w.node("n2")
	n.follows, n.id, n.id2 = "", hexID(0xc1), hexID(0xc2) // a master, but not made from our data
	w.run(1000)
	w.wantMaster("n1")
}

func TestANodeThatWasNoReplicaIsRefused(t *testing.T) {
	w := newWorld(t)
	n := w.add("n4", "")
	n.id, n.id2 = hexID(0xd1), hexID(0xa1) // promoted long ago, by hand or by a try that was lost
	w.run(500)
	w.node("n1").dead = true
	w.try("s1", "n1")
	w.run(1000)
	w.wantMaster("n1")
}

func TestAnAbandonedMasterIsNotTakenAgain(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.promote("n2")
	w.run(100)
	w.wantMaster("n2") // provisional; s1 is lost and never announces it
	w.sentinel("s1").dead = true
	w.link("s1", false)
	w.run(1000)
	w.try("s2", "n1")
	w.promote("n3")
	w.run(100)
	w.wantMaster("n3") // n3's history is n1's too
	w.run(3000)
	w.wantMaster("n3") // and n2 goes on as a master with n1's id before its own
}

func TestAnOldMasterThatIsBackIsNotTheNewOne(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.run(100)
	w.restart("n1") // from its own disk: our id before its own
	w.node("n1").id, w.node("n1").id2 = hexID(0xe1), hexID(0xa1)
	w.run(200)
	w.want(Fenced, "n1")
	if len(w.m.History()) != 0 {
		t.Errorf("history %v, want none yet", w.m.History())
	}
}

func TestAProvisionalMasterIsNotLeftForTheOldOneThatIsBack(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.promote("n2")
	w.run(100)
	w.want(Suspect, "n2")
	w.node("n2").dead = true
	w.run(100)
	w.try("s2", "n1")
	w.restart("n1")
	w.node("n1").id, w.node("n1").id2 = hexID(0xe1), hexID(0xa1)
	w.run(300)
	w.want(Fenced, "n2")
}

func TestAMasterIsNotItsOwnSuccessor(t *testing.T) {
	w := newWorld(t)
	alias := w.add("redis-1", "n2") // the same process by its name
	alias.runID = w.node("n1").runID
	w.repoint("n1", "n2") // an operator's error: the two follow each other
	w.run(300)
	w.try("s1", "n1")
	for _, n := range []*fakeNode{w.node("n1"), alias} {
		n.follows, n.id, n.id2 = "", hexID(0xe1), hexID(0xa1)
	}
	w.run(100)
	w.wantMaster("n1")
	if len(w.m.History()) != 0 {
		t.Errorf("history %+v", w.m.History())
	}
}

func TestAnIdFromBeforeTheLastMasterIsNotOurLine(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.promote("n2")
	w.run(100)
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(200)
	w.wantConfirmed(true) // n3 was not told yet, and has n1's data
	w.node("n2").dead = true
	w.run(100)
	w.try("s2", "n2")
	w.promote("n3")
	w.run(500)
	w.wantMaster("n2") // it lacks what n2 was given
	w.announce("n3", 2, "s1", "s2")
	w.run(100)
	w.wantMaster("n3")
	w.wantConfirmed(true)
}

func TestAReplicaRestartedAsAMasterWasNotPromoted(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.run(100)
	w.promote("n2")
	w.restart("n2")
	w.run(1000)
	w.wantMaster("n1")
}

func TestALeadersChoiceOfAnotherForbids(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.selected("s1", "n3", "n1")
	w.promote("n2") // by hand, in the middle of it
	w.run(1000)
	w.wantMaster("n1")
	w.promote("n3")
	w.run(50)
	w.wantMaster("n3")
}

func TestALeadersChoiceForbidsWhatAnotherRuleAllows(t *testing.T) {
	for name, evidence := range map[string]func(*world){
		"another's try":         func(w *world) { w.try("s2", "n1"); w.promote("n2") },
		"another's higher word": func(w *world) { w.promote("n2"); w.announce("n2", 1, "s2") },
		"the master's word":     func(w *world) { w.promote("n2"); w.repoint("n1", "n2") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.try("s1", "n1")
			w.selected("s1", "n3", "n1")
			evidence(w)
			w.run(1000)
			w.want(Fenced, "n1")
			w.promote("n3")
			w.run(100)
			w.wantMaster("n3")
		})
	}
}

func TestTheChoiceOfALeaderThatIsGoneForbidsNothing(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.selected("s1", "n3", "n1")
	w.sentinel("s1").dead = true
	w.link("s1", false)
	w.run(200)
	w.try("s2", "n1")
	w.promote("n2")
	w.run(50)
	w.wantMaster("n2")
}

func TestTwoThatFitAndNoWordAreOneTooMany(t *testing.T) {
	w := dying(t)
	w.promote("n2")
	w.promote("n3")
	w.clock += 20
	w.probe(w.node("n2"))
	w.probe(w.node("n3"))
	w.try("s1", "n1") // heard late: it may have made either of them
	w.run(500)
	w.wantMaster("n1")
	w.selected("s1", "n3", "n1")
	w.run(50)
	w.wantMaster("n3")
}

func TestAMasterFromBeforeTheFailoverWasNotMadeByIt(t *testing.T) {
	w := newWorld(t)
	w.promote("n2") // REPLICAOF NO ONE, and left so
	w.run(10000)
	w.want(Suspect, "n1")
	w.node("n1").dead = true
	w.try("s1", "n1")
	w.run(500)
	w.wantMaster("n1")
	w.selected("s1", "n2", "n1") // the leader may still choose it
	w.run(50)
	w.wantMaster("n2")
}

func TestAReplicaOfAReplicaCounts(t *testing.T) {
	w := newWorld(t)
	w.node("n3").follows = "n2"
	w.run(3000)
	w.node("n1").dead = true
	w.try("s1", "n1")
	w.promote("n3")
	w.run(100)
	w.want(Suspect, "n3")
}

func TestALeaderThatDiedAfterGivingTheOrderIsBelieved(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.sentinel("s1").dead = true
	w.link("s1", false)
	w.run(100)
	w.promote("n2")
	w.run(50)
	w.want(Suspect, "n2")
	w.wantConfirmed(false)
}

func TestAMasterThatHandsOverIsBelieved(t *testing.T) {
	w := newWorld(t)
	w.promote("n2")
	w.repoint("n1", "n2")
	w.run(100)
	w.want(Suspect, "n2")
	w.wantConfirmed(false)
	if r := w.m.History()[0]; r.Cause != CauseManual {
		t.Errorf("cause %v, want manual", r.Cause)
	}
}

func TestAMasterThatHandsOverToAStrangerIsFencedOnly(t *testing.T) {
	w := newWorld(t)
	stranger := w.add("n9", "")
	for _, s := range w.guard {
		s.lists = []string{"n2", "n3"}
	}
	stranger.id = hexID(0x99)
	w.repoint("n1", "n9")
	w.run(1000)
	w.want(Fenced, "n1")
}

func TestOneSentinelsHigherEpochIsProvisional(t *testing.T) {
	w := dying(t)
	w.promote("n2")
	w.announce("n2", 1, "s1")
	w.run(100)
	w.want(Suspect, "n2")
	w.wantConfirmed(false)
}

func TestOneSentinelsLowerOrEqualEpochIsNotFollowed(t *testing.T) {
	for _, epoch := range []int64{0, 4, 5} {
		w := newWorld(t)
		w.guardEpochs(5)
		w.promote("n2")
		w.announce("n2", epoch, "s3")
		for range 20 {
			w.run(250)
			w.wantMaster("n1")
		}
	}
}

func TestAMajorityAtTheOldEpochConfirmsNothing(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1") // planned: n1 stays up
	w.promote("n2")
	w.run(1000)
	w.want(Suspect, "n2")
	w.wantConfirmed(false)
	w.announce("n2", 0, "s2", "s3")
	w.run(500)
	w.wantConfirmed(false)
}

func TestAMajorityIsOfAllThatAreKnown(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.guard {
		s.others = 4 // five sentinels, of which we reach three
	}
	w.run(200)
	w.node("n1").dead = true
	w.promote("n2")
	w.announce("n2", 1, "s1", "s2")
	w.run(500)
	w.wantConfirmed(false)
	w.announce("n2", 1, "s3")
	w.run(500)
	w.wantConfirmed(true)
}

func TestASentinelThatForgotItsPeersIsNoMajority(t *testing.T) {
	w := newWorld(t)
	w.node("n1").dead = true
	w.sentinel("s2").dead, w.sentinel("s3").dead = true, true
	w.run(200)
	w.sentinel("s1").others = 0 // SENTINEL REMOVE and MONITOR
	w.promote("n2")
	w.announce("n2", 1, "s1")
	w.run(10000)
	w.wantConfirmed(false)
}

func TestOneSentinelUnderTwoAddressesHasOneVote(t *testing.T) {
	w := newWorld(t)
	w.sentinel("s2").id = w.sentinel("s1").id
	w.node("n1").dead = true
	w.promote("n2")
	w.announce("n2", 1, "s1", "s2")
	w.run(1000)
	w.wantConfirmed(false)
}

func TestATornAnswerIsNoVote(t *testing.T) {
	w := newWorld(t)
	w.promote("n2")
	for _, name := range []string{"s1", "s2"} {
		s := w.sentinel(name)
		s.named, s.master, s.epoch = "n1", "n2", 1 // the switch fell between the two questions
	}
	w.run(100)
	if got := w.d.Epoch; got != 0 {
		t.Errorf("epoch %d of n1, want 0", got)
	}
}

func TestTheLeaderNamesTheNewMasterBeforeItsOwnSwitch(t *testing.T) {
	w := dying(t)
	w.promote("n2")
	s := w.sentinel("s1")
	s.named, s.master, s.epoch, s.progress, s.promoted = "n2", "n1", 1, ProgressPromoted, "n2"
	w.run(100)
	w.want(Suspect, "n2")
	w.announce("n2", 1, "s2")
	w.run(100)
	w.wantConfirmed(true)
}

func TestAMajorityIsFollowedToANodeNeverHeardOf(t *testing.T) {
	w := newWorld(t)
	n := w.add("n7", "")
	n.id = hexID(0x77)
	w.announce("n7", 9, "s1", "s2", "s3") // we were away for a week
	w.run(300)
	w.want(Suspect, "n7")
	w.wantConfirmed(true)
}

func TestNobodyIsConfirmedWhoSaysReplica(t *testing.T) {
	w := newWorld(t)
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(3000)
	w.wantMaster("n1")
	w.want(Fenced, "n1")
}

func TestADeadMasterIsNotConfirmed(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.promote("n2")
	w.run(100)
	w.node("n2").dead = true
	w.run(100)
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(500)
	w.want(Fenced, "n2")
	w.wantConfirmed(false)
}

func TestALowerEpochIsFollowedWhenAMajorityKeepsToIt(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.guard {
		s.epoch = 7
	}
	w.run(1000)
	w.promote("n2") // an operator moved the set by hand, and told the sentinels
	w.repoint("n3", "n2")
	w.announce("n2", 0, "s1", "s2", "s3")
	w.run(1000)
	w.wantMaster("n1")
	w.run(1800)
	w.wantMaster("n2")
	w.wantConfirmed(true)
}

func TestEpochsSetBackAreLearned(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.guard {
		s.epoch = 7
	}
	w.run(1000)
	w.announce("n1", 0, "s1", "s2", "s3") // REMOVE and MONITOR
	w.run(3000)
	w.want(Clear, "n1")
	w.node("n1").dead = true
	w.try("s1", "n1")
	w.promote("n2")
	w.run(100)
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(200)
	w.want(Suspect, "n2")
	w.wantConfirmed(true)
}

func TestAProvisionalMasterThatNobodyTookOverIsLeft(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1") // planned
	w.selected("s1", "n2", "n1")
	w.promote("n2")
	w.run(100)
	w.want(Suspect, "n2")
	w.sentinel("s1").dead = true // before it told anybody
	w.link("s1", false)
	w.run(1500)
	w.wantMaster("n2")
	w.run(1500)
	w.wantMaster("n1") // the others never left it
	w.wantConfirmed(true)
}

func TestAMasterTheSentinelsHoldDownIsNotGoneBackTo(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.promote("n2")
	w.run(100)
	w.sentinel("s1").dead = true
	w.link("s1", false)
	for _, s := range w.guard {
		s.flags = FlagSDown | FlagODown // they will fail over again
	}
	w.run(6000)
	w.wantMaster("n2")
}

func TestASentinelInTiltKeepsNobodyAtTheOldMaster(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.promote("n2")
	w.run(100)
	w.sentinel("s1").dead = true
	w.link("s1", false)
	w.event("s2", "+tilt", "#tilt mode entered")
	w.run(6000)
	w.wantMaster("n2")
}

func TestNotBackWhileALeaderIsAtWork(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.promote("n2")
	w.run(6000) // s1 is slow to notice its own promotion; s2 and s3 name n1
	w.wantMaster("n2")
}

// With resolve-hostnames and announce-hostnames the sentinels speak of h1, h2
// and h3, while ROLE and INFO of the nodes have IP addresses.
func TestHostNamesAndAddressesAreTheSameNodes(t *testing.T) {
	for name, selected := range map[string]bool{"selected": true, "not selected": false} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			for _, n := range []string{"1", "2", "3"} {
				w.add("h"+n, "").of = "n" + n
			}
			for _, s := range w.guard {
				s.named, s.lists = "h1", []string{"h2", "h3"}
			}
			w.run(1000)
			w.want(Clear, "h1")
			if n := len(w.d.Promotable); n != 2 {
				t.Fatalf("%d promotable replicas, want 2: %v", n, w.d.Promotable)
			}
			w.node("n1").dead = true
			w.run(100)
			w.try("s1", "h1")
			if selected {
				w.selected("s1", "h2", "h1")
			}
			w.promote("n2")
			w.clock += 20
			w.probe(w.node("h2"))
			w.want(Suspect, "h2")
			w.probe(w.node("n2")) // the same word under its other address
			w.want(Suspect, "h2")
			w.repoint("n3", "n2")
			w.announce("h2", 1, "s1", "s2", "s3")
			for _, s := range w.guard {
				s.lists, s.down = []string{"h1", "h3"}, []string{"h1"}
			}
			w.run(500)
			w.want(Clear, "h2")
			if n := w.m.Status().Failovers; n != 1 {
				t.Errorf("%d failovers, want 1", n)
			}
		})
	}
}

func TestAHandoverNamesTheNodeByItsAnnouncedAddress(t *testing.T) {
	w := bareWorld(t)
	for _, n := range []string{"1", "2", "3"} {
		w.add("h"+n, "").of = "n" + n
	}
	for _, s := range w.guard {
		s.named, s.lists = "h1", []string{"h2", "h3"}
	}
	w.run(1000)
	w.promote("n2")
	w.repoint("n1", "n2")
	w.run(150)
	w.want(Suspect, "h2")
}
