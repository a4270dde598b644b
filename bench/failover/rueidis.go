package main

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/chaos"
)

// rueidisClient is rueidis' Sentinel or Cluster client.
type rueidisClient struct{ client rueidis.Client }

func rueidisDefaults(*rueidis.ClientOption) {}

// rueidisTuned includes the refresh, which rueidis recommends.
func rueidisTuned(o *rueidis.ClientOption) {
	d := net.Dialer{Timeout: 500 * time.Millisecond, KeepAlive: 500 * time.Millisecond}
	o.Dialer, o.Sentinel.Dialer = d, d
	o.ConnWriteTimeout = time.Second
	o.Sentinel.TopologyRefreshInterval = time.Second
}

func openRueidis(tune func(*rueidis.ClientOption)) func(context.Context, place, string) (client, error) {
	return func(_ context.Context, p place, _ string) (client, error) {
		o := rueidis.ClientOption{InitAddress: p.sentinels, Sentinel: rueidis.SentinelOption{MasterSet: p.masterName}}
		tune(&o)
		if p.detours != nil {
			o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
				return d.DialContext(ctx, "tcp", p.dialled(addr))
			}
		}
		c, err := rueidis.NewClient(o)
		if err != nil {
			return nil, err
		}
		return rueidisClient{c}, nil
	}
}

func (c rueidisClient) Set(ctx context.Context, key, value string) (chaos.Ack, error) {
	return landed(c.client.Do(ctx, c.client.B().Set().Key(key).Value(value).Px(ttl).Build()).Error())
}

func (c rueidisClient) Get(ctx context.Context, key string) (string, error) {
	value, err := c.client.Do(ctx, c.client.B().Get().Key(key).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		err = errNotThere
	}
	return value, err
}

func (c rueidisClient) Delete(ctx context.Context, key string) (chaos.Ack, error) {
	return landed(c.client.Do(ctx, c.client.B().Del().Key(key).Build()).Error())
}

func (rueidisClient) settle(context.Context) error { return nil }
func (rueidisClient) flush(context.Context) error  { return nil }
func (c rueidisClient) close()                     { c.client.Close() }
