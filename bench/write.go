package main

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
)

// writes compares writes to Redis.
var writes = suite{
	name:    "write",
	title:   "Write to Redis, 1 KiB values",
	note:    "SET with PX everywhere. evercache also keeps the value in memory, and lets one write of a key be under way at a time.",
	unit:    "goroutines",
	levels:  levels,
	latency: true,
	columns: overRedis,
	servers: oneServer,
	open:    openWrites,
}

func openWrites(ctx context.Context, w *world) (all []subject, err error) {
	s, err := writeEvercache(ctx, w)
	if err != nil {
		return nil, err
	}
	all = append(all, s)
	for _, set := range setups(w) {
		client, err := rueidis.NewClient(set.option)
		if err != nil {
			return all, err
		}
		for _, d := range []deadline{{"250 ms", writeTimeout}, {"no deadline", 0}} {
			all = append(all, subject{name: "rueidis SET, " + set.name + ", " + d.name, do: setRaw(client, w, d), close: client.Close})
		}
	}
	client := goRedis(w)
	return append(all, subject{name: "go-redis SET", do: goRedisSet(client, w), close: closeOf(client)}), nil
}

func writeEvercache(ctx context.Context, w *world) (subject, error) {
	client, cache, err := openEvercache(ctx, w, evercache.Policy{TTL: ttl})
	if err != nil {
		return subject{}, err
	}
	return subject{
		name:  "evercache Set",
		do:    set(w, cache),
		ready: connected(client),
		close: closeOf(client),
	}, nil
}

func set(w *world, cache *evercache.Cache[[]byte]) func(int) bool {
	return func(i int) bool {
		r, err := cache.Set(background, w.keys[i], w.value)
		return err == nil && r.Durability >= evercache.Master
	}
}

func setRaw(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		ctx, cancel := d.context()
		defer cancel()
		return client.Do(ctx, setCommand(client, w, w.peers[i])).Error() == nil
	}
}

func setCommand(client rueidis.Client, w *world, key string) rueidis.Completed {
	return client.B().Set().Key(key).Value(rueidis.BinaryString(w.value)).Px(ttl).Build()
}

func goRedisSet(client redis.Cmdable, w *world) func(int) bool {
	return func(i int) bool { return client.Set(background, w.peers[i], w.value, ttl).Err() == nil }
}
