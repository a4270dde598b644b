package main

import (
	"context"

	"github.com/maypok86/otter/v2"
	"github.com/redis/rueidis"
	"github.com/viccon/sturdyc"

	"github.com/evercache/evercache"
)

// hits compares reads that memory answers.
var hits = suite{
	name:  "hit",
	title: "Hit in memory",
	note: "Every key is in memory; a read that is not answered from there counts as failed. At 2 procs two goroutines run, and ns/op is wall time " +
		"over all operations, as `go test -bench` counts. \"the loop\" is what measuring costs: it is in every row.",
	unit:    "procs",
	levels:  []int{1, 2},
	procs:   true,
	columns: []column{nsPerOp, speedOf, allocs, bytesPerOp},
	open:    openHits,
}

func openHits(ctx context.Context, w *world) (all []subject, err error) {
	for _, open := range []func(context.Context, *world) (subject, error){
		hitMemoryOnly, hitObserved, hitOverRedis, hitOtterLoading, hitOtterNoTTL, hitDoCache, hitSturdyc, hitNothing,
	} {
		s, err := open(ctx, w)
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

func hitMemoryOnly(ctx context.Context, w *world) (subject, error) {
	return hitEvercache(ctx, w, "evercache Get, MemoryOnly", evercache.Options{MemoryOnly: true})
}

func hitOverRedis(ctx context.Context, w *world) (subject, error) {
	return hitEvercache(ctx, w, "evercache Get, over Redis", evercache.Options{Addr: w.redis.Addr()})
}

func hitEvercache(ctx context.Context, w *world, name string, o evercache.Options) (subject, error) {
	s, _, err := openHit(ctx, w, name, o)
	return s, err
}

func openHit(ctx context.Context, w *world, name string, o evercache.Options) (subject, *evercache.Client, error) {
	client, cache, err := open(ctx, o, evercache.Policy{TTL: ttl, L1TTL: ttl})
	if err != nil {
		return subject{}, nil, err
	}
	s := subject{name: name, close: closeOf(client), ready: func() error { return nil }}
	if !o.MemoryOnly {
		s.ready = connected(client)
	}
	if err := s.ready(); err != nil {
		s.close()
		return subject{}, nil, err
	}
	for _, k := range w.keys {
		if _, err := cache.Set(ctx, k, w.value); err != nil {
			s.close()
			return subject{}, nil, err
		}
	}
	load := func(context.Context, string) ([]byte, error) { return nil, errNotAHit }
	s.do = func(i int) bool {
		v, err := cache.Get(background, w.keys[i], load)
		return err == nil && len(v) == valueSize
	}
	return s, client, nil
}

func hitOtterLoading(ctx context.Context, w *world) (subject, error) {
	cache := otter.Must(&otter.Options[string, []byte]{
		MaximumSize:      10 * len(w.keys),
		ExpiryCalculator: otter.ExpiryWriting[string, []byte](ttl),
	})
	for _, k := range w.keys {
		cache.Set(k, w.value)
	}
	load := otter.LoaderFunc[string, []byte](func(context.Context, string) ([]byte, error) { return nil, errNotAHit })
	return subject{
		name: "otter Get with loader, TTL",
		do: func(i int) bool {
			v, err := cache.Get(background, w.keys[i], load)
			return err == nil && len(v) == valueSize
		},
		close: func() { cache.StopAllGoroutines() },
	}, nil
}

func hitOtterNoTTL(_ context.Context, w *world) (subject, error) {
	cache := otter.Must(&otter.Options[string, []byte]{MaximumSize: 10 * len(w.keys)})
	for _, k := range w.keys {
		cache.Set(k, w.value)
	}
	return subject{
		name: "otter GetIfPresent, no TTL",
		do: func(i int) bool {
			v, ok := cache.GetIfPresent(w.keys[i])
			return ok && len(v) == valueSize
		},
		close: func() { cache.StopAllGoroutines() },
	}, nil
}

func hitDoCache(ctx context.Context, w *world) (subject, error) {
	client, err := rueidis.NewClient(setups(w)[0].option)
	if err != nil {
		return subject{}, err
	}
	for _, k := range w.full {
		if err := client.DoCache(background, client.B().Get().Key(k).Cache(), ttl).Error(); err != nil {
			client.Close()
			return subject{}, err
		}
	}
	return subject{
		name: "rueidis DoCache",
		do: func(i int) bool {
			r := client.DoCache(background, client.B().Get().Key(w.full[i]).Cache(), ttl)
			v, err := r.ToString()
			return err == nil && r.IsCacheHit() && len(v) == valueSize
		},
		close: client.Close,
	}, nil
}

func hitSturdyc(ctx context.Context, w *world) (subject, error) {
	cache := sturdyc.New[[]byte](10*len(w.keys), 64, ttl, 10)
	for _, k := range w.keys {
		cache.Set(k, w.value)
	}
	load := func(context.Context) ([]byte, error) { return nil, errNotAHit }
	return subject{
		name: "sturdyc GetOrFetch",
		do: func(i int) bool {
			v, err := cache.GetOrFetch(background, w.keys[i], load)
			return err == nil && len(v) == valueSize
		},
		close: func() {},
	}, nil
}

func hitNothing(_ context.Context, w *world) (subject, error) {
	return subject{
		name:  "the loop",
		do:    func(i int) bool { return len(w.keys[i]) != valueSize },
		close: func() {},
	}, nil
}
