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
	happen func(*redistest.Sentinel)
}{
	{"a killed master", func(set *redistest.Sentinel) {
		old := set.KillMaster()
		set.WaitMaster(old.Addr(), patience)
		old.Restart(redistest.Empty)
		set.WaitHealthy(patience)
	}},
	{"a hung master", func(set *redistest.Sentinel) {
		old := set.PauseMaster()
		set.WaitMaster(old.Addr(), patience)
		old.Resume()
		set.WaitHealthy(patience)
	}},
	{"a master that hung for a moment", func(set *redistest.Sentinel) {
		old := set.PauseMaster()
		time.Sleep(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		old.Resume()
		set.WaitHealthy(patience)
	}},
	{"a planned failover", func(set *redistest.Sentinel) {
		set.Failover()
		set.WaitHealthy(patience)
	}},
	{"killed replicas", func(set *redistest.Sentinel) {
		master := set.Master().Addr()
		for _, n := range set.Nodes() {
			if n.Addr() != master {
				n.Kill()
			}
		}
		for _, n := range set.Nodes() {
			if !n.Running() {
				n.Restart(redistest.Empty)
			}
		}
		set.WaitHealthy(patience)
	}},
	{"a killed sentinel", func(set *redistest.Sentinel) {
		s := set.Sentinels()[rand.IntN(len(set.Sentinels()))]
		s.Kill()
		time.Sleep(time.Second)
		s.Start()
		set.WaitHealthy(patience)
	}},
}
