package sentinel

import "testing"

func TestWeakSignsMakeSuspect(t *testing.T) {
	for name, sign := range map[string]func(*world){
		"+sdown":         func(w *world) { w.event("s1", "+sdown", "master shop %", "n1") },
		"+odown":         func(w *world) { w.event("s1", "+odown", "master shop % #quorum 2/2", "n1") },
		"flag in a poll": func(w *world) { w.sentinel("s1").flags = FlagSDown; w.poll(w.sentinel("s1")) },
		"a replica gone": func(w *world) { w.node("n1").hidden = []string{"n2"}; w.probe(w.node("n1")) },
		"slow barrier": func(w *world) {
			w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock - 300), At: at(w.clock), Acked: 2})
		},
		"another's +switch-master": func(w *world) { w.event("s1", "+switch-master", "shop % %", "n1", "n2") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.clock += 10
			sign(w)
			w.want(Suspect, "n1")
			if !w.d.Writes() || w.d.BarriersConfirm() {
				t.Errorf("writes %v, confirms %v", w.d.Writes(), w.d.BarriersConfirm())
			}
		})
	}
}

func TestStrongSignsFence(t *testing.T) {
	for name, sign := range map[string]func(*world){
		"+try-failover":                func(w *world) { w.event("s1", "+try-failover", "master shop %", "n1") },
		"+elected-leader":              func(w *world) { w.event("s1", "+elected-leader", "master shop %", "n1") },
		"+selected-slave":              func(w *world) { w.event("s1", "+selected-slave", "slave x % @ shop %", "n2", "n1") },
		"+failover-state-unknown-step": func(w *world) { w.event("s1", "+failover-state-later-step", "master shop %", "n1") },
		"a failover shown in a poll":   func(w *world) { w.sentinel("s1").progress = ProgressCandidate; w.poll(w.sentinel("s1")) },
		"a try for a master before":    func(w *world) { w.event("s1", "+try-failover", "master shop %", "n3") },
		"a replica says master":        func(w *world) { w.promote("n2"); w.probe(w.node("n2")) },
		"our master says replica":      func(w *world) { w.node("n1").follows = "n2"; w.probe(w.node("n1")) },
		"READONLY":                     func(w *world) { w.feed(Refused{Node: w.d.Master, At: at(w.clock)}) },
		"READONLY to a barrier": func(w *world) {
			w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultReadOnly})
		},
		"a barrier without answer": func(w *world) {
			w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultTimeout})
		},
		"a probe without answer": func(w *world) {
			w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultTimeout})
		},
		"connection lost":              func(w *world) { w.feed(ConnLost{Node: w.d.Master, At: at(w.clock)}) },
		"a new run id":                 func(w *world) { w.restart("n1"); w.probe(w.node("n1")) },
		"another under a higher epoch": func(w *world) { w.announce("n2", 1, "s1"); w.poll(w.sentinel("s1")) },
		"LOADING": func(w *world) {
			w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultLoading})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.clock += 10
			sign(w)
			w.want(Fenced, "n1")
			if w.d.Writes() {
				t.Error("writes are sent")
			}
		})
	}
}

func TestWhatIsNotAboutOurMasterChangesNothing(t *testing.T) {
	for name, sign := range map[string]func(*world){
		"+sdown of a replica":          func(w *world) { w.event("s1", "+sdown", "slave x % @ shop %", "n2", "n1") },
		"+sdown of a sentinel":         func(w *world) { w.event("s1", "+sdown", "sentinel x % @ shop %", "n2", "n1") },
		"another group's failover":     func(w *world) { w.event("s1", "+try-failover", "master other %", "n1") },
		"another group's switch":       func(w *world) { w.event("s1", "+switch-master", "other % %", "n1", "n2") },
		"a sentinel lost":              func(w *world) { w.sentinel("s1").dead = true; w.link("s1", false) },
		"a lower epoch":                func(w *world) { w.announce("n1", 0, "s1") },
		"another under the same epoch": func(w *world) { w.announce("n2", 0, "s1") },
		"the switch to our master":     func(w *world) { w.event("s1", "+switch-master", "shop % %", "n3", "n1") },
		"a new replication id":         func(w *world) { w.node("n1").id = hexID(0xaaa) },
		"NOREPLICAS": func(w *world) {
			w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultNoReplicas})
		},
		"a reboot long past": func(w *world) { w.event("s1", "+reboot", "master shop %", "n1") },
		"a barrier of another node": func(w *world) {
			w.feed(Barrier{Node: w.node("n2").addr, SentAt: at(w.clock), At: at(w.clock), Fault: FaultTimeout})
		},
		"a connection of another": func(w *world) { w.feed(ConnLost{Node: w.node("n2").addr, At: at(w.clock)}) },
		"an answer that contradicts": func(w *world) {
			w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultMalformed})
		},
		"an answer overtaken": func(w *world) {
			w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock - 200), At: at(w.clock), Fault: FaultTimeout})
		},
		"an old poll": func(w *world) {
			w.feed(Poll{Sentinel: w.sentinel("s1").addr, SentAt: at(w.clock - 500), At: at(w.clock), Named: w.node("n2").addr, Master: MasterView{Addr: w.node("n2").addr, Flags: FlagMaster, Epoch: 3}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.guardEpochs(2)
			sign(w)
			for range 20 {
				w.run(50)
				w.want(Clear, "n1")
			}
		})
	}
}

func (w *world) guardEpochs(n int64) {
	w.t.Helper()
	for _, s := range w.guard {
		s.epoch = n
	}
	w.run(200)
	w.want(Clear, "n1")
}

// TestAFailoverThatFindsNoReplicaIsGivenUp: its sentinel repeats it for ever, and
// each time is news.
func TestAFailoverThatFindsNoReplicaIsGivenUp(t *testing.T) {
	w := newWorld(t)
	for _, n := range w.nodes {
		n.dead = true
	}
	w.run(500)
	w.want(Fenced, "n1")
	for range 3 {
		w.try("s1", "n1")
		w.event("s1", "+elected-leader", "master shop %", "n1")
		w.sentinel("s1").progress = ProgressElected
		w.run(100)
		w.want(Fenced, "n1")
		w.over("s1", "-failover-abort-no-good-slave", "n1")
		w.run(9000) // less than twice the failover timeout
		w.want(Degraded, "n1")
	}
	w.try("s1", "n1") // it may be elected, or not
	w.run(100)
	w.want(Degraded, "n1")
	w.node("n2").dead = false
	w.selected("s1", "n2", "n1")
	w.run(100)
	w.want(Fenced, "n1")
	w.promote("n2")
	w.run(100)
	w.want(Suspect, "n2")
}

func TestAHealthyMasterIsKeptWithoutSentinels(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.guard {
		s.dead = true
		w.link(s.name, false)
	}
	w.run(60000)
	w.want(Clear, "n1")
	w.node("n1").dead = true
	w.run(1000)
	w.want(Fenced, "n1")
	w.node("n1").dead = false
	w.run(1000)
	w.want(Clear, "n1")
}

func TestAFenceWithoutAPromotionInSightLastsTwoSeconds(t *testing.T) {
	for name, sign := range map[string]func(*world){
		"a try that is not elected": func(w *world) { w.try("s1", "n1") },
		"REPLICAOF NO ONE by hand":  func(w *world) { w.promote("n2") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			sign(w)
			w.run(1900)
			w.want(Fenced, "n1")
			w.run(250)
			w.want(Suspect, "n1")
			w.run(20000)
			w.want(Suspect, "n1") // no proof, no all clear
		})
	}
}

func TestAFenceWaitsForAPromotionInSight(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.run(5000)
	w.want(Fenced, "n1")
	w.run(6000)
	w.want(Suspect, "n1") // but not for ever: n2 hangs, say
}

func TestADeposedMasterStaysFenced(t *testing.T) {
	w := newWorld(t)
	w.promote("n2")
	w.node("n2").dead = true // for us, not for the sentinels
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(8000)
	w.want(Fenced, "n1")
	w.run(8000)
	if w.d.Writes() {
		t.Error("writes go to a deposed master")
	}
	w.node("n2").dead = false
	w.run(100)
	w.want(Suspect, "n2")
	w.wantConfirmed(true)
}

func TestAMasterThatAnswersAgainIsSuspectUntilProof(t *testing.T) {
	w := newWorld(t)
	w.node("n1").dead = true
	w.run(500)
	w.node("n1").dead = false
	w.node("n1").hidden = []string{"n2"} // n2 has not come back yet
	w.run(300)
	w.want(Suspect, "n1")
	w.run(3000)
	w.want(Suspect, "n1")
	w.node("n1").hidden = nil
	w.run(500)
	w.want(Clear, "n1")
}

func TestAMasterThatTakesNoWritesIsNotBack(t *testing.T) {
	w := newWorld(t)
	w.node("n1").muted = true // CLIENT PAUSE WRITE, or FAILOVER
	w.run(200)
	w.noWrites = true
	w.run(4000)
	w.noWrites = false
	w.node("n1").muted = false
	w.run(500)
	w.want(Clear, "n1")
}

func TestASecondLeaderThatChoosesOurMasterIsNoThreat(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.promote("n2")
	w.run(100)
	w.want(Suspect, "n2")
	w.sentinel("s1").dead = true
	w.link("s1", false)
	w.run(3000)
	w.try("s2", "n1")
	w.run(100)
	w.want(Fenced, "n2") // it may choose n3
	w.selected("s2", "n2", "n1")
	w.run(200)
	w.want(Suspect, "n2")
	w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultClosed})
	w.feed(ConnLost{Node: w.d.Master, At: at(w.clock)})
	w.want(Suspect, "n2") // promoting it again ends its connections once
}

func TestTheFailoverThatMadeOurMasterDoesNotFenceIt(t *testing.T) {
	w := dying(t)
	w.try("s1", "n1")
	w.promote("n2")
	w.run(50)
	w.want(Suspect, "n2")
	w.selected("s1", "n2", "n1")
	w.event("s1", "+failover-state-wait-promotion", "slave x % @ shop %", "n2", "n1")
	w.event("s1", "+promoted-slave", "slave x % @ shop %", "n2", "n1")
	w.want(Suspect, "n2")
	w.feed(ConnLost{Node: w.d.Master, At: at(w.clock)}) // one from before the promotion
	w.want(Suspect, "n2")
	w.node("n2").dead = true
	w.run(50)
	w.want(Fenced, "n2")
}

func TestALeaderThatMeantAnotherFencesWhatWasTaken(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.promote("n2") // by hand, at that very moment
	w.run(50)
	w.want(Suspect, "n2")
	w.selected("s1", "n3", "n1")
	w.want(Fenced, "n2")
	w.promote("n3")
	w.run(50)
	w.want(Suspect, "n3")
}

func TestGivingUpIsDegraded(t *testing.T) {
	w := newWorld(t)
	w.node("n1").dead = true
	w.run(9000)
	w.want(Fenced, "n1")
	w.run(1200) // twice the failover timeout of 5 s
	w.want(Degraded, "n1")
	if w.d.ProbeEach < 100e6 {
		t.Errorf("a dead set is asked every %v", w.d.ProbeEach)
	}
	w.node("n1").dead = false
	w.run(1000)
	w.want(Clear, "n1")
}
