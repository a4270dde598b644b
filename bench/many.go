package main

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
)

// manyKeys is how many keys an operation of these tables has.
const manyKeys = 100

const manyNote = "An operation is 100 keys that follow each other in the order of keys."

var (
	manyReads = suite{
		name:    "get-many",
		title:   "Read 100 keys at once, 1 KiB values",
		note:    "evercache never serves from memory here (Policy.L1TTL: Never). " + manyNote,
		unit:    "goroutines",
		levels:  []int{1, 4},
		latency: true,
		columns: overRedis,
		servers: oneServer,
		open:    openManyReads,
	}
	manyWrites = suite{
		name:    "set-many",
		title:   "Write 100 keys at once, 1 KiB values",
		note:    manyNote,
		unit:    "goroutines",
		levels:  []int{1, 4},
		latency: true,
		columns: overRedis,
		servers: oneServer,
		open:    openManyWrites,
	}
)

// group is the keys of an operation, of all that begin at the i-th.
func group(keys []string, i int) []string {
	i = i / manyKeys * manyKeys
	return keys[i:min(i+manyKeys, len(keys))]
}

func openManyReads(ctx context.Context, w *world) (all []subject, err error) {
	client, cache, err := openEvercache(ctx, w, evercache.Policy{TTL: ttl, L1TTL: evercache.Never})
	if err != nil {
		return nil, err
	}
	all = append(all, subject{name: "evercache GetMany", ready: connected(client), close: closeOf(client), do: func(i int) bool {
		keys := group(w.keys, i)
		got, err := cache.GetMany(background, keys, nil)
		return err == nil && len(got) == len(keys)
	}})
	raw, err := rueidis.NewClient(asEvercache(w.redis.Addr()))
	if err != nil {
		return all, err
	}
	limited := deadline{"100 ms", readTimeout}
	return append(all,
		subject{name: "rueidis GET+PTTL pipelined, as evercache, 100 ms", do: pipelinedReads(raw, w, limited), close: raw.Close},
		subject{name: "rueidis MGET, as evercache, 100 ms", do: mget(raw, w, limited), close: func() {}},
	), nil
}

func pipelinedReads(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		ctx, cancel := d.context()
		defer cancel()
		keys := group(w.full, i)
		commands := make(rueidis.Commands, 0, 2*len(keys))
		for _, k := range keys {
			commands = append(commands, client.B().Get().Key(k).Build(), client.B().Pttl().Key(k).Build())
		}
		got := make(map[string][]byte, len(keys))
		replies := client.DoMulti(ctx, commands...)
		for j, k := range keys {
			v, err := replies[2*j].AsBytes()
			if left, e := replies[2*j+1].AsInt64(); err != nil || e != nil || left <= 0 {
				return false
			}
			got[k] = v
		}
		return len(got) == len(keys)
	}
}

func mget(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		ctx, cancel := d.context()
		defer cancel()
		keys := group(w.full, i)
		values, err := client.Do(ctx, client.B().Mget().Key(keys...).Build()).ToArray()
		if err != nil {
			return false
		}
		got := make(map[string][]byte, len(keys))
		for j, v := range values {
			if got[keys[j]], err = v.AsBytes(); err != nil {
				return false
			}
		}
		return len(got) == len(keys)
	}
}

func openManyWrites(ctx context.Context, w *world) (all []subject, err error) {
	client, cache, err := openEvercache(ctx, w, evercache.Policy{TTL: ttl})
	if err != nil {
		return nil, err
	}
	groups := make(map[int]map[string][]byte)
	for i := 0; i < len(w.keys); i += manyKeys {
		values := make(map[string][]byte, manyKeys)
		for _, k := range group(w.keys, i) {
			values[k] = w.value
		}
		groups[i] = values
	}
	all = append(all, subject{name: "evercache SetMany", ready: connected(client), close: closeOf(client), do: func(i int) bool {
		r, err := cache.SetMany(background, groups[i/manyKeys*manyKeys])
		return err == nil && r.Durability >= evercache.Master
	}})
	raw, err := rueidis.NewClient(asEvercache(w.redis.Addr()))
	if err != nil {
		return all, err
	}
	return append(all, subject{name: "rueidis SET pipelined, as evercache, 250 ms", do: pipelinedWrites(raw, w, deadline{"250 ms", writeTimeout}), close: raw.Close}), nil
}

func pipelinedWrites(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		ctx, cancel := d.context()
		defer cancel()
		keys := group(w.peers, i)
		commands := make(rueidis.Commands, 0, len(keys))
		for _, k := range keys {
			commands = append(commands, client.B().Set().Key(k).Value(rueidis.BinaryString(w.value)).Px(time.Hour).Build())
		}
		for _, r := range client.DoMulti(ctx, commands...) {
			if r.Error() != nil {
				return false
			}
		}
		return true
	}
}
