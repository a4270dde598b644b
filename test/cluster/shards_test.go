package cluster_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// calls is how often the masters have run a command.
func calls(t *testing.T, masters []*redistest.Server, command string) (n int) {
	t.Helper()
	for _, m := range masters {
		text, _ := m.Do("INFO", "commandstats").(string)
		_, line, found := strings.Cut(text, "cmdstat_"+command+":calls=")
		if !found {
			continue
		}
		digits, _, _ := strings.Cut(line, ",")
		one, err := strconv.Atoi(digits)
		if err != nil {
			t.Fatal(err)
		}
		n += one
	}
	return n
}

// What a class notes of its lives it notes once at each shard, and not anew whenever
// another shard was written to meanwhile.
func TestWritesOfSeveralShardsNoteLivesOnce(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := &drill{T: t, cluster: c, log: testkit.NewLateLog(t, "the clients' log ends")}
		cache := plainCache(t, d.open())
		write := func(from, to int) {
			for i := from; i < to; i++ {
				if r, err := cache.Set(t.Context(), fmt.Sprint("key", i), "v"); err != nil || r.Durability < evercache.Master {
					t.Fatal(r, err)
				}
			}
		}
		write(0, 30)
		before := calls(t, c.Masters(), "evalsha")
		write(30, 230)
		// A note is 86 scripts, one for each anchor of a shard. A busy machine, on which the
		// servers' clocks are known less well, has some more written.
		if n := calls(t, c.Masters(), "evalsha") - before; n > 20*86 {
			t.Errorf("200 plain writes have run %d scripts", n)
		}
	}, redistest.WithReplicas(0))
}

// A FLUSHALL of one master is no news of what the others hold.
func TestFlushOfOneMasterLeavesMemoryOfTheOthers(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := &drill{T: t, cluster: c, log: testkit.NewLateLog(t, "the clients' log ends")}
		client := d.open()
		d.clients = append(d.clients, client)
		cache, flushed := cacheOf(t, client, class), c.MasterOfSlot(0)
		var gone, stay []string
		for i := range 60 {
			key := fmt.Sprint("key", i)
			if r, err := cache.Set(t.Context(), key, key); err != nil || r.Durability < evercache.Master {
				t.Fatal(r, err)
			}
			if c.MasterOf(class+":"+key) == flushed {
				gone = append(gone, key)
			} else {
				stay = append(stay, key)
			}
		}
		d.until("the writes are not confirmed", func() bool { return client.Health().Recovery.Unconfirmed == 0 })
		flushed.Do("FLUSHALL")
		d.until("memory holds what is gone", func() bool { return client.Stats().L1Entries <= len(stay) })
		for _, n := range c.Nodes() {
			n.Kill()
		}
		for _, key := range stay {
			if e, err := cache.Lookup(t.Context(), key); err != nil || e.Value != key {
				t.Errorf("%s, of another master: %v", key, err)
			}
		}
		for _, key := range gone {
			if e, err := cache.Lookup(t.Context(), key); err == nil {
				t.Errorf("%s is still answered: %q", key, e.Value)
			}
		}
	}, redistest.WithReplicas(0))
}

// Many writes at once: a shard that is away holds up no other, nor are theirs kept.
func TestSetManyReachesTheShardsThatAreThere(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := &drill{T: t, cluster: c, log: testkit.NewLateLog(t, "the clients' log ends")}
		client := d.open()
		d.clients = append(d.clients, client)
		cache, masters := cacheOf(t, client, class), c.Masters()
		for round := range 3 {
			values, away := map[string]string{}, 0
			for i := range 60 {
				key := fmt.Sprint("round", round, "-", i)
				values[key] = key
			}
			for key := range values {
				if s := redistest.Slot(class + ":" + key); s <= 5460 {
					away++
				}
			}
			if round == 0 {
				masters[0].Kill()
				time.Sleep(3 * time.Second)
			}
			waiting := client.Health().OutboxEntries
			if r, err := cache.SetMany(t.Context(), values); err != nil || r.Durability >= evercache.Master {
				t.Fatalf("%+v, %v", r, err)
			}
			if n := client.Health().OutboxEntries - waiting; n != away {
				t.Errorf("%d writes wait, %d are of the shard that is away", n, away)
			}
		}
		if n := client.Stats().OutboxReplayed; n != 0 {
			t.Errorf("%d writes were kept for masters that were there", n)
		}
	}, alone(redistest.WithPartialCoverage())...)
}
