package cluster_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// replaced plays a scene in which the first master loses its slots to a replica.
func replaced(t *testing.T, fault func(c *redistest.Cluster, old *redistest.Server)) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		old := c.MasterOfSlot(0)
		_, slots := own(t.Context(), old)
		promoted := d.promotion(old)
		d.during(func() { fault(c, old) })
		d.end()
		d.gaps(slots, promoted())
	})
}

func TestKilledMaster(t *testing.T) {
	replaced(t, func(c *redistest.Cluster, old *redistest.Server) {
		old.Kill()
		c.WaitMaster(0, old, patience)
	})
}

func masterHangsUntilItIsReplaced(t *testing.T) {
	replaced(t, func(c *redistest.Cluster, old *redistest.Server) {
		old.Pause()
		c.WaitMaster(0, old, patience)
		time.Sleep(300 * time.Millisecond)
		old.Resume()
	})
}

func TestPlannedFailover(t *testing.T) {
	replaced(t, func(c *redistest.Cluster, old *redistest.Server) {
		c.Failover(c.ReplicasOf(old)[0])
		c.WaitMaster(0, old, patience)
	})
}

func TestTakeover(t *testing.T) {
	replaced(t, func(c *redistest.Cluster, old *redistest.Server) {
		c.Takeover(c.ReplicasOf(old)[0])
		c.WaitMaster(0, old, patience)
	})
}

func masterHangsForAMoment(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		old := c.MasterOfSlot(0)
		_, slots := own(t.Context(), old)
		d.during(func() {
			old.Pause()
			time.Sleep(600 * time.Millisecond)
			old.Resume()
		})
		d.end()
		d.gaps(slots, time.Time{})
	}, redistest.WithNodeTimeout(5*time.Second))
}

// A master that comes back without its data before it is missed empties its replica too.
// Only who wrote to it still has what it had.
func TestMasterComesBackEmpty(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		old := c.MasterOfSlot(0)
		d.during(func() { old.Restart(redistest.Empty) })
		d.end()
		if c.MasterOfSlot(0) != old {
			t.Error("the master was replaced: it came back too late for this scene")
		}
	}, redistest.WithNodeTimeout(5*time.Second))
}

func allMastersAreKilledInTurn(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		d.during(func() {
			for _, old := range c.Masters() {
				_, slots := own(t.Context(), old)
				old.Kill()
				c.WaitMaster(slots[0].First, old, patience)
			}
		})
		d.end()
	}, redistest.WithReplicas(2))
}
