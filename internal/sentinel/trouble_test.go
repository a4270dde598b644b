package sentinel

import "testing"

// TestAFenceSaysWhatItIsFor: only a sentinel that acts makes it a failover.
func TestAFenceSaysWhatItIsFor(t *testing.T) {
	for _, tt := range []struct {
		name string
		sign func(*world)
		want Trouble
	}{
		{"a sentinel leads one", func(w *world) { w.event("s1", "+try-failover", "master shop %", "n1") }, TroubleFailover},
		{"a sentinel names the next", func(w *world) { w.announce("n2", 1, "s1"); w.poll(w.sentinel("s1")) }, TroubleFailover},
		{"no answer", func(w *world) {
			w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultTimeout})
		}, TroubleSilent},
		{"no answer, and held down", func(w *world) {
			w.feed(ConnLost{Node: w.d.Master, At: at(w.clock)})
			w.event("s1", "+sdown", "master shop %", "n1")
		}, TroubleSilent},
		{"no answer, and then a failover", func(w *world) {
			w.feed(ConnLost{Node: w.d.Master, At: at(w.clock)})
			w.event("s1", "+try-failover", "master shop %", "n1")
		}, TroubleFailover},
		{"it says replica", func(w *world) { w.node("n1").follows = "n2"; w.probe(w.node("n1")) }, TroubleDemoted},
		{"a replica says master", func(w *world) { w.promote("n2"); w.probe(w.node("n2")) }, TroubleRival},
		{"it loads", func(w *world) {
			w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultLoading})
		}, TroubleLoading},
		{"it answers again", func(w *world) {
			w.feed(Probe{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Fault: FaultTimeout})
			w.clock += 10
			w.probe(w.node("n1"))
		}, TroubleReturning},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if w.d.Trouble != TroubleNone {
				t.Errorf("trouble %d while all is well", w.d.Trouble)
			}
			w.clock += 10
			tt.sign(w)
			w.want(Fenced, "n1")
			if w.d.Trouble != tt.want {
				t.Errorf("trouble %d, want %d", w.d.Trouble, tt.want)
			}
		})
	}
}

// TestASentinelThatKnowsNoMasterAnswers: it can be reached, and is none of those that
// can fail over.
func TestASentinelThatKnowsNoMasterAnswers(t *testing.T) {
	w := newWorld(t)
	w.clock += 10
	for _, s := range []string{"s1", "s2"} {
		w.feed(Poll{Sentinel: w.sentinel(s).addr, SentAt: at(w.clock), At: at(w.clock), Fault: FaultNoMaster})
	}
	st := w.m.Status()
	if st.Reachable != 3 || st.Monitoring != 1 || st.CanFailOver() {
		t.Errorf("%+v", st)
	}
	w.feed(Poll{Sentinel: w.sentinel("s1").addr, SentAt: at(w.clock + 1), At: at(w.clock + 1), Fault: FaultTimeout})
	if st := w.m.Status(); st.Reachable != 2 {
		t.Errorf("%d answer", st.Reachable)
	}
}
