package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
)

// work is something that is done with n keys at once.
type work struct {
	name string
	// prepare is not measured. What it returns is done so often that a small size can be
	// measured too.
	prepare func(ctx context.Context, w *world, n int) (do func(round int) error, err error)
}

// world is a Redis and a client.
type world struct {
	redis  *redisproc.Process
	client *evercache.Client
	reads  *evercache.Cache[[]byte] // of Redis, never of memory
	writes *evercache.Cache[[]byte]
	raw    rueidis.Client
	value  []byte
	named  atomic.Int64
}

func newWorld(ctx context.Context) (w *world, err error) {
	w = &world{value: make([]byte, 256)}
	if w.redis, err = redisproc.Start(ctx, redisproc.Options{}); err != nil {
		return nil, err
	}
	var err1, err2 error
	w.client, err = evercache.Open(ctx, evercache.Options{
		Addr: w.redis.Addr(), Logger: slog.New(slog.DiscardHandler), ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		MemoryBytes: 1 << 30, // nothing is evicted
	})
	if err == nil {
		w.reads, err1 = evercache.NewCache[[]byte](w.client, "reads", evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never})
		w.writes, err2 = evercache.NewCache[[]byte](w.client, "writes", evercache.Policy{TTL: time.Hour, LoadTimeout: time.Minute})
		err = errors.Join(err1, err2)
	}
	if err == nil {
		w.raw, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{w.redis.Addr()}, ForceSingleClient: true, DisableCache: true})
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) close() {
	if w.raw != nil {
		w.raw.Close()
	}
	if w.client != nil {
		_ = w.client.Close()
	}
	_ = w.redis.Close()
}

// atLeast is how many keys are worked on in one measurement, however small the size.
const atLeast = 4000

// cost is what one round costs.
func (w *world) cost(ctx context.Context, k work, n int) (time.Duration, error) {
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := w.client.WaitConnected(waiting); err != nil {
		return 0, err
	}
	do, err := k.prepare(ctx, w, n)
	if err != nil {
		return 0, err
	}
	rounds := max(1, atLeast/n)
	server, err := w.serverTime(ctx)
	if err != nil {
		return 0, err
	}
	client := machine.CPUTime()
	for round := range rounds {
		if err := do(round); err != nil {
			return 0, err
		}
	}
	client = machine.CPUTime() - client
	after, err := w.serverTime(ctx)
	return (client + after - server) / time.Duration(rounds), err
}

// serverTime is what the server has used so far.
func (w *world) serverTime(ctx context.Context) (sum time.Duration, err error) {
	text, err := w.raw.Do(ctx, w.raw.B().Info().Section("cpu").Build()).ToString()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			s, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(s * float64(time.Second))
		}
	}
	return sum, nil
}

// keys are n that nobody has used before.
func (w *world) keys(n int) []string {
	some := w.named.Add(1)
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%d:%08d", some, i)
	}
	return keys
}

func (w *world) fill(ctx context.Context, c *evercache.Cache[[]byte], keys []string) error {
	all := make(map[string][]byte, len(keys))
	for _, key := range keys {
		all[key] = w.value
	}
	_, err := c.SetMany(ctx, all)
	return err
}

var works = []work{
	{"GetMany from Redis", func(ctx context.Context, w *world, n int) (func(int) error, error) {
		keys := w.keys(n)
		return func(int) error {
			got, err := w.reads.GetMany(ctx, keys, nil)
			if err == nil && len(got) != n {
				err = fmt.Errorf("%d of %d", len(got), n)
			}
			return err
		}, w.fill(ctx, w.reads, keys)
	}},
	{"GetMany from memory", func(ctx context.Context, w *world, n int) (func(int) error, error) {
		keys := w.keys(n)
		return func(int) error { _, err := w.writes.GetMany(ctx, keys, nil); return err }, w.fill(ctx, w.writes, keys)
	}},
	{"GetMany with a loader", func(ctx context.Context, w *world, n int) (func(int) error, error) {
		return func(int) error {
			_, err := w.writes.GetMany(ctx, w.keys(n), func(_ context.Context, keys []string) (map[string][]byte, error) {
				all := make(map[string][]byte, len(keys))
				for _, key := range keys {
					all[key] = w.value
				}
				return all, nil
			})
			return err
		}, nil
	}},
	{"SetMany", func(ctx context.Context, w *world, n int) (func(int) error, error) {
		all := make(map[string][]byte, n)
		for _, key := range w.keys(n) {
			all[key] = w.value
		}
		return func(int) error { _, err := w.writes.SetMany(ctx, all); return err }, nil
	}},
	{"cold keys at once, each with a loader", func(ctx context.Context, w *world, n int) (func(int) error, error) {
		return func(int) error {
			var failed atomic.Int64
			var last atomic.Value // of the errors, as text
			var wg sync.WaitGroup
			for _, key := range w.keys(n) {
				wg.Go(func() {
					if _, err := w.writes.Get(ctx, key, func(context.Context, string) ([]byte, error) { return w.value, nil }); err != nil {
						last.Store(err.Error())
						failed.Add(1)
					}
				})
			}
			wg.Wait()
			if n := failed.Load(); n > 0 {
				return fmt.Errorf("%d have failed: %v", n, last.Load())
			}
			return nil
		}, nil
	}},
	{"the ledger: add, confirm, expire", func(_ context.Context, w *world, n int) (func(int) error, error) {
		keys := w.keys(n)
		return func(int) error {
			l := outbox.NewLedger(outbox.LedgerBounds{Entries: 1 << 20, Bytes: 1 << 30, RingBytes: 1 << 30, RingAge: time.Second})
			for i, key := range keys {
				if _, ok := l.Add(outbox.Record{Key: key, Value: w.value, Since: int64(i), Ends: int64(time.Hour)}, l.Epoch(), 0); !ok {
					return errors.New("it is refused")
				}
			}
			number, _ := l.NextBarrier(l.Epoch())
			l.Confirm(number, 0)
			l.Trim(int64(2 * time.Second))
			return nil
		}, nil
	}},
	{"DeletePrefix of all that Redis holds", func(ctx context.Context, w *world, n int) (func(int) error, error) {
		if err := w.raw.Do(ctx, w.raw.B().Flushall().Build()).Error(); err != nil {
			return nil, err
		}
		rounds := max(1, atLeast/n)
		prefixes := make([]string, rounds)
		for i := range prefixes {
			keys := w.keys(n)
			prefixes[i], _, _ = strings.Cut(keys[0], ":")
			if err := w.fill(ctx, w.writes, keys); err != nil {
				return nil, err
			}
		}
		return func(round int) error { _, _, err := w.writes.DeletePrefix(ctx, prefixes[round]+":"); return err }, nil
	}},
}
