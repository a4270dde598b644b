package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/viccon/sturdyc"

	"github.com/evercache/evercache"
)

// A row is fresh for two seconds; an older one, up to an hour, is better than none. What is
// read is loaded again after 80 % of its life, or a little sooner.
const (
	fresh  = 2 * time.Second
	stale  = time.Hour
	ahead  = fresh * 8 / 10
	sooner = fresh * 6 / 10
	retry  = 100 * time.Millisecond
)

// cache is one way to read the database's rows.
type cache struct {
	name string
	open func(d *database) (read func(ctx context.Context, key string) (string, error), end func(), err error)
}

type reader = func(ctx context.Context, key string) (string, error)

var caches = []cache{
	{"no cache", func(d *database) (reader, func(), error) { return d.query, func() {}, nil }},
	{"evercache", openEvercache},
	{"otter, refresh", openOtter},
	{"sturdyc, late refreshes wait", func(d *database) (reader, func(), error) { return openSturdyc(d, fresh) }},
	{"sturdyc, no refresh waits", func(d *database) (reader, func(), error) { return openSturdyc(d, stale) }},
}

func openEvercache(d *database) (reader, func(), error) {
	client, err := evercache.Open(context.Background(), evercache.Options{MemoryOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	rows, err := evercache.NewCache[string](client, "row", evercache.Policy{TTL: fresh, Stale: stale, LoadTimeout: driverLimit, RefreshAhead: 0.8})
	if err != nil {
		return nil, nil, err
	}
	read := func(ctx context.Context, key string) (string, error) { return rows.Get(ctx, key, d.query) }
	return read, func() { _ = client.Close() }, nil
}

// openOtter: a refresh of it runs in the background, and a failed one is repeated by the next read.
func openOtter(d *database) (reader, func(), error) {
	c, err := otter.New(&otter.Options[string, string]{
		MaximumSize: 10_000, ExpiryCalculator: otter.ExpiryWriting[string, string](stale),
		RefreshCalculator: otter.RefreshWriting[string, string](ahead), Logger: &otter.NoopLogger{},
	})
	if err != nil {
		return nil, nil, err
	}
	load := otter.LoaderFunc[string, string](d.query)
	read := func(ctx context.Context, key string) (string, error) { return c.Get(ctx, key, load) }
	return read, func() { c.StopAllGoroutines() }, nil
}

// openSturdyc: readers wait for a refresh where an entry is older than wait.
func openSturdyc(d *database, wait time.Duration) (reader, func(), error) {
	c := sturdyc.New[string](10_000, 64, stale, 10, sturdyc.WithEarlyRefreshes(sooner, ahead, wait, retry))
	read := func(ctx context.Context, key string) (string, error) {
		return c.GetOrFetch(ctx, key, func(ctx context.Context) (string, error) { return d.query(ctx, key) })
	}
	return read, func() {}, nil
}
