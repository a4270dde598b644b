package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/evercache/evercache/internal/chaos"
)

// goRedisClient is go-redis' FailoverClient or ClusterClient.
type goRedisClient struct{ client redis.UniversalClient }

func goRedisDefaults(*redis.FailoverOptions) {}

func goRedisTuned(o *redis.FailoverOptions) {
	o.DialTimeout = 500 * time.Millisecond
	o.ReadTimeout = 300 * time.Millisecond
	o.WriteTimeout = 300 * time.Millisecond
	o.PoolTimeout = 500 * time.Millisecond
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
}

func openGoRedis(tune func(*redis.FailoverOptions)) func(context.Context, place, string) (client, error) {
	redis.SetLogger(silent{})
	return func(ctx context.Context, p place, _ string) (client, error) {
		o := redis.FailoverOptions{MasterName: p.masterName, SentinelAddrs: p.sentinels}
		tune(&o)
		if p.detours != nil {
			d := net.Dialer{Timeout: cmp.Or(o.DialTimeout, 5*time.Second)} // as go-redis' own
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return d.DialContext(ctx, network, p.dialled(addr))
			}
		}
		c := redis.NewFailoverClient(&o)
		if err := c.Ping(ctx).Err(); err != nil {
			_ = c.Close()
			return nil, err
		}
		return goRedisClient{c}, nil
	}
}

func (c goRedisClient) Set(ctx context.Context, key, value string) (chaos.Ack, error) {
	return landed(c.client.Set(ctx, key, value, ttl).Err())
}

func (c goRedisClient) Get(ctx context.Context, key string) (string, error) {
	value, err := c.client.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		err = errNotThere
	}
	return value, err
}

func (c goRedisClient) Delete(ctx context.Context, key string) (chaos.Ack, error) {
	return landed(c.client.Del(ctx, key).Err())
}

func (goRedisClient) settle(context.Context) error { return nil }
func (goRedisClient) flush(context.Context) error  { return nil }
func (c goRedisClient) close()                     { _ = c.client.Close() }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// ttl is evercache's default; every library writes with it.
const ttl = time.Hour

// landed is what the answer of a client that keeps nothing means.
func landed(err error) (chaos.Ack, error) {
	if err != nil {
		return chaos.Failed, err
	}
	return chaos.Landed, nil
}
