package cluster_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

func TestKilledMaster(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		victim := c.MasterOfSlot(0)
		d.during(func() {
			victim.Kill()
			c.WaitMaster(0, victim, patience)
		})
		d.end()
	})
}

func TestMasterHangsUntilItIsReplaced(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		victim := c.MasterOfSlot(0)
		d.during(func() {
			victim.Pause()
			c.WaitMaster(0, victim, patience)
			time.Sleep(300 * time.Millisecond)
			victim.Resume()
		})
		d.end()
	})
}

func TestMasterHangsForAMoment(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		victim := c.MasterOfSlot(0)
		d.during(func() {
			victim.Pause()
			time.Sleep(600 * time.Millisecond)
			victim.Resume()
		})
		d.end()
	})
}

func TestPlannedFailover(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		old := c.MasterOfSlot(0)
		d.during(func() {
			c.Failover(c.ReplicasOf(old)[0])
			c.WaitMaster(0, old, patience)
		})
		d.end()
	})
}

func TestTakeover(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		old := c.MasterOfSlot(0)
		d.during(func() {
			c.Takeover(c.ReplicasOf(old)[0])
			c.WaitMaster(0, old, patience)
		})
		d.end()
	})
}
