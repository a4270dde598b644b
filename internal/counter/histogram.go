// Package counter counts without a lock.
package counter

import (
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/stats"
)

// durationBounds are those of cache and Redis requests, in seconds.
var durationBounds = []float64{5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 5e-3, .01, .025, .1, .5, 1}

// DowntimeBounds are those of failovers, in seconds. There are as many.
var DowntimeBounds = []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 30, 120}

type Histogram struct {
	counts [15]atomic.Uint64 // one more than there are bounds
	sum    atomic.Int64      // nanoseconds
}

func (h *Histogram) Observe(d time.Duration) { h.ObserveIn(durationBounds, d) }

func (h *Histogram) ObserveIn(bounds []float64, d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(bounds) && s > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

func (h *Histogram) Snapshot() stats.Histogram { return h.SnapshotOf(durationBounds) }

func (h *Histogram) SnapshotOf(bounds []float64) stats.Histogram {
	out := stats.Histogram{Bounds: bounds, Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load()).Seconds()}
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	return out
}

// Labelled is a set of counters under labels that are known from the start; a
// label that is not is counted under "other".
type Labelled struct{ n map[string]*atomic.Uint64 }

func NewLabelled(labels ...string) Labelled {
	l := Labelled{n: map[string]*atomic.Uint64{}}
	for _, name := range append(labels, "other") {
		l.n[name] = new(atomic.Uint64)
	}
	return l
}

func (l Labelled) Add(label string) {
	c := l.n[label]
	if c == nil {
		c = l.n["other"]
	}
	c.Add(1)
}

func (l Labelled) Snapshot() map[string]uint64 {
	out := make(map[string]uint64, len(l.n))
	for name, c := range l.n {
		out[name] = c.Load()
	}
	return out
}
