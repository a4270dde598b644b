//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
)

// workerEnv names the client of a worker.
const workerEnv = "EVERCACHE_HELDUP_CLIENT"

var (
	peers = []string{"github.com/redis/go-redis/v9", "github.com/redis/rueidis"}
	names = []string{"evercache", "rueidis", "go-redis"}
)

// told is what a worker has seen.
type told struct {
	Pairs, Failed, Without, GivenUp int
	P99                             float64 // of a write, in milliseconds
}

const (
	readTimeout  = 100 * time.Millisecond
	writeTimeout = 250 * time.Millisecond
	between      = time.Millisecond
)

// client is one of the libraries. Its calls report whether they were answered without Redis.
type client struct {
	set, get func(ctx context.Context, key string) (without bool, err error)
	givenUp  func() int
	close    func()
}

var value = string(make([]byte, 1024))

// work is the worker: address and goroutines are its arguments. It ends with its input.
func work(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("a worker is started by heldup itself")
	}
	goroutines, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	c, err := open(ctx, os.Getenv(workerEnv), args[0])
	if err != nil {
		return err
	}
	defer c.close()
	e := json.NewEncoder(os.Stdout)
	if err := e.Encode("ready"); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var r record
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { r.pairs(ctx, c, "k"+strconv.Itoa(i)) })
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	end()
	wg.Wait()
	return e.Encode(r.told(c.givenUp()))
}

// record counts.
type record struct {
	failed, without atomic.Int64
	mu              sync.Mutex // guards took
	took            []time.Duration
}

func (r *record) pairs(ctx context.Context, c client, key string) {
	for ctx.Err() == nil {
		began := time.Now()
		r.count(c.set(context.Background(), key))
		took := time.Since(began)
		r.count(c.get(context.Background(), key))
		r.mu.Lock()
		r.took = append(r.took, took)
		r.mu.Unlock()
		time.Sleep(between)
	}
}

func (r *record) count(without bool, err error) {
	switch {
	case err != nil:
		r.failed.Add(1)
	case without:
		r.without.Add(1)
	}
}

func (r *record) told(givenUp int) told {
	slices.Sort(r.took)
	t := told{Pairs: len(r.took), Failed: int(r.failed.Load()), Without: int(r.without.Load()), GivenUp: givenUp}
	if n := len(r.took); n > 0 {
		t.P99 = float64(r.took[n*99/100]) / float64(time.Millisecond)
	}
	return t
}

func open(ctx context.Context, name, addr string) (client, error) {
	switch name {
	case "evercache":
		return openEvercache(ctx, addr)
	case "rueidis":
		return openRueidis(addr)
	case "go-redis":
		return openGoRedis(addr), nil
	}
	return client{}, fmt.Errorf("%s: no such client", name)
}

func openEvercache(ctx context.Context, addr string) (client, error) {
	c, err := evercache.Open(ctx, evercache.Options{Addr: addr, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return client{}, err
	}
	cache, err := evercache.NewCache[string](c, "heldup", evercache.Policy{L1TTL: evercache.Never, ReadTimeout: readTimeout, WriteTimeout: writeTimeout})
	if err != nil {
		return client{}, err
	}
	for c.Health().State != health.Connected {
		time.Sleep(10 * time.Millisecond)
	}
	return client{
		set: func(ctx context.Context, key string) (bool, error) {
			r, err := cache.Set(ctx, key, value)
			return r.Durability < evercache.Master, err
		},
		get: func(ctx context.Context, key string) (bool, error) {
			e, err := cache.Lookup(ctx, key)
			return e.Source != evercache.SourceRedis, err
		},
		givenUp: func() (n int) {
			for change, times := range c.Stats().StateTransitions {
				if change.To == health.Degraded.String() {
					n += int(times)
				}
			}
			return n
		},
		close: func() { _ = c.Close() },
	}, nil
}

func openRueidis(addr string) (client, error) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		return client{}, err
	}
	return client{
		set: func(ctx context.Context, key string) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, writeTimeout)
			defer cancel()
			return false, c.Do(ctx, c.B().Set().Key(key).Value(value).Px(time.Minute).Build()).Error()
		},
		get: func(ctx context.Context, key string) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			return false, c.Do(ctx, c.B().Get().Key(key).Build()).Error()
		},
		givenUp: func() int { return 0 },
		close:   c.Close,
	}, nil
}

func openGoRedis(addr string) client {
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	return client{
		set: func(ctx context.Context, key string) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, writeTimeout)
			defer cancel()
			return false, c.Set(ctx, key, value, time.Minute).Err()
		},
		get: func(ctx context.Context, key string) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			return false, c.Get(ctx, key).Err()
		},
		givenUp: func() int { return 0 },
		close:   func() { _ = c.Close() },
	}
}
