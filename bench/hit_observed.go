package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/trace"
)

// scrapeEach is far more often than any Prometheus asks.
const scrapeEach = 100 * time.Millisecond

// hitObserved is a hit in a process with all that watches it: a Tracer, and a Prometheus
// that asks ten times a second.
func hitObserved(ctx context.Context, w *world) (subject, error) {
	s, client, err := openHit(ctx, w, "evercache Get, MemoryOnly, observed", evercache.Options{MemoryOnly: true, Tracer: untold{}})
	if err != nil {
		return subject{}, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(evercacheprom.New(client))
	scraping, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for t := time.NewTicker(scrapeEach); ; {
			select {
			case <-t.C:
				_, _ = registry.Gather()
			case <-scraping.Done():
				t.Stop()
				return
			}
		}
	})
	end := s.close
	s.close = func() { stop(); wg.Wait(); end() }
	return s, nil
}

// untold is a Tracer that does nothing. It is told nothing of hits.
type untold struct{}

func (untold) CallStart(ctx context.Context, _ trace.Call) context.Context { return ctx }
func (untold) CallEnd(context.Context, trace.Call, trace.End)              {}
func (untold) LoadStart(ctx context.Context, _ trace.Load) context.Context { return ctx }
func (untold) LoadEnd(context.Context, trace.Load, trace.End)              {}
func (untold) Served(context.Context, trace.Served)                        {}
