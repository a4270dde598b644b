package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
)

// maxGoroutines is the most that a table of Redis requests runs.
const maxGoroutines = 128

// readTimeout and writeTimeout are evercache's defaults.
const (
	readTimeout  = 100 * time.Millisecond
	writeTimeout = 250 * time.Millisecond
)

// reads compares reads that Redis answers.
var reads = suite{
	name:  "read",
	title: "Read from Redis, 1 KiB values",
	note: "evercache never serves from memory here (Policy.L1TTL: Never), but keeps each value there for an outage. " +
		"It sends GET and PTTL in one pipeline. CPU is that of this process; Redis shares the machine.",
	unit:    "goroutines",
	levels:  levels,
	latency: true,
	columns: overRedis,
	servers: oneServer,
	open:    openReads,
}

func openReads(ctx context.Context, w *world) (all []subject, err error) {
	s, err := readEvercache(ctx, w)
	if err != nil {
		return nil, err
	}
	all = append(all, s)
	for _, set := range setups(w) {
		client, err := rueidis.NewClient(set.option)
		if err != nil {
			return all, err
		}
		for _, d := range []deadline{{"100 ms", readTimeout}, {"no deadline", 0}} {
			name := set.name + ", " + d.name
			all = append(all,
				subject{name: "rueidis GET+PTTL, " + name, do: getPTTL(client, w, d), close: client.Close},
				subject{name: "rueidis GET, " + name, do: get(client, w, d), close: client.Close},
			)
		}
	}
	client := goRedis(w)
	return append(all,
		subject{name: "go-redis GET+PTTL", do: goRedisGetPTTL(client, w), close: closeOf(client)},
		subject{name: "go-redis GET", do: goRedisGet(client, w), close: func() {}},
	), nil
}

func readEvercache(ctx context.Context, w *world) (subject, error) {
	client, cache, err := openEvercache(ctx, w, evercache.Policy{TTL: ttl, L1TTL: evercache.Never})
	if err != nil {
		return subject{}, err
	}
	return subject{
		name:  "evercache Lookup",
		do:    lookup(w, cache),
		ready: connected(client),
		close: closeOf(client),
	}, nil
}

func lookup(w *world, cache *evercache.Cache[[]byte]) func(int) bool {
	return func(i int) bool {
		e, err := cache.Lookup(background, w.keys[i])
		return err == nil && e.Source == evercache.SourceRedis && len(e.Value) == valueSize
	}
}

func getPTTL(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		ctx, cancel := d.context()
		defer cancel()
		k := w.full[i]
		replies := client.DoMulti(ctx, client.B().Get().Key(k).Build(), client.B().Pttl().Key(k).Build())
		v, err := replies[0].AsBytes()
		if err != nil {
			return false
		}
		ms, err := replies[1].AsInt64()
		return err == nil && ms > 0 && len(v) == valueSize
	}
}

func get(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		ctx, cancel := d.context()
		defer cancel()
		v, err := client.Do(ctx, client.B().Get().Key(w.full[i]).Build()).AsBytes()
		return err == nil && len(v) == valueSize
	}
}

func goRedisGetPTTL(client redis.Cmdable, w *world) func(int) bool {
	return func(i int) bool {
		pipe := client.Pipeline()
		got, left := pipe.Get(background, w.full[i]), pipe.PTTL(background, w.full[i])
		if _, err := pipe.Exec(background); err != nil {
			return false
		}
		v, err := got.Bytes()
		return err == nil && left.Val() > 0 && len(v) == valueSize
	}
}

func goRedisGet(client redis.Cmdable, w *world) func(int) bool {
	return func(i int) bool {
		v, err := client.Get(background, w.full[i]).Bytes()
		return err == nil && len(v) == valueSize
	}
}
