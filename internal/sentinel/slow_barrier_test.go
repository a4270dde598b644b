package sentinel

import (
	"testing"
	"time"
)

func TestATimeThatWasOursMakesNoBarrierSlow(t *testing.T) {
	w := newWorld(t)
	w.clock += 10
	slow := Barrier{Node: w.d.Master, SentAt: at(w.clock - 300), At: at(w.clock), Acked: 2, Late: 150 * time.Millisecond}
	w.feed(slow)
	w.want(Clear, "n1")
	slow.Late = 50 * time.Millisecond
	w.feed(slow)
	w.want(Suspect, "n1")
}

// TestAMasterThatIsAlwaysSlowIsClearAgain: each barrier takes longer than the rule
// allows, and all replicas hold it.
func TestAMasterThatIsAlwaysSlowIsClearAgain(t *testing.T) {
	w := newWorld(t)
	slow := func() {
		sent := w.clock
		w.clock += 250
		w.feed(Barrier{Node: w.d.Master, SentAt: at(sent), At: at(w.clock), Acked: 2})
	}
	w.clock += 10
	slow()
	w.want(Suspect, "n1")
	w.clock++
	slow() // sent after the alarm
	slow() // takes nothing from it
	w.clock++
	for _, s := range []string{"s1", "s2", "s3"} {
		w.poll(w.sentinel(s))
	}
	w.want(Clear, "n1")
}

func TestASlowBarrierThatAReplicaLacksIsNoProof(t *testing.T) {
	w := newWorld(t)
	w.clock += 10
	for range 2 {
		sent := w.clock
		w.clock += 250
		w.feed(Barrier{Node: w.d.Master, SentAt: at(sent), At: at(w.clock), Acked: 1})
		w.clock++
	}
	for _, s := range []string{"s1", "s2", "s3"} {
		w.poll(w.sentinel(s))
	}
	w.want(Suspect, "n1")
}
