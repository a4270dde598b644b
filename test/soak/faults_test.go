package soak_test

import (
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache/redistest"
)

// patience is how long the set may take to be well again on a busy machine.
const patience = 90 * time.Second

// faults are what happens to the set, one at a time and any number of times.
var faults = []struct {
	name   string
	happen func(*soak)
}{
	{"a killed master", func(s *soak) {
		old := s.set.KillMaster()
		s.set.WaitMaster(old.Addr(), patience)
		old.Restart(redistest.Empty)
		s.set.WaitHealthy(patience)
	}},
	{"a hung master", func(s *soak) {
		old := s.set.PauseMaster()
		s.set.WaitMaster(old.Addr(), patience)
		old.Resume()
		s.set.WaitHealthy(patience)
	}},
	{"a master that hung for a moment", func(s *soak) {
		old := s.set.PauseMaster()
		time.Sleep(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		old.Resume()
		s.set.WaitHealthy(patience)
	}},
	{"a planned failover", func(s *soak) {
		s.set.Failover()
		s.set.WaitHealthy(patience)
	}},
	{"killed replicas", func(s *soak) {
		master := s.set.Master().Addr()
		for _, n := range s.set.Nodes() {
			if n.Addr() != master {
				n.Kill()
			}
		}
		for _, n := range s.set.Nodes() {
			if !n.Running() {
				n.Restart(redistest.Empty)
			}
		}
		s.set.WaitHealthy(patience)
	}},
	{"one client that hears nothing", func(s *soak) {
		s.cut((*redistest.Proxy).Blackhole)
	}},
	{"one client that is refused", func(s *soak) {
		s.cut(func(p *redistest.Proxy, on bool) { p.Refuse(on); p.ResetAll() })
	}},
	{"a killed sentinel", func(s *soak) {
		one := s.set.Sentinels()[rand.IntN(len(s.set.Sentinels()))]
		one.Kill()
		time.Sleep(time.Second)
		one.Start()
		s.set.WaitHealthy(patience)
	}},
}

// cut breaks the links of the first client for some seconds. The others go on writing.
func (s *soak) cut(fail func(p *redistest.Proxy, on bool)) {
	for _, p := range s.links {
		fail(p, true)
	}
	time.Sleep(time.Duration(1+rand.IntN(4)) * time.Second)
	for _, p := range s.links {
		fail(p, false)
	}
	s.set.WaitHealthy(patience)
}
