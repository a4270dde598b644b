package sentinel

import (
	"testing"
	"time"
)

func TestAllClearNeedsABarrierAfterTheAlarm(t *testing.T) {
	w := newWorld(t)
	w.clock += 50
	sent := at(w.clock - 20)
	w.event("s1", "+sdown", "master shop %", "n1")
	w.clock += 10
	w.feed(Barrier{Node: w.d.Master, SentAt: sent, At: at(w.clock), Acked: 2}) // sent before
	for _, s := range w.guard {
		w.clock++
		w.poll(s)
	}
	w.want(Suspect, "n1")
	w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock + 1), Acked: 2})
	w.want(Suspect, "n1") // and polls after it
	w.clock += 10
	w.poll(w.sentinel("s1"))
	w.poll(w.sentinel("s2"))
	w.want(Suspect, "n1")
	w.poll(w.sentinel("s3"))
	w.want(Clear, "n1")
}

func TestAllClearNeedsEveryPromotableReplica(t *testing.T) {
	w := newWorld(t)
	w.node("n1").hidden = []string{"n2"}
	w.run(3000)
	w.want(Suspect, "n1")
	w.sentinel("s1").down = []string{"n2"}
	w.run(500)
	w.want(Suspect, "n1") // one sentinel's word
	w.sentinel("s2").down = []string{"n2"}
	w.run(500)
	w.want(Clear, "n1")
}

func TestAReplicaThatCannotBePromotedNeedNotAcknowledge(t *testing.T) {
	w := newWorld(t)
	w.node("n2").priority = 0
	w.run(200)
	w.event("s1", "+sdown", "master shop %", "n1")
	w.node("n1").hidden = []string{"n2"}
	w.run(500)
	w.want(Clear, "n1")
}

func TestAnAcknowledgementOfTheWrongReplicaProvesNothing(t *testing.T) {
	w := newWorld(t)
	w.node("n3").priority = 0
	w.run(200)
	n2, n3 := w.node("n2").addr, w.node("n3").addr
	w.event("s1", "+sdown", "master shop %", "n1")
	ask := func(acked int, by ...Addr) {
		w.clock += 50
		w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Acked: acked, By: by})
		w.clock += 50
		for _, s := range w.guard {
			w.poll(s)
		}
	}
	ask(1) // it may have been n3
	w.want(Suspect, "n1")
	ask(1, n3)
	w.want(Suspect, "n1")
	ask(1, n2)
	w.want(Clear, "n1")
}

func TestAReplicaThatOnlyTheMasterShowsCounts(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.guard {
		s.lists = []string{"n2"} // n3 is attached, and not listed yet
	}
	w.run(200)
	w.event("s1", "+sdown", "master shop %", "n1")
	w.clock += 50
	w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Acked: 1, By: []Addr{w.node("n2").addr}})
	w.clock += 50
	for _, s := range w.guard {
		w.poll(s)
	}
	w.want(Suspect, "n1")
}

func TestAReplicaMoreThanTheBarrierHadUndoesTheProof(t *testing.T) {
	w := newWorld(t)
	w.sentinel("s3").dead = true
	w.run(200)
	w.event("s1", "+sdown", "master shop %", "n1")
	w.clock += 50
	w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Acked: 2})
	n4 := w.add("n4", "n1")
	w.node("n1").hidden = []string{"n4"}
	n4.dead = true
	w.run(1000)
	w.want(Suspect, "n1")
}

func TestAllClearWaitsForEveryTryThatWasHeard(t *testing.T) {
	w := newWorld(t)
	w.event("s1", "+try-failover", "master shop %", "n1")
	// s1 can be heard and not asked; the others show nothing.
	w.sentinel("s1").dead = true
	w.link("s1", true)
	w.run(3000)
	w.want(Suspect, "n1")
	w.event("s1", "-sdown", "master shop %", "n1")
	w.event("s1", "-odown", "master shop %", "n1")
	w.run(1000)
	w.want(Suspect, "n1") // comes before the promotion
	w.event("s2", "-failover-abort-not-elected", "master shop %", "n1")
	w.run(1000)
	w.want(Suspect, "n1") // speaks of the try of s2
	w.event("s1", "-failover-abort-not-elected", "master shop %", "n1")
	w.run(300)
	w.want(Clear, "n1")
}

func TestATryEndsWithItsSentinel(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.sentinel("s1").dead = true
	w.run(1000)
	w.want(Fenced, "n1") // its subscription may still speak
	w.link("s1", true)
	w.link("s1", false)
	w.run(500)
	w.want(Clear, "n1")
}

func TestATryEndsWhenItsSentinelShowsNoneAnyMore(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.run(500)
	w.want(Fenced, "n1")
	w.sentinel("s1").progress = ProgressNone // its -failover-abort was lost on the way
	w.run(500)
	w.want(Clear, "n1")
}

func TestATryOfASentinelThatCannotBeAskedExpires(t *testing.T) {
	w := newWorld(t)
	w.link("s1", true)
	w.event("s1", "+try-failover", "master shop %", "n1")
	w.sentinel("s1").dead = true // NOPERM for SENTINEL MASTER, say
	w.run(9000)
	w.want(Suspect, "n1")
	w.run(2000)
	w.want(Clear, "n1")
}

func TestTheEndOfATryAsksForNewProof(t *testing.T) {
	for _, end := range []string{
		"-failover-abort-not-elected", "-failover-abort-no-good-slave", "-failover-abort-slave-timeout", "+failover-end", "",
	} {
		t.Run(end, func(t *testing.T) {
			w := newWorld(t)
			w.try("s1", "n1")
			w.clock += 50
			w.beat() // still on both replicas; the promotion comes after it
			w.clock += 50
			for _, s := range w.guard {
				w.poll(s)
			}
			w.sentinel("s1").progress = ProgressNone
			if end != "" {
				w.over("s1", end, "n1")
			}
			for range 3 {
				w.clock += 50
				for _, s := range w.guard {
					w.poll(s)
				}
			}
			w.want(Suspect, "n1")
			w.run(300)
			w.want(Clear, "n1")
		})
	}
}

func TestALeadersTimeoutMayComeAfterAPromotion(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.selected("s1", "n2", "n1")
	w.node("n2").dead = true // promoted, for all we know
	w.run(500)
	w.over("s1", "-failover-abort-slave-timeout", "n1")
	w.run(3000)
	w.want(Suspect, "n1")
	w.node("n2").dead = false
	w.run(500)
	w.want(Clear, "n1")
}

func TestOneSentinelThatIsWrongForEverDoesNotHoldUpTheAllClear(t *testing.T) {
	w := newWorld(t)
	w.announce("n2", 9, "s3")
	w.run(1000)
	w.want(Fenced, "n1")
	w.run(3000)
	w.want(Clear, "n1")
}

func TestNoAllClearForAProvisionalMaster(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.promote("n2")
	w.repoint("n3", "n2")
	w.repoint("n1", "n2")
	w.run(1000)
	w.want(Suspect, "n2")
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(300)
	w.want(Clear, "n2")
}

func TestALeaderBusyWithReplicasDoesNotHoldUpTheAllClear(t *testing.T) {
	w := newWorld(t)
	w.try("s1", "n1")
	w.promote("n2")
	w.repoint("n3", "n2")
	w.repoint("n1", "n2")
	s := w.sentinel("s1")
	s.named, s.master, s.epoch, s.progress, s.promoted = "n2", "n1", 1, ProgressPromoted, "n2"
	w.announce("n2", 1, "s2", "s3")
	w.run(500)
	w.want(Clear, "n2") // minutes with real data
}

func TestOneNodeAloneClears(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.guard {
		s.lists = []string{}
	}
	w.node("n2").dead, w.node("n3").dead = true, true
	w.run(1000)
	w.want(Clear, "n1")
	w.node("n1").dead = true
	w.run(500)
	w.restart("n1")
	w.run(500)
	w.want(Clear, "n1")
	w.event("s1", "+sdown", "master shop %", "n1")
	w.clock += 50
	for _, s := range w.guard {
		w.poll(s)
	}
	w.want(Suspect, "n1") // a barrier is asked for all the same
}

func TestHistoryTellsWhatHappened(t *testing.T) {
	w := newWorld(t)
	w.node("n1").dead = true
	w.run(300)
	w.restart("n1")
	w.run(1000)
	w.want(Clear, "n1")
	w.node("n1").dead = true
	w.run(300)
	w.restart("n1")
	w.run(50)
	w.feed(Dataset{Node: w.d.Master, At: at(w.clock), Kept: false})
	w.run(1000)
	w.event("s1", "+sdown", "master shop %", "n1")
	w.run(1000)
	w.try("s1", "n1")
	w.promote("n2")
	w.run(50)
	w.announce("n2", 1, "s1", "s2", "s3")
	w.run(100)
	var got []Cause
	for _, r := range w.ended {
		got = append(got, r.Cause)
	}
	want := []Cause{CauseRestart, CauseReset, CauseAlarm, CausePlanned}
	if len(got) != len(want) {
		t.Fatalf("finished %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("record %d: %v, want %v", i, got[i], want[i])
		}
	}
	if st := w.m.Status(); st.Failovers != 1 || st.Alarms != 1 {
		t.Errorf("failovers %d, alarms %d, want 1 and 1", st.Failovers, st.Alarms)
	}
	last := w.ended[3]
	if last.Epoch != 1 || last.Confirmed.IsZero() || last.Fenced != 50*time.Millisecond {
		t.Errorf("record %+v", last)
	}
}

func TestADatasetResetToldLateCorrectsTheRecord(t *testing.T) {
	w := newWorld(t)
	w.node("n1").dead = true
	w.run(300)
	w.restart("n1")
	w.run(1000)
	w.feed(Dataset{Node: w.d.Master, At: at(w.clock)})
	if r := w.m.History()[0]; r.Cause != CauseReset {
		t.Errorf("cause %v, want dataset reset", r.Cause)
	}
}

func TestAReturnNobodySawIsCounted(t *testing.T) {
	w := newWorld(t)
	gen := w.d.Generation
	w.node("n1").id = hexID(0xabc) // replaced and put back while we looked away
	w.announce("n1", 2, "s1", "s2", "s3")
	w.run(300)
	w.want(Clear, "n1")
	if w.d.Generation == gen {
		t.Error("the same generation: what was written before may be gone")
	}
	if r := w.m.History(); len(r) != 1 || !r[0].Missed || r[0].Epoch != 2 {
		t.Errorf("history %+v", r)
	}
	w.announce("n1", 3, "s1", "s2", "s3") // promoted again, the same data
	w.run(300)
	if len(w.m.History()) != 1 {
		t.Errorf("history %+v", w.m.History())
	}
}

func TestHistoryIsBoundedAndAlarmsGoFirst(t *testing.T) {
	var h history
	h.add(Record{Cause: CauseFailure})
	for range 100 {
		h.add(Record{Cause: CauseAlarm})
	}
	if len(h.records) != maxHistory || h.records[0].Cause != CauseFailure || h.alarms != 100 {
		t.Errorf("%d records, first %v, %d alarms", len(h.records), h.records[0].Cause, h.alarms)
	}
}

func TestFiftyFailoversAreFiftyRecords(t *testing.T) {
	w := newWorld(t)
	master := "n1"
	for i := range 50 {
		next := map[string]string{"n1": "n2", "n2": "n3", "n3": "n1"}[master]
		w.event("s1", "+new-epoch", itoa(i+1))
		w.try("s1", master)
		w.selected("s1", next, master)
		w.promote(next)
		w.node(next).id = hexID(0x5000 + i)
		w.run(100)
		w.wantMaster(next)
		for _, n := range w.nodes {
			if n.name != next {
				w.repoint(n.name, next)
			}
		}
		w.announce(next, int64(i+1), "s2", "s3")
		w.event("s2", "+switch-master", "shop % %", master, next)
		w.event("s3", "+switch-master", "shop % %", master, next)
		w.over("s1", "+failover-end", master)
		w.announce(next, int64(i+1), "s1")
		w.event("s1", "+switch-master", "shop % %", master, next)
		w.run(500)
		w.want(Clear, next)
		master = next
	}
	if n := w.m.Status().Failovers; n != 50 || len(w.ended) != 50 || len(w.m.History()) != maxHistory {
		t.Errorf("%d failovers, %d told, %d kept", n, len(w.ended), len(w.m.History()))
	}
	if r := w.ended[49]; r.Epoch != 50 || r.Cause != CausePlanned || w.d.Generation != 51 {
		t.Errorf("last %+v, generation %d", r, w.d.Generation)
	}
}
