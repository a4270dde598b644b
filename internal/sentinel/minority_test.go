package sentinel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAMinorityCountsOnEverybodyOutOfSight: the client is with the old master and
// one sentinel, and the far side has promoted another. Whatever is heard first
// when the sides are joined again, a barrier that the far side does not have
// never confirms anything: those that it lacks are still waited for.
func TestAMinorityCountsOnEverybodyOutOfSight(t *testing.T) {
	for seed := range uint64(100) {
		s := &split{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 1))}
		s.cut()
		s.join()
	}
}

// split is a world whose nodes n2 and n3 and sentinels s2 and s3 are far.
type split struct {
	*world
	r *rand.Rand
}

func (s *split) far(dead bool) {
	for _, n := range s.nodes[1:] {
		n.dead = dead
	}
	for _, g := range s.guard[1:] {
		g.dead = dead
	}
}

// cut: nothing is reset, so the master goes on to show its replicas for a while,
// and s1 finds them down.
func (s *split) cut() {
	silent := s.r.IntN(2) == 0
	for i := range 20 {
		s.clock += 50
		s.far(true)
		if i == 10 {
			s.guard[0].down = []string{"n2", "n3"}
		}
		s.shuffled(s.askNode(1), s.askNode(2), s.askSentinel(0), s.askSentinel(1), s.askSentinel(2))
		if silent {
			s.far(false)
		}
		s.shuffled(s.askNode(0), s.barrier)
		if i == 15 && s.r.IntN(2) == 0 { // and the near sentinel does not answer either
			s.guard[0].dead = true
		}
	}
}

// join: the far side has promoted n2, and s1 hears of it early or late.
func (s *split) join() {
	s.far(false)
	s.guard[0].dead = false
	s.promote("n2")
	s.repoint("n3", "n2")
	s.announce("n2", 1, "s2", "s3")
	s.guard[1].down = []string{"n1"}
	hears := s.r.IntN(6)
	for i := range 6 {
		s.clock += 50
		if i == hears {
			s.announce("n2", 1, "s1")
		}
		s.shuffled(s.askNode(0), s.askNode(1), s.askNode(2), s.askSentinel(0), s.askSentinel(1), s.askSentinel(2), s.barrier)
	}
	s.wantMaster("n2")
}

func (s *split) askNode(i int) func()     { return func() { s.probe(s.nodes[i]) } }
func (s *split) askSentinel(i int) func() { return func() { s.poll(s.guard[i]) } }

// barrier is one that the old master answers and nobody else has.
func (s *split) barrier() {
	if s.d.Master == s.nodes[0].addr {
		s.feed(Barrier{Node: s.d.Master, SentAt: at(s.clock - 1), At: at(s.clock), By: []Addr{}})
	}
}

// shuffled does all in any order, some not at all, and looks after each.
func (s *split) shuffled(all ...func()) {
	s.t.Helper()
	s.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, do := range all {
		if s.r.IntN(4) > 0 {
			do()
		}
		if s.d.Master != s.nodes[0].addr || !s.d.BarriersConfirm() {
			continue
		}
		for _, n := range s.nodes[1:] {
			if !slices.Contains(s.d.Promotable, n.addr) {
				s.t.Fatalf("at %.0f ms: %s is out of sight, and only %v are waited for", s.clock, n.name, s.d.Promotable)
			}
		}
	}
}
