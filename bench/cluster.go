package main

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
)

// The tables of a Redis Cluster: its six servers share the machine with the
// clients, so what a client itself uses of the processor tells more than the wall.
var (
	clusterReads = suite{
		name:  "cluster-read",
		title: "Read from a Redis Cluster, 1 KiB values",
		note: "Three masters with a replica each, keys over all slots. evercache never serves from memory here (Policy.L1TTL: Never), and sends GET and PTTL in one pipeline. " +
			clusterNote,
		unit:    "goroutines",
		levels:  levels,
		latency: true,
		columns: overRedis,
		servers: mastersOfCluster,
		open:    openClusterReads,
	}
	clusterWrites = suite{
		name:  "cluster-write",
		title: "Write to a Redis Cluster, 1 KiB values",
		note: "Three masters with a replica each, keys over all slots, SET with PX everywhere. evercache keeps each write until a barrier has confirmed it, and the value in memory. " +
			clusterNote,
		unit:    "goroutines",
		levels:  levels,
		latency: true,
		columns: overRedis,
		servers: mastersOfCluster,
		open:    openClusterWrites,
	}
)

const clusterNote = "The six servers share the machine."

// clusterWork is one operation of each library.
type clusterWork struct {
	policy  evercache.Policy
	own     string
	do      func(*world, *evercache.Cache[[]byte]) func(int) bool
	other   string
	limit   deadline
	raw     raw
	goRedis func(redis.Cmdable, *world) func(int) bool
}

func openClusterReads(ctx context.Context, w *world) ([]subject, error) {
	return openCluster(ctx, w, clusterWork{
		policy: evercache.Policy{TTL: ttl, L1TTL: evercache.Never}, own: "evercache Lookup", do: lookup,
		other: "GET+PTTL", limit: deadline{"100 ms", readTimeout}, raw: getPTTL, goRedis: goRedisGetPTTL,
	})
}

func openClusterWrites(ctx context.Context, w *world) ([]subject, error) {
	return openCluster(ctx, w, clusterWork{
		policy: evercache.Policy{TTL: ttl}, own: "evercache Set", do: set,
		other: "SET", limit: deadline{"250 ms", writeTimeout}, raw: setRaw, goRedis: goRedisSet,
	})
}

// openCluster opens evercache and its peers on the Cluster.
func openCluster(ctx context.Context, w *world, work clusterWork) (all []subject, err error) {
	c, err := w.cluster(ctx)
	if err != nil {
		return nil, err
	}
	nodes := addrs(c.Nodes())
	client, cache, err := open(ctx, evercache.Options{ClusterNodes: nodes}, work.policy)
	if err != nil {
		return nil, err
	}
	all = append(all, subject{name: work.own, do: work.do(w, cache), ready: clear(client), close: closeOf(client)})
	same := asEvercache("")
	same.InitAddress, same.ForceSingleClient = nodes, false
	for _, s := range []setup{{"as evercache", same}, {"defaults", rueidis.ClientOption{InitAddress: nodes}}} {
		client, err := rueidis.NewClient(s.option)
		if err != nil {
			return all, err
		}
		end := sync.OnceFunc(client.Close)
		for _, d := range []deadline{work.limit, {"no deadline", 0}} {
			all = append(all, subject{name: "rueidis " + work.other + ", " + s.name + ", " + d.name, do: work.raw(client, w, d), close: end})
		}
	}
	redis.SetLogger(silent{})
	peer := redis.NewClusterClient(&redis.ClusterOptions{Addrs: nodes, PoolSize: maxGoroutines})
	return append(all, subject{name: "go-redis " + work.other, do: work.goRedis(peer, w), close: closeOf(peer)}), nil
}
