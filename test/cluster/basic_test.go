// Package cluster_test shows the promises on real Redis Clusters.
package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
)

const patience = 30 * time.Second

func open(t *testing.T, c *redistest.Cluster) *evercache.Client {
	t.Helper()
	client, err := evercache.Open(t.Context(), evercache.Options{
		ClusterNodes: c.Addrs(), Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := client.Shutdown(ctx); err != nil {
			t.Log("shutdown: ", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.WaitConnected(ctx); err != nil {
		t.Fatalf("%v; %+v", err, client.Health())
	}
	return client
}

func cacheOf(t *testing.T, c *evercache.Client, name string) *evercache.Cache[string] {
	t.Helper()
	cache, err := evercache.NewCache[string](c, name, evercache.Policy{TTL: time.Hour, WriteTimeout: time.Second, ReadTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func TestKeysOfAllShardsAreReadAndWritten(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.WithReplicas(0))
	one, other := cacheOf(t, open(t, c), "c"), cacheOf(t, open(t, c), "c")
	ctx := t.Context()
	for i := range 100 {
		key := fmt.Sprint("key", i)
		if r, err := one.Set(ctx, key, "v"); err != nil || r.Durability < evercache.Master {
			t.Fatalf("%s: %+v, %v", key, r, err)
		}
		if e, err := other.Lookup(ctx, key); err != nil || e.Value != "v" {
			t.Fatalf("%s: %+v, %v", key, e, err)
		}
	}
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	got, err := other.GetMany(ctx, keys, nil)
	if err != nil || len(got) != 100 {
		t.Fatalf("%d keys, %v", len(got), err)
	}
	if n, r, err := one.DeletePrefix(ctx, "key1"); err != nil || n != 11 || r.Durability < evercache.Master {
		t.Errorf("%d, %+v, %v", n, r, err)
	}
	if _, err := other.Lookup(ctx, "key15"); err != evercache.ErrNotFound {
		t.Error(err)
	}
	if v, err := other.Get(ctx, "key16", func(context.Context, string) (string, error) { return "loaded", nil }); err != nil || v != "loaded" {
		t.Errorf("%s, %v", v, err)
	}
	if _, err := one.Touch(ctx, "key2"); err != nil {
		t.Error(err)
	}
	if ok, _, err := one.Add(ctx, "key2", "w"); err != nil || ok {
		t.Error(ok, err)
	}
	if r, err := one.Delete(ctx, "key2"); err != nil || r.Durability < evercache.Master {
		t.Error(r, err)
	}
}

func wait(t *testing.T, c *evercache.Client, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %+v", c.Health())
		}
	}
}

func TestManyKeysOfAllShardsAreWrittenInPipelines(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.WithReplicas(0))
	client := open(t, c)
	cache := cacheOf(t, client, "c")
	values := map[string]string{}
	var keys []string
	for i := range 300 {
		keys = append(keys, fmt.Sprint("many", i))
		values[keys[i]] = fmt.Sprint("v", i)
	}
	if _, err := cache.Set(t.Context(), "lives", "noted"); err != nil {
		t.Fatal(err)
	}
	before := client.Stats().RedisRequests["set"]["ok"]
	r, err := cache.SetMany(t.Context(), values)
	if err != nil || r.Durability < evercache.Master {
		t.Fatal(r, err)
	}
	if n := client.Stats().RedisRequests["set"]["ok"] - before; n > 30 { // a prefix under way, a lock not free
		t.Errorf("%d were sent alone", n)
	}
	got, err := cacheOf(t, open(t, c), "c").GetMany(t.Context(), keys, nil)
	if err != nil || len(got) != len(values) {
		t.Errorf("%d of %d, %v", len(got), len(values), err)
	}
}
