package sentinel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// dice makes choices: random ones, or a fuzzer's.
type dice func(n int) int

func (d dice) node(w *world) *fakeNode         { return w.nodes[d(len(w.nodes))] }
func (d dice) sentinel(w *world) *fakeSentinel { return w.guard[d(len(w.guard))] }

var disturbances = []func(w *world, d dice){
	func(w *world, d dice) { n := d.node(w); n.dead = !n.dead },
	func(w *world, d dice) { w.restart(d.node(w).name) },
	func(w *world, d dice) { n := d.node(w); n.muted = !n.muted },
	func(w *world, d dice) { w.promote(d.node(w).name) },
	func(w *world, d dice) {
		if a, b := d.node(w), d.node(w); a != b {
			w.repoint(a.name, b.name)
		}
	},
	func(w *world, d dice) { n := d.node(w); n.id, n.id2 = hexID(1+d(9)), hexID(d(9)) },
	func(w *world, d dice) { n := d.node(w); n.priority = 100 - n.priority },
	func(w *world, d dice) { n := d.node(w); n.hidden = []string{d.node(w).name} },
	func(w *world, d dice) { s := d.sentinel(w); s.dead = !s.dead },
	func(w *world, d dice) { w.link(d.sentinel(w).name, d(2) == 0) },
	func(w *world, d dice) { s := d.sentinel(w); s.named, s.epoch = d.node(w).name, int64(d(12)) },
	func(w *world, d dice) { s := d.sentinel(w); s.master = d.node(w).name },
	func(w *world, d dice) { s := d.sentinel(w); s.progress, s.promoted = Progress(d(5)), d.node(w).name },
	func(w *world, d dice) { s := d.sentinel(w); s.flags = Flags(d(1 << 9)) },
	func(w *world, d dice) { s := d.sentinel(w); s.others, s.down = d(9), []string{d.node(w).name} },
	func(w *world, d dice) { w.announce(d.node(w).name, int64(d(12)), "s1", "s2", "s3") },
	func(w *world, d dice) { w.feed(ConnLost{Node: d.node(w).addr, At: at(w.clock)}) },
	func(w *world, d dice) { w.feed(Refused{Node: d.node(w).addr, At: at(w.clock)}) },
	randomEvent, randomEvent, randomEvent, randomEvent,
}

func randomEvent(w *world, d dice) {
	channels := []string{
		"+sdown", "-sdown", "+odown", "-odown", "+try-failover", "+elected-leader", "+selected-slave",
		"+failover-state-wait-promotion", "+promoted-slave", "+failover-end", "-failover-abort-not-elected",
		"-failover-abort-slave-timeout", "+failover-state-reconf-slaves", "+switch-master", "+tilt", "-tilt",
	}
	s, channel := d.sentinel(w).name, channels[d(len(channels))]
	switch {
	case channel == "+switch-master":
		w.event(s, channel, "shop % %", d.node(w).name, d.node(w).name)
	case d(2) == 0:
		w.event(s, channel, "slave x % @ shop %", d.node(w).name, d.node(w).name)
	default:
		w.event(s, channel, "master shop %", d.node(w).name)
	}
}

func disturb(w *world, d dice, steps int) {
	for range steps {
		disturbances[d(len(disturbances))](w, d)
		w.run(float64(50 * d(8)))
	}
}

// heal puts the set in order: one master, its replicas, sentinels that agree.
func heal(w *world, d dice) (master string) {
	master = d.node(w).name
	epoch := int64(d(12))
	for _, n := range w.nodes {
		n.dead, n.muted, n.priority, n.hidden, n.extra = false, false, 100, nil, nil
		if n.follows, n.id = master, hexID(0xfeed); n.name == master {
			n.follows, n.id2 = "", hexID(0xbeef)
		}
	}
	for _, s := range w.guard {
		w.event(s.name, "-tilt", "")
		s.dead, s.others, s.down, s.flags = false, 2, nil, 0
		w.announce(master, epoch, s.name)
	}
	return master
}

// wantWayBack: no state is a dead end. Whatever was heard before, a set that is
// in order again is found so, within the time that the slowest rule takes.
func wantWayBack(t *testing.T, d dice, steps int) {
	w := bareWorld(t)
	if d(4) > 0 {
		w.run(500)
	}
	disturb(w, d, steps)
	master := heal(w, d)
	w.run(15000)
	w.want(Clear, master)
	w.wantConfirmed(true)
	if !w.d.BarriersConfirm() {
		t.Error("nothing can be confirmed")
	}
}

func TestThereIsAlwaysAWayBack(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			wantWayBack(t, rand.New(rand.NewPCG(seed, 7)).IntN, 40)
		})
	}
}

func FuzzThereIsAlwaysAWayBack(f *testing.F) {
	f.Add([]byte{1, 0, 0, 3, 4, 19, 4, 1})
	f.Add([]byte{3, 18, 4, 0, 0, 0, 1, 3, 1, 0, 10, 1, 9, 2, 15, 2, 8})
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 300 {
			return
		}
		wantWayBack(t, func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := int(choices[0])
			choices = choices[1:]
			return c % n
		}, min(len(choices)/3, 40))
	})
}
