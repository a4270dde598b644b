package evercache

import (
	"fmt"
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

// A write has got its turn, and before it is kept the outbox overflows: the delete of the
// whole class, made for want of room, is newer than it. Memory has the write all the same: what was
// acknowledged before it is older.
func TestAWriteThatAnOverflowOvertakesIsInMemory(t *testing.T) {
	t.Parallel()
	client := open(t, Options{Addr: "127.0.0.1:1", OutboxEntries: 3, CloseTimeout: time.Millisecond})
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	set := func(key, v string) {
		t.Helper()
		r, err := c.Set(t.Context(), key, v)
		wantValue(t, r.Durability, err, Memory)
	}
	set("set", "older")
	set("delete", "older")
	w, err := setOf(c, "set", "newer")
	wantErr(t, err, nil)
	d := new(write)
	wantErr(t, c.begin(d, shard.KindDelete, "delete", nil), nil)
	c.inTurn(w)
	c.inTurn(d)
	for i := 0; client.Stats().OutboxOverflowed < 3; i++ { // values, keys, and then the class
		set(fmt.Sprint("other", i), "v")
	}
	_, err = c.keep(w)
	wantErr(t, err, nil)
	_, err = c.keep(d)
	wantErr(t, err, nil)
	e, err := c.Lookup(t.Context(), "set")
	wantValue(t, e.Value, err, "newer")
	if e, err := c.Lookup(t.Context(), "delete"); err == nil {
		t.Errorf("%+v was deleted", e)
	}
}
