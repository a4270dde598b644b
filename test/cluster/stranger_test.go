package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

var quiet = slog.New(slog.DiscardHandler)

// written are the commands that write, of those that a node has carried out.
func written(t *testing.T, n *redistest.Server) (names []string) {
	t.Helper()
	text, _ := n.Do("INFO", "commandstats").(string)
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		switch name {
		case "set", "del", "eval", "evalsha", "pexpireat", "expire", "getdel", "unlink":
			names = append(names, strings.TrimSpace(line))
		}
	}
	return names
}

// TestANodeOfAnotherClusterGetsNothing: it answers at the address of a master that has
// died, and says that it has all slots, under the highest epoch.
func TestANodeOfAnotherClusterGetsNothing(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		old := c.MasterOfSlot(0)
		d.during(func() {
			old.Kill()
			c.WaitMaster(0, old, patience)
			c.Replace(old)
			old.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
			old.Do("CLUSTER", "SET-CONFIG-EPOCH", "1000")
			time.Sleep(time.Second)
		})
		d.traffic.Stop()
		if n := old.Do("DBSIZE"); n != int64(0) || len(written(t, old)) != 0 {
			t.Errorf("the stranger holds %v keys, and was sent %v", n, written(t, old))
		}
		old.Kill() // nobody may take it for an owner below
		d.end()
	})
}

// twoClustersAmongTheSeeds: nobody can tell which one is meant.
func twoClustersAmongTheSeeds(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		other := redistest.StartCluster(t, redistest.WithMasters(1), redistest.WithReplicas(0), steady)
		client, err := evercache.Open(t.Context(), evercache.Options{ClusterNodes: append(c.Addrs(), other.Addrs()...), CloseTimeout: 100 * time.Millisecond, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		cache := cacheOf(t, client, "c")
		for i := range 10 {
			if r, err := cache.Set(t.Context(), fmt.Sprint("key", i), "v"); err != nil || r.Durability != evercache.Memory {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		wait(t, client, func() bool { return strings.Contains(fmt.Sprint(client.Health().Cause), "seeds lead to several") })
		for _, n := range append(c.Masters(), other.Masters()...) {
			if len(written(t, n)) != 0 {
				t.Errorf("%s was sent %v", n.Addr(), written(t, n))
			}
		}
	}, redistest.WithMasters(1), redistest.WithReplicas(0), steady)
}

// aRebuiltClusterIsFollowed: all of the last minute is put into it.
func aRebuiltClusterIsFollowed(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		client := open(t, c)
		cache := cacheOf(t, client, "c")
		for i := range 200 {
			if _, err := cache.Set(t.Context(), fmt.Sprint("key", i), fmt.Sprint("v", i)); err != nil {
				t.Fatal(err)
			}
		}
		c.Rebuild()
		for i := 200; i < 300; i++ {
			if _, err := cache.Set(t.Context(), fmt.Sprint("key", i), fmt.Sprint("v", i)); err != nil {
				t.Fatal(err)
			}
		}
		wait(t, client, func() bool { return settled(client) && c.MasterOf("c:key0").Do("EXISTS", "c:key0") == int64(1) })
		for i := range 300 {
			key := fmt.Sprint("c:key", i)
			if v := c.MasterOf(key).Do("GET", key); v != fmt.Sprint("v", i) {
				t.Errorf("%s: %v", key, v)
			}
		}
	}, steady)
}

// anIdleClusterStaysCoherent: the current epoch of a fresh one is above all config
// epochs for ever, and that is no election.
func anIdleClusterStaysCoherent(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		client := open(t, c)
		cache := cacheOf(t, client, "c")
		for i := range 30 {
			if _, err := cache.Set(t.Context(), fmt.Sprint("key", i), "v"); err != nil {
				t.Fatal(err)
			}
		}
		coherent, asked := 0, 0
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			e, err := cache.Lookup(t.Context(), fmt.Sprint("key", asked%30))
			if asked++; err != nil {
				t.Fatal(err)
			}
			if e.Coherent {
				coherent++
			}
			if s := client.State(); s != health.Connected {
				t.Fatalf("%v: %+v", s, client.Health())
			}
		}
		if coherent < asked*3/4 {
			t.Errorf("%d of %d answers were coherent", coherent, asked)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			if e, err := cache.Lookup(ctx, "key0"); err != nil || e.Coherent {
				break
			}
		}
		if ctx.Err() != nil {
			t.Error("nothing is coherent in the end")
		}
	}, steady)
}
