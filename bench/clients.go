package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
)

// openEvercache opens a client and the class. The client is ready once ready returns.
func openEvercache(ctx context.Context, w *world, p evercache.Policy) (*evercache.Client, *evercache.Cache[[]byte], error) {
	return open(ctx, evercache.Options{Addr: w.redis.Addr()}, p)
}

func open(ctx context.Context, o evercache.Options, p evercache.Policy) (*evercache.Client, *evercache.Cache[[]byte], error) {
	o.Logger = slog.New(slog.DiscardHandler)
	client, err := evercache.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	cache, err := evercache.NewCache[[]byte](client, class, p)
	if err != nil {
		_ = client.Close()
		return nil, nil, err
	}
	return client, cache, nil
}

// connected waits until the client uses Redis: one slow answer on a busy
// machine may have made it go without for a moment.
func connected(client *evercache.Client) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return client.WaitConnected(ctx)
	}
}

// errNotAHit is what every loader in the table of hits returns.
var errNotAHit = errors.New("bench: a loader was called")

// setup is a way to open rueidis.
type setup struct {
	name   string
	option rueidis.ClientOption
}

// setups are rueidis as it comes, and as evercache opens it (internal/remote,
// where the reasons are): one connection, no retries, no cache of its own.
func setups(w *world) []setup {
	return []setup{
		{"defaults", rueidis.ClientOption{InitAddress: []string{w.redis.Addr()}, ForceSingleClient: true}},
		{"as evercache", asEvercache(w.redis.Addr())},
	}
}

func asEvercache(addr string) rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress: []string{addr}, ForceSingleClient: true,
		PipelineMultiplex: -1, AlwaysPipelining: true, BlockingPipeline: 1 << 20,
		DisableRetry: true, DisableCache: true,
		ConnWriteTimeout: time.Second,
	}
}

// goRedis is go-redis as it comes, but with room for all goroutines.
func goRedis(w *world) *redis.Client {
	redis.SetLogger(silent{})
	return redis.NewClient(&redis.Options{Addr: w.redis.Addr(), PoolSize: maxGoroutines})
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// deadline is how raw clients bound a call, if they do: as evercache does.
type deadline struct {
	name  string
	limit time.Duration // 0: none
}

func (d deadline) context() (context.Context, context.CancelFunc) {
	if d.limit == 0 {
		return background, func() {}
	}
	return context.WithTimeout(background, d.limit)
}

// closeOf makes a close of one that returns an error.
func closeOf(c io.Closer) func() {
	return func() { _ = c.Close() }
}
