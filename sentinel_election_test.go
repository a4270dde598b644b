package evercache_test

import (
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// TestSentinelALeaderThatDiesBeforeThePromotionChangesNothing: it was elected
// for a planned failover and crashes.
func TestSentinelALeaderThatDiesBeforeThePromotionChangesNothing(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second)))
		leader := d.set.Sentinels()[0]
		leader.Do("SENTINEL", "SIMULATE-FAILURE", "crash-after-election")
		fenced := d.fencedAtMost(2 * time.Second)
		d.inject(d.set.Failover)
		d.wait(20*time.Second, "the leader lives", func() bool { return d.client.Health().Sentinel.Reachable == 2 })
		d.landAgain(20 * time.Second)
		fenced()
		d.clear(20 * time.Second)
		d.wantFailovers()
		d.fault = time.Time{}
		return d.end()
	})
}

// TestSentinelALeaderThatDiesAfterThePromotionIsOutlived: the promoted node is
// taken provisionally; the other sentinels know nothing of it and fail over
// again, maybe to another. What was written in between is kept.
func TestSentinelALeaderThatDiesAfterThePromotionIsOutlived(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second), redistest.WithDownAfter(1500*time.Millisecond)))
		// It finds the master down by itself, before the others do, and gets their votes.
		leader, name := d.set.Sentinels()[0], d.set.MasterName()
		leader.Do("SENTINEL", "SET", name, "quorum", "1")
		leader.Do("SENTINEL", "SET", name, "down-after-milliseconds", "300")
		leader.Do("SENTINEL", "SIMULATE-FAILURE", "crash-after-promotion")
		d.inject(d.old.Kill)
		first := d.landsElsewhere(10 * time.Second)
		d.wait(5*time.Second, "the leader lives", func() bool { return d.client.Health().Sentinel.Reachable == 2 })
		if s := d.client.Health().Sentinel; !s.Provisional {
			d.Errorf("confirmed by nobody: %s", d.describe())
		}
		d.wait(20*time.Second, "nobody confirms a master", func() bool { return !d.client.Health().Sentinel.Provisional })
		d.landAgain(5 * time.Second)
		d.Logf("promoted %s first, ended with %s", first.Node, d.client.Health().Master)
		return d.end()
	})
}

// TestSentinelAnElectionThatNobodyWinsIsRepeated: one sentinel is left, finds
// the master down and gets no votes until the others are back.
func TestSentinelAnElectionThatNobodyWinsIsRepeated(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second)))
		alone := d.set.Sentinels()[0]
		alone.Do("SENTINEL", "SET", d.set.MasterName(), "quorum", "1")
		for _, s := range d.set.Sentinels()[1:] {
			s.Kill()
		}
		d.finding("sentinel-no-quorum", 3*time.Second)
		d.inject(d.old.Kill)
		d.untilLogged("-failover-abort-not-elected", 15*time.Second)
		if s := d.client.State(); s != evercache.Degraded {
			d.Errorf("state %v without a master", s)
		}
		for _, s := range d.set.Sentinels()[1:] {
			s.Start()
		}
		d.landsElsewhere(20 * time.Second)
		d.wait(5*time.Second, "nobody confirms the master", func() bool { return !d.client.Health().Sentinel.Provisional })
		return d.end()
	})
}

// TestSentinelTiltIsSeen: a sentinel that was halted acts on nothing for a
// while. It says so once, at a moment when nobody is connected to it.
func TestSentinelTiltIsSeen(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second)))
		d.limits.Gap = 300 * time.Millisecond
		halted := d.set.Sentinels()[0]
		halted.Do("SENTINEL", "DEBUG", "TILT-TRIGGER", "1000", "TILT-PERIOD", "1500")
		tilts := func() bool {
			return slices.ContainsFunc(d.client.Health().Sentinel.Sentinels, func(s evercache.SentinelNode) bool { return s.Tilt })
		}
		d.inject(halted.Pause)
		d.wait(4*time.Second, "the halt is not noticed", func() bool { return d.client.Health().Sentinel.Reachable == 2 })
		halted.Resume()
		d.finding("sentinel-tilt", 3*time.Second)
		d.wait(5*time.Second, "TILT does not end", func() bool { return !tilts() })
		d.clear(5 * time.Second)
		d.wantFailovers()
		d.fault = time.Time{}
		return d.end()
	})
}

// TestSentinelASlowResyncDelaysNothing: the leader publishes the switch when the
// other replica follows the new master; that one hangs.
func TestSentinelASlowResyncDelaysNothing(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(5*time.Second)))
		d.limits.Landing = landsWithin
		d.inject(d.set.Failover)
		p := d.landsElsewhere(5 * time.Second)
		for _, n := range d.set.Nodes() {
			if n.Addr() != p.Node && n.Addr() != d.old.Addr() {
				n.Pause()
				defer n.Resume()
			}
		}
		d.confirmed(5 * time.Second)
		d.wantFailovers("planned")
		return d.end()
	})
}

// TestSentinelAMasterWithoutItsReplicasKeepsWrites: with min-replicas-to-write
// the promoted node refuses writes until the other replica has found it.
func TestSentinelAMasterWithoutItsReplicasKeepsWrites(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithConfig("min-replicas-to-write 1", "min-replicas-max-lag 2")))
		d.inject(d.old.Kill)
		d.landsElsewhere(15 * time.Second)
		d.confirmed(5 * time.Second)
		d.wantFailovers("failure")
		return d.end()
	})
}
