package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// The tables of a Sentinel set: there every write that a master has taken is
// also kept until every replica is known to hold it.
var (
	setWrites = suite{
		name:    "set",
		title:   "Write to a Sentinel set, 1 KiB values",
		note:    "SET with PX everywhere, to a master with two replicas. evercache keeps each write until a barrier has confirmed it, and the value in memory.",
		unit:    "goroutines",
		levels:  writeLevels,
		latency: true,
		columns: writeColumns,
		open:    openSetWrites,
	}
	setDeletes = suite{
		name:  "delete",
		title: "Delete in a Sentinel set",
		note: "Every key is there when a run begins, and none after its first 10 000 operations. evercache runs a script that also leaves a tombstone; " +
			"the others send DEL.",
		unit:    "goroutines",
		levels:  writeLevels,
		latency: true,
		columns: writeColumns,
		open:    openSetDeletes,
	}
	setFills = suite{
		name:  "fill",
		title: "Load what a Sentinel set does not hold, 1 KiB values",
		note: "Every key is gone (time to live 20 ms) when it is asked for again; an operation that finds it fails. evercache sends GET and PTTL, calls the loader, " +
			"answers, and then stores by a script that refuses what was deleted meanwhile, and asks once more for what it stored. The others send GET and PTTL, then SET.",
		unit:    "goroutines",
		levels:  writeLevels,
		latency: true,
		columns: writeColumns,
		open:    openSetFills,
	}

	writeLevels  = []int{1, 4, 16, maxGoroutines}
	writeColumns = []column{opsPerSec, speedOf, p50, p99, allocs, bytesPerOp, cpuPerOp}
)

const fillTTL = 20 * time.Millisecond

// raw is a way to do the same with rueidis.
type raw func(client rueidis.Client, w *world, d deadline) func(int) bool

func openSetWrites(ctx context.Context, w *world) ([]subject, error) {
	return openSet(ctx, w, evercache.Policy{TTL: ttl}, "evercache Set", func(cache *evercache.Cache[[]byte]) func(int) bool {
		return set(w, cache)
	}, "rueidis SET", setRaw)
}

func openSetDeletes(ctx context.Context, w *world) ([]subject, error) {
	all, err := openSet(ctx, w, evercache.Policy{TTL: ttl}, "evercache Delete", func(cache *evercache.Cache[[]byte]) func(int) bool {
		return func(i int) bool {
			r, err := cache.Delete(background, w.keys[i])
			return err == nil && r.Durability >= evercache.Master
		}
	}, "rueidis DEL", deleteRaw)
	for i, s := range all {
		keys := w.peers
		if i == 0 {
			keys = w.full
		}
		all[i].ready = func() error {
			if err := w.fill(ctx, w.set.Nodes()[0].Addr(), keys); err != nil || s.ready == nil {
				return err
			}
			return s.ready()
		}
	}
	return all, err
}

func openSetFills(ctx context.Context, w *world) ([]subject, error) {
	load := func(context.Context, string) ([]byte, error) { return w.value, nil }
	return openSet(ctx, w, evercache.Policy{TTL: fillTTL}, "evercache Get with a loader", func(cache *evercache.Cache[[]byte]) func(int) bool {
		return func(i int) bool {
			e, err := cache.GetEntry(background, "fill-"+w.keys[i], load)
			return err == nil && e.Source == evercache.SourceLoader
		}
	}, "rueidis GET+PTTL, SET", fillRaw)
}

// openSet opens evercache and its peers on the set.
func openSet(ctx context.Context, w *world, p evercache.Policy, own string, do func(*evercache.Cache[[]byte]) func(int) bool, other string, raw raw) (all []subject, err error) {
	set, err := w.sentinelSet(ctx)
	if err != nil {
		return nil, err
	}
	client, cache, err := open(ctx, evercache.Options{Sentinels: addrs(set.Sentinels()), MasterName: set.MasterName()}, p)
	if err != nil {
		return nil, err
	}
	all = append(all, subject{name: own, do: do(cache), ready: clear(client), close: closeOf(client)})
	for _, s := range []setup{
		{"as evercache", asEvercache(set.Nodes()[0].Addr())},
		{"Sentinel client, defaults", rueidis.ClientOption{InitAddress: addrs(set.Sentinels()), Sentinel: rueidis.SentinelOption{MasterSet: set.MasterName()}}},
	} {
		client, err := rueidis.NewClient(s.option)
		if err != nil {
			return all, err
		}
		closed := false
		for _, d := range []deadline{{"250 ms", writeTimeout}, {"no deadline", 0}} {
			all = append(all, subject{name: fmt.Sprintf("%s, %s, %s", other, s.name, d.name), do: raw(client, w, d), close: func() {
				if !closed {
					closed = true
					client.Close()
				}
			}})
		}
	}
	return all, nil
}

func addrs(processes []*redisproc.Process) (all []string) {
	for _, p := range processes {
		all = append(all, p.Addr())
	}
	return all
}

// clear waits until the client uses a confirmed master and has no alarm.
func clear(client *evercache.Client) func() error {
	return func() error {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			h := client.Health()
			if h.State == health.Connected && h.OutboxEntries == 0 && confirmed(h) {
				return nil
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("evercache does not settle: %v, %d writes wait, cause %w", h.State, h.OutboxEntries, h.Cause)
			}
		}
	}
}

// confirmed: every master is confirmed, and nothing is suspected of it.
func confirmed(h health.Report) bool {
	if h.Cluster != nil {
		return h.Cluster.Confirmed
	}
	return h.Sentinel.Stage == "clear" && !h.Sentinel.Provisional
}

func deleteRaw(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		ctx, cancel := d.context()
		defer cancel()
		return client.Do(ctx, client.B().Del().Key(w.peers[i]).Build()).Error() == nil
	}
}

func fillRaw(client rueidis.Client, w *world, d deadline) func(int) bool {
	return func(i int) bool {
		key := "fill-" + w.full[i]
		asking, cancel := d.context()
		defer cancel()
		replies := client.DoMulti(asking, client.B().Get().Key(key).Build(), client.B().Pttl().Key(key).Build())
		if err := replies[0].Error(); !rueidis.IsRedisNil(err) {
			return false
		}
		storing, cancel := d.context()
		defer cancel()
		return client.Do(storing, client.B().Set().Key(key).Value(rueidis.BinaryString(w.value)).Px(fillTTL).Build()).Error() == nil
	}
}
