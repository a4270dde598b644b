package shard_test

import (
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// A server that hung executes what was given up after all, and late: after what
// the callers were told since.
func TestWhatAHungServerExecutesLateUndoesNothing(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	keys := []string{"set", "deleted", "p-deleted", "absent"}
	for _, key := range keys[:3] {
		_, err := c.Set(t.Context(), key, "old")
		wantErr(t, err, nil)
	}
	wantErr(t, p.Pause(), nil)
	var given sync.WaitGroup
	for _, key := range keys {
		given.Go(func() { _, _ = c.Set(t.Context(), key, "given up") })
	}
	given.Wait()
	_, err := c.Set(t.Context(), "set", "last")
	wantErr(t, err, nil)
	for _, key := range []string{"deleted", "absent"} {
		_, err = c.Delete(t.Context(), key)
		wantErr(t, err, nil)
	}
	_, _, err = c.DeletePrefix(t.Context(), "p-")
	wantErr(t, err, nil)
	resume(t, p)
	connect(t, client, 20*time.Second)
	waitUntil(t, 20*time.Second, nothingWaits(client), func() string { return "not sent" })
	for key, want := range map[string]string{"set": "last", "deleted": "", "p-deleted": "", "absent": ""} {
		wantStored(t, p, "c:"+key, want)
	}
}

// With several TTLs in a class nothing tells when a key was written; what this
// process knew to be there is older all the same.
func TestAClassWithSeveralTTLsKeepsItsOverwrites(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	for _, v := range []string{"old", "newer"} {
		_, err := c.Set(t.Context(), "a", v, evercache.TTL(time.Minute))
		wantErr(t, err, nil)
	}
	wantErr(t, p.Pause(), nil)
	waitUntil(t, 20*time.Second, func() bool {
		_, err := c.Set(t.Context(), "other", "v")
		wantErr(t, err, nil)
		return client.State() == health.Degraded
	}, func() string { return "connected" })
	_, err := c.Set(t.Context(), "a", "last", evercache.TTL(time.Minute))
	wantErr(t, err, nil)
	resume(t, p)
	connect(t, client, 20*time.Second)
	waitUntil(t, 20*time.Second, nothingWaits(client), func() string { return "not sent" })
	wantStored(t, p, "c:a", "last")
}
