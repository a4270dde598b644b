package evercache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelAKilledMasterIsFollowedAtItsPromotion(t *testing.T) {
	for _, down := range []time.Duration{500 * time.Millisecond, time.Second} {
		t.Run(fmt.Sprint(down), func(t *testing.T) {
			scenario(t, func(t *testing.T) chaos.Summary {
				d := begin(t, redistest.StartSentinel(t, downAfter(down)))
				d.limits.Landing = landsWithin
				d.inject(d.old.Kill)
				d.landsElsewhere(10 * time.Second)
				d.confirmed(5 * time.Second)
				d.wantFailovers("failure")
				return d.end()
			})
		})
	}
}

// TestSentinelAHungMasterIsFencedForGood lets it go on after the promotion: for
// about ten seconds it answers as a master. Commands that were in its socket
// buffer at the fence are executed then; nothing else may be.
func TestSentinelAHungMasterIsFencedForGood(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.limits.Landing = landsWithin
		d.inject(d.old.Pause)
		d.landsElsewhere(10 * time.Second)
		d.old.Resume()
		resumed := time.Now()
		d.wait(2*time.Second, "no writes after the old master's return", func() bool { return d.run.History.Landed(resumed) > 200 })
		d.sentNothingAfterTheFence()
		d.confirmed(5 * time.Second)
		d.wantFailovers("failure")
		return d.end()
	})
}

// sentNothingAfterTheFence asks the old master, while it still thinks that it is
// one, for every write that began after the client had fenced it.
func (d *drill) sentNothingAfterTheFence() {
	d.Helper()
	held := new(chaos.History)
	fence := d.firstDegraded()
	after := 0
	for _, c := range d.run.History.Calls() {
		held.Record(c)
	}
	unheld, err := chaos.Unheld(d.Context(), d.node(d.old), held)
	if err != nil {
		d.Fatal(err)
	}
	role, _ := d.old.Do("ROLE").([]any)
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
		d.Errorf("fenced %v after the fault; %d writes that began later are on the old master", fence.Sub(d.fault), after)
	}
}

// In the following two the old master answers as a master again between
// +try-failover and the promotion.

func TestSentinelAHungMasterThatReturnsDuringTheElectionIsNotBelieved(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.inject(d.old.Pause)
		d.untilLogged("+try-failover", 10*time.Second)
		d.old.Resume()
		d.landsElsewhere(20 * time.Second)
		d.sentNothingAfterTheFence()
		d.confirmed(5 * time.Second)
		d.wantFailovers("failure")
		return d.end()
	})
}

func TestSentinelAKilledMasterThatReturnsDuringTheElectionIsNotBelieved(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		// With its data, or the replicas would empty themselves after it.
		d := begin(t, redistest.StartSentinel(t, redistest.WithPersistence()))
		d.inject(d.old.Kill)
		d.untilLogged("+try-failover", 10*time.Second)
		d.old.Start()
		d.landsElsewhere(20 * time.Second)
		d.sentNothingAfterTheFence()
		d.confirmed(5 * time.Second)
		d.wantFailovers("failure")
		return d.end()
	})
}

func TestSentinelAMasterThatDiesWithTheFirstSentinelIsReplaced(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.limits.Landing = landsWithin
		d.inject(func() { d.set.Sentinels()[0].Kill(); d.old.Kill() })
		d.landsElsewhere(20 * time.Second)
		d.confirmed(5 * time.Second)
		d.wantFailovers("failure")
		return d.end()
	})
}

func TestSentinelWithoutSentinelsAHealthyMasterIsKeptAndADeadOneIsReplacedWhenTheyReturn(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		fenced := d.fencedAtMost(0)
		for _, s := range d.set.Sentinels() {
			s.Kill()
		}
		d.wait(5*time.Second, "the sentinels' death is not noticed", func() bool { return d.client.Health().Sentinel.Reachable == 0 })
		time.Sleep(500 * time.Millisecond)
		d.landAgain(time.Second)
		fenced()
		if s := chaos.Sum(d.run.History.Calls(), chaos.Facts{}); s.KeptWrites > 0 {
			d.Errorf("%d writes did not land on a healthy master", s.KeptWrites)
		}
		d.inject(d.old.Kill)
		d.wait(2*time.Second, "the dead master is not noticed", func() bool { return d.client.State() == evercache.Degraded })
		time.Sleep(500 * time.Millisecond)
		for _, s := range d.set.Sentinels() {
			s.Start()
		}
		d.landsElsewhere(30 * time.Second)
		d.confirmed(5 * time.Second)
		d.wantFailovers("failure")
		return d.end()
	})
}
