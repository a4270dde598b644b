package cluster_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// The slots of the first master that scenes move, and what is beside them.
var (
	thousand = redistest.SlotRange{First: 1000, Last: 1999}
	quarter  = redistest.SlotRange{First: 1000, Last: 1249}
	hundred  = redistest.SlotRange{First: 1000, Last: 1099}
	anywhere = redistest.SlotRange{First: 0, Last: 16383}
)

// steady is for scenes in which no failover belongs: a busy machine must not cause one.
var steady = redistest.WithNodeTimeout(5 * time.Second)

// slotsMoveAndComeBack: a thousand where scenes are repeated; that takes its time.
func slotsMoveAndComeBack(t *testing.T) {
	slots := quarter
	if os.Getenv("EVERCACHE_CLUSTER_RUNS") != "" {
		slots = thousand
	}
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(slots, anywhere))
		from, to := c.Nodes()[0], c.Nodes()[1]
		d.moves("key by key", slots, func() { c.Reshard(from, to, slots) })
		d.moves("key by key", slots, func() { c.Reshard(to, from, slots) })
		d.end()
	}, steady)
}

// slotsMoveToAnotherClock: what a record knows of times is of another clock then. What
// was written by two processes in less time than the clocks differ by may be nothing in
// the end; it is never an older value, or a deleted one.
func slotsMoveToAnotherClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{
		"behind": -50 * time.Millisecond, "ahead": 50 * time.Millisecond, "far ahead": 300 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			clock := redistest.NewClock(t)
			clock.Set(ahead)
			scene(t, func(t *testing.T, c *redistest.Cluster) {
				d := begin(t, c, 2, crowd(hundred, anywhere))
				d.rules.Ambiguity = max(d.rules.Ambiguity, ahead)
				from, to := c.Nodes()[0], c.Nodes()[1]
				d.during(func() { c.Reshard(from, to, hundred) })
				d.during(func() { c.Reshard(to, from, hundred) })
				d.end()
			}, steady, redistest.WithNodeClock(1, clock))
		})
	}
}

// TestASlotGoesAwayAndComesBack: what is seen before and after is the same, but for an
// epoch.
func TestASlotGoesAwayAndComesBack(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(redistest.OneSlot(1000), anywhere))
		from, to := c.Nodes()[0], c.Nodes()[1]
		d.during(func() {
			c.ThereAndBack(from, to, 1000)
			to.Kill()
			c.WaitMaster(8000, to, patience)
		})
		d.during(func() {
			c.ThereAndBack(from, c.Nodes()[2], 1000)
			d.heard(from)
			from.Kill()
			c.WaitMaster(1000, from, patience)
		})
		d.end()
	})
}

// heard waits until the replicas of a master have heard which slots it has. Only its own
// messages tell them, a moment after it has replied to who has moved a slot. Where it dies
// before, its replica is promoted without the slot, and nobody has that any more.
func (d *drill) heard(master *redistest.Server) {
	d.Helper()
	id, _ := master.Do("CLUSTER", "MYID").(string)
	epoch, _ := own(d.Context(), master)
	d.until("a replica does not hear of its master's slots", func() bool {
		return !slices.ContainsFunc(d.cluster.ReplicasOf(master), func(r *redistest.Server) bool {
			text, _ := r.Do("CLUSTER", "NODES").(string)
			for line := range strings.Lines(text) {
				if words := strings.Fields(line); len(words) >= 8 && words[0] == id {
					return words[6] != strconv.FormatInt(epoch, 10)
				}
			}
			return true
		})
	})
}

func theSourceDiesInTheMiddle(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(hundred, anywhere))
		from, to := c.Nodes()[0], c.Nodes()[1]
		d.during(func() {
			c.ReshardUntil(redistest.Half, from, to, redistest.SlotRange{First: 1000, Last: 1049})
			time.Sleep(200 * time.Millisecond)
			from.Kill()
			c.WaitMaster(1099, from, patience)
		})
		c.Abandon(hundred) // the target holds the slot for a failed node's until then
		d.end()
	})
}

// theTargetDiesBeforeItsReplicaHasTheKeys: Redis has lost them; the processes that
// wrote them put them back.
func theTargetDiesBeforeItsReplicaHasTheKeys(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(hundred, anywhere))
		from, to := c.Nodes()[0], c.Nodes()[1]
		d.during(func() {
			replica := c.ReplicasOf(to)[0]
			replica.Pause()
			to.Do("CLIENT", "KILL", "TYPE", "replica") // what it is sent from here on is lost
			c.Reshard(from, to, hundred)
			time.Sleep(100 * time.Millisecond)
			to.Kill()
			replica.Resume()
			c.WaitMaster(1050, to, patience)
		})
		d.end()
	})
}

// TestMemoryAnswersForWhatHasMovedToAMasterThatFails: a key that is moved is announced like
// one that somebody has overwritten.
func TestMemoryAnswersForWhatHasMovedToAMasterThatFails(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		from, to := c.Nodes()[0], c.Nodes()[1]
		client := open(t, c)
		cache := cacheOf(t, client, "c")
		var keys []string
		for s := 1000; s < 1010; s++ {
			key := fmt.Sprint("key", s, redistest.KeyIn(s, ""))
			keys = append(keys, key)
			if r, err := cache.Set(t.Context(), key, "v"); err != nil || r.Durability < evercache.Master {
				t.Fatal(r, err)
			}
		}
		if e, err := cache.Lookup(t.Context(), keys[1]); err != nil || e.Source != evercache.SourceMemory {
			t.Fatalf("%+v, %v", e, err)
		}
		heard := client.Health().Feed.Announced
		c.Reshard(from, to, redistest.SlotRange{First: 1000, Last: 1009})
		wait(t, client, func() bool { return client.Health().Feed.Announced >= heard+uint64(len(keys)) })
		to.Kill()
		fallback := false
		for _, key := range keys[1:] { // of the first slot nobody knew that it moves
			e, err := cache.Lookup(t.Context(), key)
			if err != nil || e.Value != "v" || e.Coherent {
				t.Errorf("%s: %+v, %v", key, e, err)
			}
			fallback = fallback || testkit.Looked(e, err).Fallback
		}
		if !fallback {
			t.Error("no answer is known as one in place of Redis")
		}
	}, steady, redistest.WithMasters(2), redistest.WithReplicas(0))
}

// TestAReshardIsLeftAlone: writes of the slots that move wait, reads and deletes go on.
func TestAReshardIsLeftAlone(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(redistest.OneSlot(1000), anywhere))
		from, to := c.Nodes()[0], c.Nodes()[1]
		one, other := d.side(0), d.side(1)
		tag := redistest.KeyIn(1000, "")
		for _, key := range []string{"a", "b", "c", "d"} {
			if r, err := one.Set(t.Context(), key+tag, "old"); err != nil || r.Durability < evercache.Master {
				t.Fatal(r, err)
			}
		}
		d.during(func() {
			c.ReshardUntil(redistest.Half, from, to, redistest.OneSlot(1000))
			time.Sleep(time.Second)
			if r, err := one.Set(t.Context(), "a"+tag, "new"); err != nil {
				t.Errorf("a write of a slot that moves: %+v, %v", r, err)
			}
			for _, key := range []string{"b", "c", "d"} {
				if e, err := other.Lookup(t.Context(), key+tag); err != nil || e.Value != "old" {
					t.Errorf("%s: %+v, %v", key, e, err)
				}
			}
			if r, err := one.Delete(t.Context(), "d"+tag); err != nil || r.Durability < evercache.Master {
				t.Errorf("a delete in a slot that moves: %+v, %v", r, err)
			}
			if _, err := other.Lookup(t.Context(), "d"+tag); err != evercache.ErrNotFound {
				t.Errorf("what was deleted in a slot that moves: %v", err)
			}
		})
		c.Reshard(from, to, redistest.OneSlot(1000))
		d.end()
		for key, want := range map[string]string{"a": "new", "b": "old", "c": "old"} {
			if e, err := other.Lookup(t.Context(), key+tag); err != nil || e.Value != want {
				t.Errorf("%s: %+v, %v; want %s", key, e, err, want)
			}
		}
	}, steady)
}

func aReshardIsAbandoned(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(redistest.OneSlot(1000), anywhere))
		from, to := c.Nodes()[0], c.Nodes()[1]
		d.during(func() {
			c.ReshardUntil(redistest.Marked, from, to, redistest.OneSlot(1000))
			time.Sleep(time.Second)
		})
		d.during(func() { c.Abandon(redistest.OneSlot(1000)) })
		d.end()
	}, steady)
}

// TestASlotIsStolen: its owner drops its keys, and Redis 7.0 announces that to nobody.
func TestASlotIsStolen(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(redistest.OneSlot(1000), anywhere))
		d.during(func() { c.StealSlot(c.Nodes()[1], 1000) })
		d.during(func() { c.StealSlot(c.Nodes()[2], 1000) })
		d.end()
	}, steady)
}

// aMasterGivesAllAwayAndAnotherGetsSome: a shard ends, and one begins whose clock
// nobody knows yet.
func aMasterGivesAllAwayAndAnotherGetsSome(t *testing.T) {
	clock := redistest.NewClock(t)
	clock.Set(-50 * time.Millisecond)
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		first, last := c.Nodes()[0], c.Nodes()[1]
		all := redistest.SlotRange{First: 8192, Last: 8291}
		some := redistest.SlotRange{First: 9030, Last: 9129} // the anchor of the marks comes late: 9088
		for _, n := range []*redistest.Server{last, first} { // which leaves so many
			n.Do("CLUSTER", "DELSLOTSRANGE", "8292", "16383")
		}
		first.Do("CLUSTER", "BUMPEPOCH")
		first.Do("CLUSTER", "ADDSLOTSRANGE", "8292", "16383")
		c.WaitHealthy(patience)
		d := begin(t, c, 2, crowd(anywhere, all, some))
		d.during(func() { c.Reshard(last, first, all) })
		d.during(func() { c.Reshard(first, last, some) })
		d.end()
	}, steady, redistest.WithMasters(2), redistest.WithReplicas(1), redistest.WithConfig("cluster-allow-replica-migration no"), redistest.WithNodeClock(1, clock))
}
