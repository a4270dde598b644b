package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
)

// rewritten are keys of one slot that a process writes once more while they move. Both
// values are its own, so it knows which is the newer one.
type rewritten struct {
	*testing.T
	cluster  *redistest.Cluster
	from, to *redistest.Server
	client   *evercache.Client
	cache    *evercache.Cache[string]
	keys     []string
}

const itsSlot = 1000

func newRewritten(t *testing.T, c *redistest.Cluster, limit time.Duration) *rewritten {
	k := &rewritten{T: t, cluster: c, from: c.Nodes()[0], to: c.Nodes()[1], client: open(t, c)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := k.client.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	cache, err := evercache.NewCache[string](k.client, class, evercache.Policy{TTL: time.Hour, WriteTimeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	k.cache = cache
	for i := range 10 {
		k.keys = append(k.keys, fmt.Sprint("key", i, redistest.KeyIn(itsSlot, "")))
	}
	for _, key := range k.keys {
		for { // a busy machine may keep it
			r, err := k.cache.Set(ctx, key, "old")
			if err != nil {
				t.Fatal(err)
			}
			if r.Durability >= evercache.Master {
				break
			}
		}
	}
	time.Sleep(200 * time.Millisecond) // no clock is known well on a busy machine
	return k
}

func (k *rewritten) write() {
	k.Helper()
	var wg sync.WaitGroup
	for _, key := range k.keys {
		wg.Go(func() {
			if _, err := k.cache.Set(k.Context(), key, "new"); err != nil {
				k.Error(err)
			}
		})
	}
	wg.Wait()
}

func (k *rewritten) arrive() {
	k.Helper()
	k.cluster.Reshard(k.from, k.to, redistest.OneSlot(itsSlot))
	wait(k.T, k.client, func() bool { return settled(k.client) })
	for _, key := range k.keys {
		if got := k.to.Do("GET", class+":"+key); got != "new" {
			k.Errorf("%s holds %v", key, got)
		}
	}
}

// TestAWriteIsOnItsWayWhileItsKeyMovesToAnotherClock: it is dated by the master that does
// not answer, and kept after it is known that the slot has another one.
func TestAWriteIsOnItsWayWhileItsKeyMovesToAnotherClock(t *testing.T) {
	for name, node := range map[string]int{"the target is ahead": 1, "the source is ahead": 0} {
		t.Run(name, func(t *testing.T) {
			clock := redistest.NewClock(t)
			clock.Set(300 * time.Second)
			scene(t, func(t *testing.T, c *redistest.Cluster) {
				k := newRewritten(t, c, 3*time.Second)
				c.ReshardUntil(redistest.Told, k.from, k.to, redistest.OneSlot(itsSlot))
				k.from.Pause()
				k.write()
				k.from.Resume()
				k.arrive()
			}, steady, redistest.WithReplicas(0), redistest.WithNodeClock(node, clock))
		})
	}
}

// TestAWriteIsKeptWhileItsKeyIsLongOnItsWay: the value before it looks younger then than
// the write does.
func TestAWriteIsKeptWhileItsKeyIsLongOnItsWay(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		k := newRewritten(t, c, 300*time.Millisecond)
		c.ReshardUntil(redistest.Marked, k.from, k.to, redistest.OneSlot(itsSlot))
		migrate := []string{"MIGRATE", k.to.Host(), fmt.Sprint(k.to.Port()), "", "0", "30000", "KEYS"}
		for _, key := range k.keys {
			migrate = append(migrate, class+":"+key)
		}
		k.to.Pause()
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if said, err := k.from.Try(ctx, migrate...); err != nil {
				t.Error(said, err)
			}
		})
		time.Sleep(100 * time.Millisecond)
		k.write()
		time.Sleep(2 * time.Second)
		k.to.Resume()
		wg.Wait()
		k.arrive()
	}, steady, redistest.WithMasters(2), redistest.WithReplicas(0))
}
