package evercache

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/local"
)

// What is announced while slots of a Cluster move is kept, but never covered; where nobody
// knows that they move, for a moment only.
func TestWhatMayHaveMovedIsKeptWithoutACover(t *testing.T) {
	hour := int64(time.Hour)
	it := &local.Item{AskAfter: hour, TrustUntil: hour, FreshUntil: hour, KeepUntil: 2 * hour}
	moved := movedAway(it)
	if moved.Cover != nil || moved.AskAfter != 0 || moved.TrustUntil != 0 || moved.Newer != local.HasNewer || moved.FreshUntil != hour || moved.KeepUntil != 2*hour {
		t.Errorf("%+v", moved)
	}
	now := hour / 2
	if brief := forAMoment(movedAway(it), now); brief.FreshUntil != now+unseenMove || brief.KeepUntil != now+unseenMove {
		t.Errorf("%+v", brief)
	}
	if it.Newer != local.NoNewer || it.AskAfter != hour {
		t.Errorf("readers of the item see it change: %+v", it)
	}
}

// What another process may have overwritten is not called fresh, within its TTL either: it is
// there for an outage.
func TestWhatWasReplacedIsNotFresh(t *testing.T) {
	client := openMemory(t)
	c, err := NewCache[int](client, "row", Policy{})
	if err != nil {
		t.Fatal(err)
	}
	now := client.store.Clock.Now()
	it := local.NewItem(1)
	it.Written, it.FreshUntil, it.KeepUntil = now, now+int64(time.Hour), now+int64(time.Hour)
	if e := c.entry(it, SourceMemory, now, nil); !e.Fresh {
		t.Errorf("%+v: want fresh", e)
	}
	for name, src := range map[string]Source{"memory": SourceMemory, "redis": SourceRedis, "replica": SourceReplica} {
		for what, it := range map[string]*local.Item{"moved": movedAway(it), "perhaps overwritten": doubted(it)} {
			if e := c.entry(it, src, now, nil); e.Fresh || e.Coherent {
				t.Errorf("%s, %s: %+v: want neither fresh nor coherent", name, what, e)
			}
		}
	}
}
