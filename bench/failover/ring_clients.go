package main

import (
	"context"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// clusterLibraries, as the tables list them.
var clusterLibraries = []library{
	{"evercache", "ec", "Options and Policy at their defaults", openEvercache(0)},
	{"evercache, every read asks Redis", "ec-ask", "Policy.L1TTL Never, else defaults", openEvercache(never)},
	{"go-redis", "gr", "ClusterClient, defaults", openGoRedisCluster(goRedisClusterDefaults)},
	{"go-redis, tuned", "gr-tuned", "ClusterStateReloadInterval 1 s, DialTimeout 500 ms, ReadTimeout and WriteTimeout 300 ms, PoolTimeout 500 ms, ContextTimeoutEnabled", openGoRedisCluster(goRedisClusterTuned)},
	{"rueidis", "ru", "Cluster client, defaults", openRueidisCluster(rueidisDefaults)},
	{"rueidis, tuned", "ru-tuned", "Dialer with Timeout and KeepAlive 500 ms, ConnWriteTimeout 1 s, ClusterOption.ShardsRefreshInterval 1 s", openRueidisCluster(rueidisClusterTuned)},
}

func goRedisClusterDefaults(*redis.ClusterOptions) {}

// goRedisClusterTuned does not set MaxRetries: a ClusterClient has -1 as it comes.
func goRedisClusterTuned(o *redis.ClusterOptions) {
	o.ClusterStateReloadInterval = time.Second
	o.DialTimeout = 500 * time.Millisecond
	o.ReadTimeout = 300 * time.Millisecond
	o.WriteTimeout = 300 * time.Millisecond
	o.PoolTimeout = 500 * time.Millisecond
	o.ContextTimeoutEnabled = true
}

func openGoRedisCluster(tune func(*redis.ClusterOptions)) func(context.Context, place, string) (client, error) {
	redis.SetLogger(silent{})
	return func(ctx context.Context, p place, _ string) (client, error) {
		o := redis.ClusterOptions{Addrs: p.cluster}
		tune(&o)
		c := redis.NewClusterClient(&o)
		if err := c.Ping(ctx).Err(); err != nil {
			_ = c.Close()
			return nil, err
		}
		return goRedisClient{c}, nil
	}
}

func rueidisClusterTuned(o *rueidis.ClientOption) {
	o.Dialer = net.Dialer{Timeout: 500 * time.Millisecond, KeepAlive: 500 * time.Millisecond}
	o.ConnWriteTimeout = time.Second
	o.ClusterOption.ShardsRefreshInterval = time.Second
}

func openRueidisCluster(tune func(*rueidis.ClientOption)) func(context.Context, place, string) (client, error) {
	return func(_ context.Context, p place, _ string) (client, error) {
		o := rueidis.ClientOption{InitAddress: p.cluster}
		tune(&o)
		c, err := rueidis.NewClient(o)
		if err != nil {
			return nil, err
		}
		return rueidisClient{c}, nil
	}
}
