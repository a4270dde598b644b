package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
)

// setReads compares reads that the replicas of a Sentinel set answer.
var setReads = suite{
	name:  "replica",
	title: "Read from the replicas of a Sentinel set, 1 KiB values",
	note: "evercache never serves from memory here. It sends a GET of its heartbeat, GETRANGE and PEXPIRETIME in one pipeline to one of two replicas, and to the master " +
		"what no replica may answer. The others send GET and PTTL, or GET, to replicas, however old these are.",
	unit:    "goroutines",
	levels:  levels,
	latency: true,
	columns: []column{opsPerSec, speedOf, p50, p99, allocs, cpuPerOp},
	open:    openSetReads,
}

func openSetReads(ctx context.Context, w *world) (all []subject, err error) {
	set, err := w.sentinelSet(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.fill(ctx, set.Nodes()[0].Addr()); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		on   bool
	}{{"evercache Lookup, from replicas", true}, {"evercache Lookup, from the master", false}} {
		o := evercache.Options{Sentinels: addrs(set.Sentinels()), MasterName: set.MasterName(), ReplicaReads: s.on}
		client, cache, err := open(ctx, o, evercache.Policy{TTL: ttl, L1TTL: evercache.Never, ReplicaReads: s.on})
		if err != nil {
			return all, err
		}
		all = append(all, subject{
			name: s.name,
			do: func(i int) bool {
				e, err := cache.Lookup(background, w.keys[i])
				return err == nil && e.Source != evercache.SourceMemory && len(e.Value) == valueSize
			},
			ready: func() error { return errors.Join(clear(client)(), read(client, cache, w, s.on)) },
			close: closeOf(client),
		})
	}
	option := rueidis.ClientOption{
		InitAddress: addrs(set.Sentinels()), Sentinel: rueidis.SentinelOption{MasterSet: set.MasterName()}, DisableCache: true,
		SendToReplicas: func(cmd rueidis.Completed) bool { return cmd.IsReadOnly() },
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		return all, err
	}
	d := deadline{"100 ms", readTimeout}
	return append(all,
		subject{name: "rueidis GET+PTTL, SendToReplicas", do: getPTTL(client, w, d), close: client.Close},
		subject{name: "rueidis GET, SendToReplicas", do: get(client, w, d), close: func() {}},
	), nil
}

// read waits until a replica answers, where that is wanted.
func read(client *evercache.Client, cache *evercache.Cache[[]byte], w *world, wanted bool) error {
	for end := time.Now().Add(20 * time.Second); wanted; time.Sleep(10 * time.Millisecond) {
		if _, err := cache.Lookup(background, w.keys[0]); err != nil {
			return err
		}
		if client.Stats().Replicas.Answered > 0 {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("no replica answers")
		}
	}
	return nil
}
