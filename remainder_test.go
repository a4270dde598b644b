package evercache

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
)

// Writes that have waited for a master have hardly any time left when it is there.
// That it does not answer them in that time is no reason to give it up.
func TestAMasterIsNotGivenUpForWritesThatHaveWaitedForIt(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	link := startProxy(t, p.Addr())
	client := openAt(t, link.Addr())
	connect(t, client, 20*time.Second)
	const limit = 20 * time.Second
	c := cacheOf[string](t, client, "c", Policy{WriteTimeout: limit})
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "a", "v") })
	link.SetLatency(faultnet.ToTarget, 40*time.Millisecond)
	node := client.one().Node.Load()
	for range 12 { // more in a row than heartbeats come between
		var w write
		wantErr(t, c.setOf(t.Context(), &w, "a", "v", nil), nil)
		patience := deadline.New(t.Context(), time.Now().Add(3*time.Millisecond-limit), limit)
		_ = patience.Bounded() // it has waited
		held, err := client.one().Locks.Lock(&patience, w.Rec.Key)
		wantErr(t, err, nil)
		c.inTurn(&w)
		r, err := c.delivered(&patience, &w, c.keys.Write(&patience, &w.Outgoing))
		client.one().Locks.Unlock(held)
		patience.Release()
		wantErr(t, err, nil)
		if r.Durability >= Master {
			t.Fatalf("it was answered in 3 ms: %v", r.Durability)
		}
		if w.Rec.Kind != outbox.Set {
			t.Fatal("not a Set")
		}
	}
	if client.one().Node.Load() != node {
		t.Error("the master was given up")
	}
}
