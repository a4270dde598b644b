package failover_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelAKilledMasterIsFollowedAtItsPromotion(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Limits.Landing = testkit.LandsWithin
		return d.FailsOver("failure", d.Old.Kill)
	})
}

// TestSentinelAHungMasterIsFencedForGood lets it go on after the promotion: for
// about ten seconds it answers as a master. Commands that were in its socket
// buffer at the fence are executed then; nothing else may be.
func TestSentinelAHungMasterIsFencedForGood(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Limits.Landing = testkit.LandsWithin
		d.Inject(d.Old.Pause)
		d.LandsElsewhere()
		d.Old.Resume()
		resumed := time.Now()
		d.Wait("no writes after the old master's return", func() bool { return d.Traffic.History.Landed(resumed) > 200 })
		sentNothingAfterTheFence(d)
		return d.Followed("failure")
	})
}

// sentNothingAfterTheFence asks the old master, while it still thinks that it is
// one, for every write that began after the client had fenced it.
func sentNothingAfterTheFence(d *testkit.Drill) {
	d.Helper()
	held := new(chaos.History)
	fence := d.FirstDegraded()
	after := 0
	for _, c := range d.Traffic.History.Calls() {
		held.Record(c)
	}
	unheld, err := chaos.Unheld(d.Context(), d.Node(d.Old), held)
	if err != nil {
		d.Fatal(err)
	}
	role, _ := d.Old.Do("ROLE").([]any)
	if role[0] != "master" {
		d.Logf("the old master was demoted before it could be asked: %v", role[0])
		return
	}
	for _, c := range held.Calls() {
		if c.Op == chaos.Write && c.Start.After(fence) && !unheld[c.Key] {
			after++
		}
	}
	if fence.IsZero() || after > 0 {
		d.Errorf("fenced %v after the fault; %d writes that began later are on the old master", fence.Sub(d.Fault), after)
	}
}

// In the following two the old master answers as a master again between
// +try-failover and the promotion.

func TestSentinelAHungMasterThatReturnsDuringTheElectionIsNotBelieved(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Inject(d.Old.Pause)
		d.UntilLogged("+try-failover")
		d.Old.Resume()
		d.LandsElsewhere()
		sentNothingAfterTheFence(d)
		return d.Followed("failure")
	})
}

func TestSentinelAKilledMasterThatReturnsDuringTheElectionIsNotBelieved(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		// With its data, or the replicas would empty themselves after it.
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithPersistence()))
		d.Inject(d.Old.Kill)
		d.UntilLogged("+try-failover")
		d.Old.Start()
		d.LandsElsewhere()
		sentNothingAfterTheFence(d)
		return d.Followed("failure")
	})
}

func TestSentinelAMasterThatDiesWithTheFirstSentinelIsReplaced(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Limits.Landing = testkit.LandsWithin
		return d.FailsOver("failure", func() { d.Set.Sentinels()[0].Kill(); d.Old.Kill() })
	})
}

func TestSentinelWithoutSentinelsAHealthyMasterIsKeptAndADeadOneIsReplacedWhenTheyReturn(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		fenced := d.FencedAtMost(0)
		for _, s := range d.Set.Sentinels() {
			s.Kill()
		}
		d.Wait("the sentinels' death is not noticed", func() bool { return d.Client.Health().Sentinel.Reachable == 0 })
		time.Sleep(500 * time.Millisecond)
		d.LandAgain()
		fenced()
		// A machine that makes calls wait for as long as this may open the circuit.
		const stalls = 50 * time.Millisecond
		if s := chaos.Sum(d.Traffic.History.Calls(), chaos.Facts{}); s.KeptWrites > 0 && d.Traffic.Stolen() < stalls {
			d.Errorf("%d writes did not land on a healthy master", s.KeptWrites)
		}
		d.Inject(d.Old.Kill)
		d.Wait("the dead master is not noticed", func() bool { return d.Client.State() == health.Degraded })
		time.Sleep(500 * time.Millisecond)
		for _, s := range d.Set.Sentinels() {
			s.Start()
		}
		d.LandsElsewhere()
		return d.Followed("failure")
	})
}
