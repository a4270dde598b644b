package evercache_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// TestSentinelAMasterThatDiesInTheMiddleOfAReplayLosesNothing: what the first
// master took alone is being sent to the second when that one dies too.
func TestSentinelAMasterThatDiesInTheMiddleOfAReplayLosesNothing(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second)))
		d.cutReplication(700 * time.Millisecond)
		d.inject(d.old.Kill)
		d.wait(10*time.Second, "nothing is replayed", func() bool {
			return d.client.State() == evercache.Recovering && d.client.Stats().OutboxReplayed > 0
		})
		second := d.set.Node(d.client.Health().Master)
		second.Kill()
		d.Logf("killed the second master with %d writes in the outbox", d.client.Health().OutboxEntries)
		d.wait(20*time.Second, "the third node is not used", func() bool {
			m := d.client.Health().Master
			return m != second.Addr() && m != d.old.Addr() && d.client.State() != evercache.Degraded
		})
		d.landAgain(5 * time.Second)
		return d.end()
	})
}

// cutReplication lets the master go on alone for a while: what it takes is
// nowhere else. Its replicas may attach to the next one.
func (d *drill) cutReplication(alone time.Duration) {
	d.Helper()
	auth := func(password string) {
		for _, n := range d.set.Nodes() {
			if n.Addr() != d.old.Addr() {
				n.Do("CONFIG", "SET", "masterauth", password)
			}
		}
	}
	auth("wrong")
	d.old.Do("CLIENT", "KILL", "TYPE", "replica")
	time.Sleep(alone)
	auth("")
}

// TestSentinelAPlannedFailoverRightAfterACrashLosesNothing asks for it as soon
// as all sentinels know of the first. That they also fail over once more by
// themselves does no harm.
func TestSentinelAPlannedFailoverRightAfterACrashLosesNothing(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel(), redistest.WithFailoverTimeout(time.Second)))
		d.inject(d.old.Kill)
		p, killed := d.landsElsewhere(10*time.Second), d.fault
		d.wait(10*time.Second, "not all sentinels have heard of it", func() bool { return d.client.Health().Sentinel.Agreeing == 3 })
		d.plannedFailover()
		d.fault = killed
		d.wait(20*time.Second, "the third node is not used", func() bool {
			m := d.client.Health().Master
			return m != p.Node && m != d.old.Addr() && d.client.State() == evercache.Connected
		})
		d.landAgain(5 * time.Second)
		return d.end()
	})
}
