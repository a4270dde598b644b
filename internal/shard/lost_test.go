package shard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/shard"
)

// TestADialThatEndsLateDoesNotStopTheMasterInUse: one that was given up has
// still asked what its node holds.
func TestADialThatEndsLateDoesNotStopTheMasterInUse(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	_, _ = c.Set(t.Context(), "before", "v")
	shard.Of(client).Found(new(remote.Node), remote.Held{Addr: "127.0.0.1:1", BarrierUnknown: true, DatasetUnknown: true, Evictions: shard.Of(client).Evicting.Known().Last})
	wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), "after", "v") })
	waitUntil(t, 20*time.Second, func() bool { return shard.Of(client).Ledger.Unconfirmed() == 0 && shard.Of(client).Outbox.Empty() },
		func() string { return fmt.Sprintf("nothing is confirmed any more: %+v", client.Health().Recovery) })
	for _, key := range []string{"before", "after"} {
		wantStored(t, p, "c:"+key, "v")
	}
}

// A dial that fails after it has found a loss is followed by another, which finds the same.
func TestOneLossIsToldOnce(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	waitUntil(t, 20*time.Second, func() bool { return hasBarrier(client) }, func() string { return "no barrier" })
	kill(t, p)
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	for range 2 {
		shard.Of(client).Found(&remote.Node{Addr: p.Addr()}, remote.Held{Addr: p.Addr(), Evictions: remote.Evictions{Run: "another"}})
	}
	if h := client.Health(); h.Recovery.DatasetResets != 1 {
		t.Errorf("%d resets", h.Recovery.DatasetResets)
	}
}
