package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
)

// prefixes is a delete of a prefix in the middle of something: half of the keys are
// written again after it.
type prefixes struct {
	*testing.T
	cluster    *redistest.Cluster
	one, other *evercache.Cache[string]
	clients    []*evercache.Client
}

const prefixKeys = 400

func beginPrefixes(t *testing.T, c *redistest.Cluster) *prefixes {
	p := &prefixes{T: t, cluster: c, clients: []*evercache.Client{open(t, c), open(t, c)}}
	p.one, p.other = cacheOf(t, p.clients[0], "c"), cacheOf(t, p.clients[1], "c")
	for i := range prefixKeys {
		set(t, []*evercache.Cache[string]{p.one, p.other}[i%2], fmt.Sprint("p-", i), "old")
	}
	return p
}

func set(t *testing.T, cache *evercache.Cache[string], key, v string) {
	t.Helper()
	if _, err := cache.Set(t.Context(), key, v); err != nil {
		t.Errorf("%s: %v", key, err)
	}
}

// delete deletes the prefix, and writes half of the keys again.
func (p *prefixes) delete() (n int) {
	p.Helper()
	n, r, err := p.one.DeletePrefix(p.Context(), "p-")
	if err != nil || n < 0 && r.Durability != evercache.Memory || n >= 0 && r.Durability < evercache.Master {
		p.Fatalf("%d, %+v, %v", n, r, err)
	}
	time.Sleep(100 * time.Millisecond) // else nobody could tell the order of what the other process writes
	for i := 0; i < prefixKeys; i += 2 {
		set(p.T, []*evercache.Cache[string]{p.one, p.other}[i/2%2], fmt.Sprint("p-", i), "new")
	}
	return n
}

// judge wants half of the keys, when all is sent.
func (p *prefixes) judge() {
	p.Helper()
	for _, c := range p.clients {
		wait(p.T, c, func() bool { return calm(c) && len(c.Health().Findings) >= 0 })
	}
	for i := range prefixKeys {
		key := fmt.Sprint("p-", i)
		var want any = "new"
		if i%2 == 1 {
			want = nil
		}
		if got := p.cluster.MasterOf("c:"+key).Do("GET", "c:"+key); got != want {
			p.Errorf("%s: Redis holds %v, want %v", key, got, want)
		}
		for _, cache := range []*evercache.Cache[string]{p.one, p.other} {
			e, err := cache.Lookup(p.Context(), key)
			if want == nil && err != evercache.ErrNotFound || want != nil && (err != nil || e.Value != want) {
				p.Errorf("%s: %+v, %v, want %v", key, e, err, want)
			}
		}
	}
}

func aPrefixIsDeletedWhileSlotsMove(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		p := beginPrefixes(t, c)
		moved := make(chan error, 1)
		go func() {
			moved <- c.TryReshard(t.Context(), c.Nodes()[0], c.Nodes()[1], redistest.SlotRange{First: 0, Last: 199})
		}()
		time.Sleep(100 * time.Millisecond)
		t.Log("deleted: ", p.delete())
		if err := <-moved; err != nil {
			t.Fatal(err)
		}
		p.judge()
	}, steady)
}

func TestAPrefixIsDeletedWhileAShardIsAway(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		p := beginPrefixes(t, c)
		victim := c.Nodes()[0]
		victim.Kill()
		wait(t, p.clients[0], func() bool { return p.clients[0].Health().Cause != nil })
		if n := p.delete(); n != -1 {
			t.Errorf("%d keys were deleted without one of the masters, want -1", n)
		}
		c.WaitMaster(0, victim, patience)
		p.judge()
	})
}
