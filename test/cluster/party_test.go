package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// party is a Cache as a drill drives it. In a class that is touched the order of writes
// can often not be told: so what is touched is of a class of its own, which is not judged.
type party struct {
	cache, touched *evercache.Cache[string]
	tags           []string         // see crowd
	failed         *testkit.LateLog // why reads had no answer
}

func newParty(t *testing.T, c *evercache.Client, tags []string) party {
	p := party{tags: tags, failed: testkit.NewLateLog(t, "reads without an answer")}
	t.Helper()
	for name, cache := range map[string]**evercache.Cache[string]{class: &p.cache, "touched": &p.touched} {
		var err error
		if *cache, err = evercache.NewCache[string](c, name, evercache.Policy{TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Do makes every eighth write one of many keys, which lie on other shards.
func (p party) Do(ctx context.Context, act chaos.Act, key string, v chaos.Value) chaos.Answer {
	if act != chaos.RemovePrefix {
		key = named(p.tags, key)
	}
	switch {
	case act == chaos.Put && v%8 == 0:
		r, err := p.cache.SetMany(ctx, map[string]string{key: v.String(), fmt.Sprint("beside-", v%64): v.String(), fmt.Sprint("besides-", v%64): v.String()})
		return testkit.Receipt(r, err)
	case act == chaos.Put:
		r, err := p.cache.Set(ctx, key, v.String())
		return testkit.Receipt(r, err)
	case act == chaos.Prolong:
		_, _ = p.touched.Set(ctx, key, v.String())
		_, _ = p.touched.Touch(ctx, key)
		return chaos.Answer{Outcome: chaos.Unchanged}
	case act == chaos.Remove:
		r, err := p.cache.Delete(ctx, key)
		return testkit.Receipt(r, err)
	case act == chaos.RemovePrefix:
		_, r, err := p.cache.DeletePrefix(ctx, key)
		return testkit.Receipt(r, err)
	}
	e, err := p.cache.Lookup(ctx, key)
	if err != nil && !errors.Is(err, evercache.ErrNotFound) {
		_, _ = fmt.Fprintf(p.failed, "%s %s: %v\n", time.Now().Format("15:04:05.000"), key, err)
	}
	return testkit.Looked(e, err)
}

// ask fills in what the masters hold, and what each client then answers.
func (d *drill) ask(keys []chaos.Key) {
	d.Helper()
	d.final.Held, d.final.At = d.held(keys), d.trace.Now()
	d.final.Views = chaos.Views(d.Context(), d.traffic.Parties, testkit.Viewed(keys), d.final.Held)
}

// held are the values that keys have at the masters of their slots.
func (d *drill) held(keys []chaos.Key) map[chaos.Key]chaos.Value {
	d.Helper()
	of := map[chaos.Node][]chaos.Key{}
	owners := d.where()
	for _, k := range keys {
		n := owners[redistest.Slot(d.name(k))]
		if n.Addr == "" {
			d.Fatalf("nobody owns the slot of %v", k)
		}
		of[n] = append(of[n], k)
	}
	all := map[chaos.Key]chaos.Value{}
	for n, keys := range of {
		held, err := chaos.HeldAs(d.Context(), n, d.name, keys)
		if err != nil {
			d.Fatal(err)
		}
		maps.Copy(all, held)
	}
	return all
}

// name is what a key is called in Redis.
func (d *drill) name(k chaos.Key) string { return d.prefix + class + ":" + named(d.tags, k.String()) }

// side is a cache beside the traffic.
func (d *drill) side(client int) *evercache.Cache[string] {
	return cacheOf(d.T, d.clients[client], "y")
}

// masters are the owners, as the judge reaches them.
func (d *drill) masters() (of [allSlots]chaos.Node) {
	for i, n := range d.owners() {
		if n != nil {
			of[i] = chaos.Node{Addr: n.Addr(), Password: d.secure.Password, TLS: d.secure.TLS}
		}
	}
	return of
}

// owners are the masters by slot, as they say themselves.
func (d *drill) owners() [allSlots]*redistest.Server {
	return owners(d.cluster.Nodes(), func(n *redistest.Server) (int64, []redistest.SlotRange) { return own(d.Context(), n) })
}

// owners are the masters by slot, of what each node says of itself; of two the one with
// the higher epoch.
func owners[N any](nodes []N, own func(N) (epoch int64, slots []redistest.SlotRange)) (of [allSlots]N) {
	var epochs [allSlots]int64
	for _, n := range nodes {
		epoch, slots := own(n)
		for _, r := range slots {
			for s := r.First; s <= r.Last; s++ {
				if epoch+1 > epochs[s] {
					of[s], epochs[s] = n, epoch+1
				}
			}
		}
	}
	return of
}

// own are the epoch and the slots that a node has by its own word; a node that does not
// answer has none.
func own(ctx context.Context, n *redistest.Server) (epoch int64, slots []redistest.SlotRange) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if !n.Running() {
		return 0, nil
	}
	reply, err := n.Try(ctx, "CLUSTER", "NODES")
	text, _ := reply.(string)
	if err != nil {
		return 0, nil
	}
	return ownOf(text)
}

// ownOf is what CLUSTER NODES says of the node that has answered.
func ownOf(text string) (epoch int64, slots []redistest.SlotRange) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 8 || !slices.Contains(strings.Split(words[2], ","), "myself") || !strings.Contains(words[2], "master") {
			continue
		}
		epoch, _ = strconv.ParseInt(words[6], 10, 64)
		for _, w := range words[8:] {
			if strings.HasPrefix(w, "[") {
				continue
			}
			first, last, many := strings.Cut(w, "-")
			if !many {
				last = first
			}
			a, errA := strconv.Atoi(first)
			b, errB := strconv.Atoi(last)
			if errA == nil && errB == nil {
				slots = append(slots, redistest.SlotRange{First: a, Last: b})
			}
		}
	}
	return epoch, slots
}
