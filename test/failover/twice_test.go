package failover_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// TestSentinelAMasterThatDiesInTheMiddleOfAReplayLosesNothing: what the first
// master took alone is being sent to the second when that one dies too.
func TestSentinelAMasterThatDiesInTheMiddleOfAReplayLosesNothing(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second)))
		cutReplication(d, 700*time.Millisecond)
		d.Inject(d.Old.Kill)
		d.Wait("nothing is replayed", func() bool {
			return d.Client.State() == health.Recovering && d.Client.Stats().OutboxReplayed > 0
		})
		second := d.Set.Node(d.Client.Health().Master)
		second.Kill()
		d.Logf("killed the second master with %d writes in the outbox", d.Client.Health().OutboxEntries)
		d.Wait("the third node is not used", func() bool {
			m := d.Client.Health().Master
			return m != second.Addr() && m != d.Old.Addr() && d.Client.State() != health.Degraded
		})
		d.LandAgain()
		return d.End()
	})
}

// cutReplication lets the master go on alone for a while: what it takes is
// nowhere else. Its replicas may attach to the next one.
func cutReplication(d *testkit.Drill, alone time.Duration) {
	d.Helper()
	auth := func(password string) {
		for _, n := range d.Set.Nodes() {
			if n.Addr() != d.Old.Addr() {
				n.Do("CONFIG", "SET", "masterauth", password)
			}
		}
	}
	auth("wrong")
	d.Old.Do("CLIENT", "KILL", "TYPE", "replica")
	time.Sleep(alone)
	auth("")
}

// TestSentinelAPlannedFailoverRightAfterACrashLosesNothing asks for it as soon
// as all sentinels know of the first. That they also fail over once more by
// themselves does no harm.
func TestSentinelAPlannedFailoverRightAfterACrashLosesNothing(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel(), redistest.WithFailoverTimeout(time.Second)))
		d.Inject(d.Old.Kill)
		p, killed := d.LandsElsewhere(), d.Fault
		d.Wait("not all sentinels have heard of it", func() bool { return d.Client.Health().Sentinel.Agreeing == 3 })
		d.PlannedFailover()
		d.Fault = killed
		d.Wait("no second failover is followed", func() bool { // to the third node, or back from it by now
			h := d.Client.Health()
			return (h.Master != p.Node || h.Sentinel.FailoverCount > 2) && h.Master != d.Old.Addr() && h.State == health.Connected
		})
		d.LandAgain()
		return d.End()
	})
}
