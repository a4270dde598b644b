package evercache

import (
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
)

// Health is a snapshot of what the client knows; taking it never dials.
func (c *Client) Health() health.Report {
	in := c.known()
	h := in.Report
	h.Findings = append(slices.Clone(c.opts.Findings), findings.Of(in)...)
	if h.Sentinel != nil {
		h.Sentinel.Failovers = c.shard.failoverHistory()
	}
	return h
}

// findings are what is wrong now, without what the settings were found to have.
func (c *Client) findings() []health.Finding { return findings.Of(c.known()) }

// known is what findings are made of.
func (c *Client) known() findings.Input {
	now, node, depth := c.shard.status.get(), c.shard.node.Load(), c.shard.outbox.Depth()
	h := health.Report{
		State:         now.state,
		Since:         now.since,
		Mode:          c.opts.mode(),
		RequestedMode: *c.opts.RequestedMode,
		Connected:     node != nil && now.state != health.Closed,
		Master:        now.master,
		Cause:         now.cause,
		Sentinel:      c.shard.sentinelHealth(),
		OutboxEntries: depth.Entries,
		OutboxBytes:   depth.Bytes,
		Feed:          c.shard.feedHealth(),
		Recovery:      c.shard.recoveryHealth(),
		Journal:       c.shard.journal.health(),
		Clock:         clockHealth(node),
	}
	if c.opts.MemoryOnly || now.state == health.Connected {
		h.Cause = nil
	}
	if depth.Oldest != 0 {
		h.OutboxOldest = max(0, time.Duration(c.shard.clock.Now()-depth.Oldest))
	}
	return c.input(h, now.cause, node, depth.Overflowed)
}

// input adds to a report what is missing in it.
func (c *Client) input(h health.Report, cause error, node *remote.Node, overflowed uint64) findings.Input {
	in := findings.Input{
		Report:       h,
		Now:          time.Now(),
		Unconfigured: c.shard.unconfigured(cause),
		Overflowed:   overflowed,
		Rejected:     c.shard.rejections.Load(),
		RejectedAt:   time.Unix(0, c.shard.rejectedAt.Load()),
		ResetAt:      time.Unix(0, c.shard.recovery.resetAt.Load()),
		Tombstones:   c.shard.tombs.live(c.shard.clock.Now()),
		MaxMemory:    c.shard.evicting.known().last.MaxMemory,
		KeyFiles:     c.keyFiles.known(),
		Classes:      c.valueFaults(),
		Journal:      c.shard.journal.found(),
		Others:       c.kit.found(),
	}
	switch {
	case c.opts.MemoryOnly || h.State == health.Closed:
	case node == nil:
		in.Away = c.shard.away(cause)
	default:
		in.Master = c.shard.sayings(node)
	}
	return in
}
