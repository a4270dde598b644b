package evercache

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/evercache/evercache/stats"
)

// stripes is how many copies of the request counters there are. Callers on
// different processors mostly count in different ones: a shared counter would
// cost a hit more than the lookup.
const stripes = 16

type stripe struct {
	n [opCount][tierCount][resultCount]atomic.Uint64
	_ [64]byte // no two stripes share a cache line
}

// requests counts callers' requests by op, tier and result.
type requests struct {
	stripes [stripes]stripe
}

func (r *requests) add(op stats.Op, t stats.Tier, res stats.Result) {
	r.stripes[stripeOfCaller()].n[op][t][res].Add(1)
}

// stripeOfCaller spreads goroutines over the stripes by where their stacks are:
// it costs a nanosecond, where a sync.Pool or a random number costs ten.
func stripeOfCaller() uintptr {
	var here byte
	at := uintptr(unsafe.Pointer(&here)) >> 11 // a stack has at least 2 KiB
	return (at ^ at>>7) % stripes
}

func (r *requests) sum(op stats.Op, t stats.Tier, res stats.Result) (n uint64) {
	for i := range r.stripes {
		n += r.stripes[i].n[op][t][res].Load()
	}
	return n
}

// snapshot lists every combination that can occur, so that all are shown from
// the start.
func (r *requests) snapshot() []stats.RequestCount {
	var rows []stats.RequestCount
	for op := range opCount {
		for t := range tierCount {
			for res := range resultCount {
				if canOccur(op, t, res) {
					rows = append(rows, stats.RequestCount{Op: op, Tier: t, Result: res, Count: r.sum(op, t, res)})
				}
			}
		}
	}
	return rows
}

// How many of them there are.
const (
	opCount     = stats.OpTouch + 1
	tierCount   = stats.TierL2 + 1
	resultCount = stats.ResultRejected + 1
)

func reads(o stats.Op) bool { return o == stats.OpGet || o == stats.OpLookup }

func canOccur(op stats.Op, t stats.Tier, res stats.Result) bool {
	switch res {
	case stats.ResultHit:
		return reads(op) && t != stats.TierNone
	case stats.ResultStale:
		return reads(op) && t == stats.TierL1
	case stats.ResultMiss:
		return reads(op) && t != stats.TierL1 || (op == stats.OpTouch || op == stats.OpAdd) && t != stats.TierNone
	case stats.ResultOK:
		return !reads(op) && t != stats.TierNone
	}
	return t == stats.TierNone // errors and refusals are nobody's
}

// durationBounds are those of cache and Redis requests, in seconds.
var durationBounds = []float64{5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .1, .5, 1}

// blackoutBounds are those of failovers, in seconds. There are as many.
var blackoutBounds = []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 30, 120}

type histogram struct {
	counts [15]atomic.Uint64 // one more than there are bounds
	sum    atomic.Int64      // nanoseconds
}

func (h *histogram) observe(d time.Duration) { h.observeIn(durationBounds, d) }

func (h *histogram) observeIn(bounds []float64, d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(bounds) && s > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) snapshot() stats.Histogram { return h.snapshotOf(durationBounds) }

func (h *histogram) snapshotOf(bounds []float64) stats.Histogram {
	out := stats.Histogram{Bounds: bounds, Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load()).Seconds()}
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	return out
}

// labelled is a set of counters under labels that are known from the start; a
// label that is not is counted under "other".
type labelled struct{ n map[string]*atomic.Uint64 }

func newLabelled(labels ...string) labelled {
	l := labelled{n: map[string]*atomic.Uint64{}}
	for _, name := range append(labels, "other") {
		l.n[name] = new(atomic.Uint64)
	}
	return l
}

func (l labelled) add(label string) {
	c := l.n[label]
	if c == nil {
		c = l.n["other"]
	}
	c.Add(1)
}

func (l labelled) snapshot() map[string]uint64 {
	out := make(map[string]uint64, len(l.n))
	for name, c := range l.n {
		out[name] = c.Load()
	}
	return out
}
