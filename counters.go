package evercache

import (
	"sync/atomic"
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
