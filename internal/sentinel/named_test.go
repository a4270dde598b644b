package sentinel

import "testing"

func TestAMajorityNamesTheMasterAsOfItsOldestAnswer(t *testing.T) {
	w := newWorld(t)
	w.run(200)
	asked := map[string]float64{}
	for _, s := range []string{"s1", "s2", "s3"} {
		w.clock += 10
		asked[s] = w.clock - 1 // the answer takes a millisecond
		w.poll(w.sentinel(s))
	}
	w.clock += 5
	w.feed(Barrier{Node: w.d.Master, SentAt: at(w.clock), At: at(w.clock), Acked: 2})
	if got, want := w.d.NamedAt, at(asked["s2"]); !got.Equal(want) {
		t.Errorf("named at %v, want %v: when the second of three was asked", got, want)
	}
	w.sentinel("s2").dead, w.sentinel("s3").dead = true, true
	w.run(20_000)
	if got := w.d.NamedAt; !got.IsZero() {
		t.Errorf("named at %v by one of three", got)
	}
}
