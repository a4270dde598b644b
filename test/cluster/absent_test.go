package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

func plainCache(t *testing.T, c *evercache.Client) *evercache.Cache[string] {
	t.Helper()
	cache, err := evercache.NewCache[string](c, class, evercache.Policy{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// alone are Clusters without replicas, that keep what they have on disk.
func alone(more ...redistest.Option) []redistest.Option {
	return append(more, redistest.WithReplicas(0), redistest.WithPersistence())
}

// connections are the clients' connections to a node, by number: those that callers use,
// and others.
func connections(t *testing.T, n *redistest.Server) (callers, others []string) {
	t.Helper()
	text, _ := n.Do("CLIENT", "LIST").(string)
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case !slices.Contains(words, "name=evercache"):
		case slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "flags=t") }): // it announces changes
			callers = append(callers, words[0])
		default:
			others = append(others, words[0])
		}
	}
	slices.Sort(callers)
	return callers, others
}

// While one shard has no master every other one refuses everything, too. They are well:
// nothing of them is dialled anew, and what waits is sent as soon as that is over.
func shardWithoutAReplicaComesBackFromDisk(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		masters := c.Masters()
		had, beside := map[*redistest.Server][]string{}, map[*redistest.Server][]string{}
		for _, n := range masters[1:] {
			if had[n], beside[n] = connections(t, n); len(had[n]) != 2 {
				t.Fatalf("callers of two clients have the connections %v", had[n])
			}
		}
		d.during(func() {
			masters[0].Kill()
			time.Sleep(8 * time.Second)
			masters[0].Start()
			c.WaitHealthy(patience)
		})
		back := time.Now()
		d.until("what waits is not sent", func() bool { return d.all(process.settled) })
		t.Logf("sent %v after the Cluster was whole", time.Since(back).Round(time.Millisecond))
		for _, n := range masters[1:] {
			now, others := connections(t, n)
			others = slices.DeleteFunc(others, func(id string) bool { return slices.Contains(beside[n], id) })
			t.Logf("connections of callers before %v, after %v; others that are new %v; the machine has stolen %v", had[n], now, others, d.traffic.Stolen())
			if d.traffic.Stolen() > 100*time.Millisecond { // answers come too late then
				continue
			}
			if !slices.Equal(now, had[n]) || len(others) > 2 { // a question that was answered late costs one
				t.Error("a master that was well was dialled anew")
			}
		}
		d.end()
	}, alone()...)
}

// A Cluster that serves what it has: keys of the other shards go on.
func otherShardsGoOnWithPartialCoverage(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2)
		masters := c.Masters()
		_, slots := own(t.Context(), masters[0])
		d.during(func() {
			masters[0].Kill()
			time.Sleep(3 * time.Second)
			landed := d.traffic.Landed()
			d.until("nothing lands at the other shards", func() bool { return d.traffic.Landed() > landed+20 })
			masters[0].Start()
			c.WaitHealthy(patience)
		})
		d.end()
		d.gaps(slots, time.Time{})
	}, alone(redistest.WithPartialCoverage())...)
}

func TestClientStartsWhileAShardIsAway(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		masters := c.Masters()
		masters[0].Kill()
		time.Sleep(2 * time.Second) // until the others know
		d := &drill{T: t, cluster: c, log: testkit.NewLateLog(t, "the clients' log ends")}
		client := d.openWith(d.options())
		d.clients = append(d.clients, client)
		cache, ctx := plainCache(t, client), t.Context()
		keys := make([]string, 60)
		landed := 0
		for i := range keys {
			keys[i] = fmt.Sprint("key", i)
			r, err := cache.Set(ctx, keys[i], keys[i])
			if err != nil {
				t.Fatal(err)
			}
			if e, err := cache.Lookup(ctx, keys[i]); err != nil || e.Value != keys[i] {
				t.Errorf("%s: %+v, %v", keys[i], e, err)
			}
			if r.Durability >= evercache.Master {
				landed++
			}
		}
		if client.State() == health.Connected {
			t.Error("connected without a master of every shard")
		}
		t.Logf("%d of %d writes have landed without one of the masters", landed, len(keys))
		masters[0].Start()
		d.until("the client does not settle", func() bool { return settled(client) })
		d.holds(keys)
	}, alone()...)
}

// holds checks that every key is held by the master of its slot, with its name for a value.
func (d *drill) holds(keys []string) {
	d.Helper()
	owners, missing := d.owners(), 0
	for _, k := range keys {
		full := class + ":" + k
		n := owners[redistest.Slot(full)]
		if n == nil {
			d.Fatalf("nobody owns the slot of %s", k)
		}
		if v := n.Do("GET", full); v != k {
			missing++
		}
	}
	if missing > 0 {
		d.Errorf("%d of %d keys are not at their masters", missing, len(keys))
	}
}

// set writes keys under their names, and tells how many no master has.
func (d *drill) set(cache *evercache.Cache[string], keys []string) (kept int) {
	d.Helper()
	for _, k := range keys {
		r, err := cache.Set(d.Context(), k, k)
		if err != nil {
			d.Fatal(err)
		}
		if r.Durability < evercache.Master {
			kept++
		}
	}
	return kept
}

// TestShutdownWhileAShardIsAway ends two clients in one outage, one of which has a journal.
func TestShutdownWhileAShardIsAway(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := &drill{T: t, cluster: c, log: testkit.NewLateLog(t, "the clients' log ends")}
		dir := t.TempDir()
		plain, journaled := d.leaver("plain", ""), d.leaver("journaled", dir)
		victim := c.MasterOfSlot(0)
		victim.Kill()
		if err := plain.leave(); err == nil || err.Writes == 0 {
			t.Errorf("%d writes waited, Shutdown says %v", plain.kept, err)
		}
		if err := journaled.leave(); err != nil {
			t.Errorf("lost though there is a journal: %v", err)
		}
		victim.Start()
		c.WaitHealthy(patience)
		again := d.openWith(d.journal(dir))
		d.clients = append(d.clients, again)
		d.until("the journal is not sent", func() bool { return settled(again) })
		d.holds(journaled.keys)
	}, alone()...)
}

// journal are options with a journal in that folder, if there is one.
func (d *drill) journal(dir string) evercache.Options {
	o := d.options()
	o.JournalDir = dir
	return o
}

// leaver is a client that ends while writes of its own wait.
type leaver struct {
	*drill
	client *evercache.Client
	cache  *evercache.Cache[string]
	keys   []string
	kept   int // writes that no master had
}

// leaver opens one, and writes half of its keys.
func (d *drill) leaver(name, dir string) *leaver {
	d.Helper()
	l := &leaver{drill: d, client: d.openWith(d.journal(dir))}
	ready, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	if err := l.client.WaitConnected(ready); err != nil {
		d.Fatal(err)
	}
	l.cache = plainCache(d.T, l.client)
	for i := range 60 {
		l.keys = append(l.keys, fmt.Sprint(name, i))
	}
	d.set(l.cache, l.keys[:30])
	return l
}

// leave writes the other half, and ends the client within a second. What it returns is what
// the client says that it has lost.
func (l *leaver) leave() *evercache.UnsavedError {
	l.Helper()
	if l.kept = l.set(l.cache, l.keys[30:]); l.kept == 0 {
		l.Error("no write has waited")
	}
	ctx, cancel := context.WithTimeout(l.Context(), time.Second)
	defer cancel()
	unsaved, _ := errors.AsType[*evercache.UnsavedError](l.client.Shutdown(ctx))
	return unsaved
}
