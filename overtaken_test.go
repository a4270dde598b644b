package evercache

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/shard"
)

// A write that waits for a master counts from when it got its turn. A prefix that is
// deleted meanwhile comes after it: it removes that write, and whatever another process
// wrote between the two.
func TestAPrefixDeletedWhileAWriteWaitsComesAfterIt(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
	a, b := p.a, p.b
	wantMaster(t, func() (Receipt, error) { return a.Set(t.Context(), "warm", "up") })
	wantMaster(t, func() (Receipt, error) { return b.Set(t.Context(), "warm", "up") })
	p.cut(t)

	kinds := map[string]shard.Kind{"p-set": shard.KindSet, "p-delete": shard.KindDelete}
	waiting := map[string]*write{}
	for key, kind := range kinds {
		w, err := setOf(a, key, "overtaken")
		if kind == shard.KindDelete {
			w = new(write)
			err = a.begin(w, kind, key, nil)
		}
		wantErr(t, err, nil)
		a.inTurn(w)
		waiting[key] = w
	}
	const apart = 300 * time.Millisecond // more than the clocks leave open
	time.Sleep(apart)
	for key := range kinds {
		wantMaster(t, func() (Receipt, error) { return b.Set(t.Context(), key, "of another") })
	}
	time.Sleep(apart)
	_, r, err := a.DeletePrefix(t.Context(), "p-")
	wantValue(t, r.Durability, err, Memory)
	for key, w := range waiting {
		_, err := a.keep(w)
		wantErr(t, err, nil)
		if _, err := a.Lookup(t.Context(), key); err == nil {
			t.Errorf("%s is in memory, and its prefix is deleted", key)
		}
	}
	r, err = a.Set(t.Context(), "p-after", "last")
	wantValue(t, r.Durability, err, Memory)

	p.heal(t)
	for key := range kinds {
		wantInRedis(t, p.server, "c:"+key, nil)
	}
	wantInRedis(t, p.server, "c:p-after", "last")
}
