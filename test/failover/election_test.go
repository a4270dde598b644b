package failover_test

import (
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// TestSentinelALeaderThatDiesBeforeThePromotionChangesNothing: it was elected
// for a planned failover and crashes.
func TestSentinelALeaderThatDiesBeforeThePromotionChangesNothing(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second)))
		leader := d.Set.Sentinels()[0]
		leader.Do("SENTINEL", "SIMULATE-FAILURE", "crash-after-election")
		fenced := d.FencedAtMost(2 * time.Second)
		d.Inject(d.Set.Failover)
		d.Wait("the leader lives", func() bool { return d.Client.Health().Sentinel.Reachable == 2 })
		d.LandAgain()
		fenced()
		d.Clear()
		return d.Undisturbed()
	})
}

// TestSentinelALeaderThatDiesAfterThePromotionIsOutlived: the promoted node is
// taken provisionally; the other sentinels know nothing of it and fail over
// again, maybe to another. What was written in between is kept.
func TestSentinelALeaderThatDiesAfterThePromotionIsOutlived(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second), redistest.WithDownAfter(1500*time.Millisecond)))
		// It finds the master down by itself, before the others do, and gets their votes.
		leader, name := d.Set.Sentinels()[0], d.Set.MasterName()
		leader.Do("SENTINEL", "SET", name, "quorum", "1")
		leader.Do("SENTINEL", "SET", name, "down-after-milliseconds", "300")
		leader.Do("SENTINEL", "SIMULATE-FAILURE", "crash-after-promotion")
		d.Inject(d.Old.Kill)
		first := d.LandsElsewhere()
		d.Wait("the leader lives", func() bool { return d.Client.Health().Sentinel.Reachable == 2 })
		if s := d.Client.Health().Sentinel; !s.Provisional {
			d.Errorf("confirmed by nobody: %s", d.Describe())
		}
		d.Wait("nobody confirms a master", func() bool { return !d.Client.Health().Sentinel.Provisional })
		d.LandAgain()
		d.Logf("promoted %s first, ended with %s", first.Node, d.Client.Health().Master)
		return d.End()
	})
}

// TestSentinelAnElectionThatNobodyWinsIsRepeated: one sentinel is left, finds
// the master down and gets no votes until the others are back.
func TestSentinelAnElectionThatNobodyWinsIsRepeated(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second)))
		alone := d.Set.Sentinels()[0]
		alone.Do("SENTINEL", "SET", d.Set.MasterName(), "quorum", "1")
		for _, s := range d.Set.Sentinels()[1:] {
			s.Kill()
		}
		d.Finding("sentinel-no-quorum")
		d.Inject(d.Old.Kill)
		d.UntilLogged("-failover-abort-not-elected")
		if s := d.Client.State(); s != health.Degraded {
			d.Errorf("state %v without a master", s)
		}
		for _, s := range d.Set.Sentinels()[1:] {
			s.Start()
		}
		d.LandsElsewhere()
		d.Wait("nobody confirms the master", func() bool { return !d.Client.Health().Sentinel.Provisional })
		return d.End()
	})
}

// TestSentinelTiltIsSeen: a sentinel that was halted acts on nothing for a
// while. It says so once, at a moment when nobody is connected to it.
func TestSentinelTiltIsSeen(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second)))
		d.Limits.Gap = 300 * time.Millisecond
		halted := d.Set.Sentinels()[0]
		halted.Do("SENTINEL", "DEBUG", "TILT-TRIGGER", "1000", "TILT-PERIOD", "1500")
		tilts := func() bool {
			return slices.ContainsFunc(d.Client.Health().Sentinel.Sentinels, func(s health.SentinelNode) bool { return s.Tilt })
		}
		d.Inject(halted.Pause)
		d.Wait("the halt is not noticed", func() bool { return d.Client.Health().Sentinel.Reachable == 2 })
		halted.Resume()
		d.Finding("sentinel-tilt")
		d.Wait("TILT does not end", func() bool { return !tilts() })
		d.Clear()
		return d.Undisturbed()
	})
}

// TestSentinelASlowResyncDelaysNothing: the leader publishes the switch when the
// other replica follows the new master; that one hangs.
func TestSentinelASlowResyncDelaysNothing(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(5*time.Second)))
		d.Limits.Landing = testkit.LandsWithin
		d.Inject(d.Set.Failover)
		p := d.LandsElsewhere()
		for _, n := range d.Set.Nodes() {
			if n.Addr() != p.Node && n.Addr() != d.Old.Addr() {
				n.Pause()
				defer n.Resume()
			}
		}
		return d.Followed("planned")
	})
}

// TestSentinelAMasterWithoutItsReplicasKeepsWrites: with min-replicas-to-write
// the promoted node refuses writes until the other replica has found it.
func TestSentinelAMasterWithoutItsReplicasKeepsWrites(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithConfig("min-replicas-to-write 1", "min-replicas-max-lag 2")))
		return d.FailsOver("failure", d.Old.Kill)
	})
}
