package evercache

import "errors"

// countRead counts a read that was not a plain hit.
func (c *Client) countRead(op Op, src Source, fresh bool, err error) {
	switch {
	case errors.Is(err, ErrKey):
		c.requests.add(op, TierNone, ResultRejected)
	case errors.Is(err, ErrNotFound), err == nil && src == SourceLoader:
		c.requests.add(op, TierNone, ResultMiss)
	case err != nil:
		c.requests.add(op, TierNone, ResultError)
	case src == SourceRedis:
		c.requests.add(op, TierL2, ResultHit)
	case !fresh:
		c.requests.add(op, TierL1, ResultStale)
	default:
		c.requests.add(op, TierL1, ResultHit)
	}
}

// countWrite counts a write by where it is.
func (c *Client) countWrite(op Op, r Receipt, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		c.requests.add(op, TierL2, ResultMiss)
	case err != nil:
		c.requests.add(op, TierNone, ResultError)
	case r.Durability >= Master:
		c.requests.add(op, TierL2, ResultOK)
	default:
		c.requests.add(op, TierL1, ResultOK)
	}
}

func (c *Client) countAdd(added bool, r Receipt, err error) {
	if err == nil && !added {
		c.requests.add(OpAdd, TierL2, ResultMiss)
		return
	}
	c.countWrite(OpAdd, r, err)
}

// Stats is a snapshot of the counters; taking it never dials.
func (c *Client) Stats() Stats {
	h := c.Health()
	s := Stats{
		Requests:         c.requests.snapshot(),
		Durations:        map[Op]Histogram{},
		L1CapacityBytes:  c.opts.MemoryBytes,
		Loads:            c.loads.results.snapshot(),
		LoadDurations:    c.loads.durations.snapshot(),
		LoadsInFlight:    c.loads.inFlight.Load(),
		LoadsCoalesced:   c.loads.coalesced.Load(),
		LoadsShed:        c.loads.shed.Load(),
		DecodeFailures:   c.decodeFailures.Load(),
		EncodeFailures:   c.encodeFailures.Load(),
		RedisRequests:    map[string]map[string]uint64{},
		RedisErrors:      c.redis.errors.snapshot(),
		RedisDurations:   c.redis.durations.snapshot(),
		RedisDials:       c.redis.dials.snapshot(),
		Sentinel:         c.sentinelStats(h.Sentinel),
		State:            h.State,
		Mode:             h.Mode,
		RequestedMode:    h.RequestedMode,
		RedisUp:          h.Connected,
		CircuitOpen:      !h.Connected && c.reached.Load(),
		CircuitOpened:    c.redis.opened.snapshot(),
		OutboxEntries:    h.OutboxEntries,
		OutboxBytes:      h.OutboxBytes,
		OutboxReplayed:   c.replayed.Load(),
		OutboxExpired:    c.expired.Load(),
		OutboxRejected:   c.rejections.Load(),
		OutboxOverflowed: c.outbox.Depth().Overflowed,
		Tombstones:       c.tombs.live(c.clock.precise()),
		Journal:          c.journal.health(),
		Feed:             h.Feed,
		Recovery:         h.Recovery,
		Clock:            h.Clock,
		EventsDropped:    c.status.dropped.Load(),
		LogDropped:       c.logs.Dropped(),
	}
	for op := range opCount {
		s.Durations[op] = c.durations[op].snapshot()
	}
	for name, n := range c.redis.requests {
		s.RedisRequests[name] = map[string]uint64{"ok": n[0].Load(), "error": n[1].Load()}
	}
	s.StateTransitions, s.Degraded = c.status.totals()
	c.memoryStats(&s)
	s.sum()
	return s
}

func (c *Client) memoryStats(s *Stats) {
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
func (s *Stats) sum() {
	for _, r := range s.Requests {
		switch {
		case r.Op.reads() && (r.Result == ResultHit || r.Result == ResultStale):
			s.Hits += r.Count
		case r.Op.reads() && r.Result == ResultMiss:
			s.Misses += r.Count
		case r.Result == ResultError:
			s.Errors += r.Count
		case r.Op == OpSet && r.Result == ResultOK, r.Op == OpAdd && r.Result == ResultOK:
			s.Sets += r.Count
		case r.Op == OpDelete && r.Result == ResultOK, r.Op == OpDeletePrefix && r.Result == ResultOK:
			s.Deletes += r.Count
		}
	}
}
