package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/bench/machine"
)

// settle is from the last client's start to the first look: a client that nobody uses
// rests after five seconds.
const settle = 8 * time.Second

// sample is one observation, for each client.
type sample struct {
	heap        float64 // KiB
	stacks      float64 // KiB
	goroutines  float64
	connections float64
	allocs      float64 // a second
	garbage     float64 // KiB a second
	cpu         float64 // milliseconds a second
}

func (o options) measure(ctx context.Context, mode string) (rows []row, err error) {
	s, err := starts[mode](ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, n := range o.clients {
		r := row{mode: mode, clients: n}
		for i := range o.repeat {
			fmt.Fprintf(os.Stderr, "%s, %d clients, repetition %d of %d\n", mode, n, i+1, o.repeat)
			got, err := o.observe(ctx, s, n)
			if err != nil {
				return rows, err
			}
			r.samples = append(r.samples, got)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// observe opens n clients, with one class each, and looks at them.
func (o options) observe(ctx context.Context, s *servers, n int) (got sample, err error) {
	empty, goroutines := memory(), runtime.NumGoroutine()
	clients, err := open(ctx, s, n)
	defer func() {
		for _, c := range clients {
			err = errors.Join(err, c.Close())
		}
	}()
	if err != nil {
		return got, err
	}
	if err := machine.Pause(ctx, settle); err != nil {
		return got, err
	}
	connections, err := s.connections(ctx)
	if err != nil {
		return got, err
	}
	full := memory()
	each := float64(n)
	got = sample{
		heap:        (float64(full.HeapAlloc) - float64(empty.HeapAlloc)) / 1024 / each,
		stacks:      (float64(full.StackInuse) - float64(empty.StackInuse)) / 1024 / each,
		goroutines:  float64(runtime.NumGoroutine()-goroutines) / each,
		connections: float64(connections) / each,
	}
	if err := o.keepHeap(); err != nil {
		return got, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, cpu := time.Now(), machine.CPUTime()
	if err := machine.Pause(ctx, o.length); err != nil {
		return got, err
	}
	cpu = machine.CPUTime() - cpu
	runtime.ReadMemStats(&after)
	seconds := time.Since(began).Seconds() * each
	got.allocs = float64(after.Mallocs-before.Mallocs) / seconds
	got.garbage = float64(after.TotalAlloc-before.TotalAlloc) / 1024 / seconds
	got.cpu = cpu.Seconds() * 1000 / seconds
	return got, nil
}

// memory is what is in use once all garbage is gone: what a pool holds goes with
// the second collection.
func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

func open(ctx context.Context, s *servers, n int) (clients []*evercache.Client, err error) {
	for range n {
		c, err := evercache.Open(ctx, s.options)
		if err != nil {
			return clients, err
		}
		clients = append(clients, c)
		if _, err := evercache.NewCache[string](c, "idle", evercache.Policy{}); err != nil {
			return clients, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, c := range clients {
		for !s.settled(c) {
			if err := machine.Pause(ctx, 10*time.Millisecond); err != nil {
				return clients, fmt.Errorf("a client of %d does not settle: %w", n, err)
			}
		}
	}
	return clients, nil
}
