package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/bench/machine"
)

// worker is a client that does what it is told.
type worker struct {
	client *evercache.Client
	hits   *evercache.Cache[[]byte]
	reads  *evercache.Cache[[]byte] // of Redis, never of memory
	loads  *evercache.Cache[[]byte]
	raw    rueidis.Client
	prefix string
	filled map[string]bool // the sizes whose keys are in Redis
	next   atomic.Uint64
}

const (
	keys    = 1000
	retries = 10
)

// work reads a line for each slice, and answers with a line.
func work(ctx context.Context, addr string, in io.Reader, out io.Writer) error {
	w := &worker{filled: map[string]bool{}}
	var err, err1, err2, err3 error
	w.prefix = fmt.Sprintf("%d:", os.Getpid()) // what others write is not announced here
	w.client, err = evercache.Open(ctx, evercache.Options{Addr: addr, KeyPrefix: w.prefix, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { _ = w.client.Close() }()
	w.hits, err1 = evercache.NewCache[[]byte](w.client, "hits", evercache.Policy{TTL: time.Hour})
	w.reads, err2 = evercache.NewCache[[]byte](w.client, "reads", evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never})
	w.loads, err3 = evercache.NewCache[[]byte](w.client, "loads", evercache.Policy{TTL: 20 * time.Millisecond})
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	w.raw, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		return err
	}
	defer w.raw.Close()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var goroutines int
		var text, length string
		_, err := fmt.Sscan(lines.Text(), &goroutines, &length)
		_, text, _ = strings.Cut(lines.Text(), length+" ")
		slice, err1 := time.ParseDuration(length)
		var s sample
		if err = errors.Join(err, err1); err == nil {
			s, err = w.slice(ctx, text, goroutines, slice)
		}
		for range retries { // a busy machine made it do without Redis for a moment
			if err == nil {
				break
			}
			s, err = w.slice(ctx, text, goroutines, slice)
		}
		if err != nil {
			fmt.Fprintln(out, strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		fmt.Fprintln(out, s.cpu, s.wall, s.allocs)
	}
	return nil
}

// slice works for so long. An operation that fails counts as none.
func (w *worker) slice(ctx context.Context, text string, goroutines int, length time.Duration) (s sample, err error) {
	do, err := w.prepare(ctx, text)
	if err != nil {
		return s, err
	}
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := w.client.WaitConnected(waiting); err != nil {
		return s, err
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var done, failed atomic.Int64
	began, cpu := time.Now(), machine.CPUTime()
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for time.Since(began) < length {
				if n := w.next.Add(1); do(n%keys, n) {
					done.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	n := float64(max(1, done.Load()))
	s.cpu, s.wall = float64(machine.CPUTime()-cpu)/n, float64(time.Since(began))/n
	runtime.ReadMemStats(&after)
	s.allocs = float64(after.Mallocs-before.Mallocs) / n
	if bad := failed.Load(); bad*20 > done.Load() {
		return s, fmt.Errorf("%d of %d operations have failed", bad, bad+done.Load())
	}
	return s, nil
}

// prepare returns the operation; n is another each time, key one of a thousand.
func (w *worker) prepare(ctx context.Context, text string) (do func(key, n uint64) bool, err error) {
	name, size, _ := strings.Cut(text, " ")
	value := make([]byte, map[string]int{"": 1 << 10, "1 KiB": 1 << 10, "60 KiB": 60 << 10, "1 MB": 1_000_000, "2 MiB": 2 << 20}[size])
	some := uint64(max(1, min(keys, 16<<20/len(value)))) // no more than evercache keeps
	keyOf := func(key uint64) string { return fmt.Sprintf("%s-%d", size, key%some) }
	fill := func(c *evercache.Cache[[]byte]) error {
		if w.filled[size] {
			return nil
		}
		for key := range some {
			if _, err := c.Set(ctx, keyOf(key), value); err != nil {
				return err
			}
		}
		w.filled[size] = true
		return nil
	}
	bg := context.Background()
	switch name {
	case "hit":
		return func(key, _ uint64) bool {
			for range 1000 {
				if e, err := w.hits.Lookup(bg, "0"); err != nil || e.Source != evercache.SourceMemory {
					return false
				}
			}
			return true
		}, first(w.hits.Set(ctx, "0", value))
	case "read":
		return func(key, _ uint64) bool {
			e, err := w.reads.Lookup(bg, keyOf(key))
			return err == nil && e.Source == evercache.SourceRedis
		}, fill(w.reads)
	case "set":
		return func(key, _ uint64) bool {
			r, err := w.reads.Set(bg, keyOf(key), value)
			return err == nil && r.Durability >= evercache.Master
		}, nil
	case "delete":
		return func(key, _ uint64) bool {
			r, err := w.reads.Delete(bg, keyOf(key))
			return err == nil && r.Durability >= evercache.Master
		}, nil
	case "load":
		return func(_, n uint64) bool {
			e, err := w.loads.GetEntry(bg, fmt.Sprint("load-", n), func(context.Context, string) ([]byte, error) { return value, nil })
			return err == nil && e.Source == evercache.SourceLoader
		}, nil
	case "getmany": // of 100 keys, from Redis
		return func(key, _ uint64) bool {
			got, err := w.reads.GetMany(bg, hundred(keyOf, key), nil)
			return err == nil && len(got) == 100
		}, fill(w.reads)
	case "setmany": // of 100 keys
		return func(key, _ uint64) bool {
			all := make(map[string][]byte, 100)
			for _, k := range hundred(keyOf, key) {
				all[k] = value
			}
			r, err := w.reads.SetMany(bg, all)
			return err == nil && r.Durability >= evercache.Master
		}, nil
	case "announced": // by others: 100 keys in one pipeline count as one
		return func(_, n uint64) bool {
			var cmds rueidis.Commands
			for i := range 100 {
				cmds = append(cmds, w.raw.B().Set().Key(fmt.Sprint(w.prefix, "hits:a-", i)).Value("x").ExSeconds(100).Build())
			}
			for _, r := range w.raw.DoMulti(bg, cmds...) {
				if r.Error() != nil {
					return false
				}
			}
			return true
		}, nil
	}
	return nil, fmt.Errorf("there is no work %q", text)
}

// hundred are the keys of one call of many. Ten calls go over all of them.
func hundred(keyOf func(uint64) string, key uint64) []string {
	names := make([]string, 100)
	for i := range names {
		names[i] = keyOf(key%10*100 + uint64(i))
	}
	return names
}

func first[T any](_ T, err error) error { return err }
