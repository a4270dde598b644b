package evercache

import (
	"errors"

	"github.com/evercache/evercache/stats"
)

// countRead counts a read that was not a plain hit.
func (c *Client) countRead(op stats.Op, src Source, fresh bool, err error) {
	switch {
	case errors.Is(err, ErrKey):
		c.requests.add(op, stats.TierNone, stats.ResultRejected)
	case errors.Is(err, ErrNotFound), err == nil && src == SourceLoader:
		c.requests.add(op, stats.TierNone, stats.ResultMiss)
	case err != nil:
		c.requests.add(op, stats.TierNone, stats.ResultError)
	case src == SourceRedis:
		c.requests.add(op, stats.TierL2, stats.ResultHit)
	case !fresh:
		c.requests.add(op, stats.TierL1, stats.ResultStale)
	default:
		c.requests.add(op, stats.TierL1, stats.ResultHit)
	}
}

// countWrite counts a write by where it is.
func (c *Client) countWrite(op stats.Op, r Receipt, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		c.requests.add(op, stats.TierL2, stats.ResultMiss)
	case err != nil:
		c.requests.add(op, stats.TierNone, stats.ResultError)
	case r.Durability >= Master:
		c.requests.add(op, stats.TierL2, stats.ResultOK)
	default:
		c.requests.add(op, stats.TierL1, stats.ResultOK)
	}
}

func (c *Client) countAdd(added bool, r Receipt, err error) {
	if err == nil && !added {
		c.requests.add(stats.OpAdd, stats.TierL2, stats.ResultMiss)
		return
	}
	c.countWrite(stats.OpAdd, r, err)
}

// Stats is a snapshot of the counters; taking it never dials.
func (c *Client) Stats() stats.Snapshot {
	up := c.shard.node.Load() != nil && !c.shard.closed()
	s := stats.Snapshot{
		Requests:         c.requests.snapshot(),
		Durations:        map[stats.Op]stats.Histogram{},
		L1CapacityBytes:  c.opts.MemoryBytes,
		Loads:            c.loads.results.Snapshot(),
		LoadDurations:    c.loads.durations.Snapshot(),
		LoadsInFlight:    c.loads.inFlight.Load(),
		LoadsCoalesced:   c.loads.coalesced.Load(),
		LoadsShed:        c.loads.shed.Load(),
		DecodeFailures:   c.decodeFailures.Load(),
		EncodeFailures:   c.encodeFailures.Load(),
		RedisRequests:    map[string]map[string]uint64{},
		RedisErrors:      c.shard.redis.errors.Snapshot(),
		RedisDurations:   c.shard.redis.durations.Snapshot(),
		RedisDials:       c.shard.redis.dials.Snapshot(),
		Sentinel:         c.shard.sentinelStats(),
		CircuitOpen:      !up && c.shard.reached.Load(),
		CircuitOpened:    c.shard.redis.opened.Snapshot(),
		OutboxReplayed:   c.shard.replayed.Load(),
		OutboxExpired:    c.shard.expired.Load(),
		OutboxRejected:   c.shard.rejections.Load(),
		OutboxOverflowed: c.shard.outbox.Depth().Overflowed,
		Tombstones:       c.shard.tombs.live(c.shard.clock.Now()),
		EventsDropped:    c.shard.status.dropped.Load(),
		LogDropped:       c.logs.Dropped(),
	}
	for op := range opCount {
		s.Durations[op] = c.durations[op].Snapshot()
	}
	for name, n := range c.shard.redis.requests {
		s.RedisRequests[name] = map[string]uint64{"ok": n[0].Load(), "error": n[1].Load()}
	}
	s.StateTransitions, s.Degraded = c.shard.status.totals()
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
