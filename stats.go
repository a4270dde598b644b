package evercache

import (
	"errors"
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

// countRead counts a read that was not a plain hit, by who has answered.
func (c *Client) countRead(op stats.Op, src Source, fresh bool, err error) (stats.Tier, stats.Result) {
	t, r := readResult(src, fresh, err)
	c.requests.add(op, t, r)
	return t, r
}

func readResult(src Source, fresh bool, err error) (stats.Tier, stats.Result) {
	switch {
	case errors.Is(err, ErrKey):
		return stats.TierNone, stats.ResultRejected
	case errors.Is(err, ErrNotFound), err == nil && src == SourceLoader:
		return stats.TierNone, stats.ResultMiss
	case err != nil:
		return stats.TierNone, stats.ResultError
	case src == SourceRedis, src == SourceReplica:
		return stats.TierL2, stats.ResultHit
	case !fresh:
		return stats.TierL1, stats.ResultStale
	}
	return stats.TierL1, stats.ResultHit
}

// countWrite counts a write by where it is.
func (c *Client) countWrite(op stats.Op, r Receipt, err error) (stats.Tier, stats.Result) {
	t, res := writeResult(r, err)
	c.requests.add(op, t, res)
	return t, res
}

func writeResult(r Receipt, err error) (stats.Tier, stats.Result) {
	switch {
	case errors.Is(err, ErrNotFound):
		return stats.TierL2, stats.ResultMiss
	case err != nil:
		return stats.TierNone, stats.ResultError
	case r.Durability >= Master:
		return stats.TierL2, stats.ResultOK
	}
	return stats.TierL1, stats.ResultOK
}

func (c *Client) countAdd(added bool, r Receipt, err error) (stats.Tier, stats.Result) {
	if err == nil && !added {
		c.requests.add(stats.OpAdd, stats.TierL2, stats.ResultMiss)
		return stats.TierL2, stats.ResultMiss
	}
	return c.countWrite(stats.OpAdd, r, err)
}

// Stats is a snapshot of the counters; taking it never dials.
func (c *Client) Stats() stats.Snapshot {
	s := stats.Snapshot{
		Requests:        c.requests.snapshot(),
		Durations:       map[stats.Op]stats.Histogram{},
		L1CapacityBytes: c.opts.MemoryBytes,
		Loads:           c.loads.results.Snapshot(),
		LoadDurations:   c.loads.durations.Snapshot(),
		LoadsInFlight:   c.loads.inFlight.Load(),
		LoadsCoalesced:  c.loads.coalesced.Load(),
		LoadsShed:       c.loads.shed.Load(),
		LoadsPaused:     c.loads.paused.Load(),
		LoadsRefreshed:  c.loads.refreshed.Load(),
		LoadsImpatient:  c.loads.impatient.Load(),
		DecodeFailures:  c.decodeFailures.Load(),
		Inspected:       c.inspected.Load(),
		InspectedWrong:  c.inspectedWrong.Load(),
		EncodeFailures:  c.encodeFailures.Load(),
		LogDropped:      c.logs.Dropped(),
	}
	for op := range opCount {
		s.Durations[op] = c.durations[op].Snapshot()
	}
	c.store.Stats(&s)
	c.memoryStats(&s)
	sum(&s)
	return s
}

func (c *Client) memoryStats(s *stats.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, store := range c.stores {
		s.L1Entries += store.Len()
		s.L1Bytes += store.Bytes()
		if i > 0 {
			s.L1CapacityBytes += store.CapacityBytes()
		}
	}
	s.L1Evictions = map[string]uint64{
		"capacity":    c.evictions.Capacity.Load(),
		"expired":     c.evictions.Expired.Load(),
		"invalidated": c.evictions.Invalidated.Load(),
	}
}

// sum fills in the totals that /health shows.
func sum(s *stats.Snapshot) {
	for _, r := range s.Requests {
		switch {
		case reads(r.Op) && (r.Result == stats.ResultHit || r.Result == stats.ResultStale):
			s.Hits += r.Count
		case reads(r.Op) && r.Result == stats.ResultMiss:
			s.Misses += r.Count
		case r.Result == stats.ResultError:
			s.Errors += r.Count
		case r.Op == stats.OpSet && r.Result == stats.ResultOK, r.Op == stats.OpAdd && r.Result == stats.ResultOK:
			s.Sets += r.Count
		case r.Op == stats.OpDelete && r.Result == stats.ResultOK, r.Op == stats.OpDeletePrefix && r.Result == stats.ResultOK:
			s.Deletes += r.Count
		}
	}
}
