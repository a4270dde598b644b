package evercache

import (
	"cmp"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/keyfiles"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/shard"
)

// Health is a snapshot of what the client knows; taking it never dials.
func (c *Client) Health() health.Report {
	in := c.known()
	h := in.Report
	h.Findings = append(slices.Clone(c.opts.Findings), findings.Of(in)...)
	if h.Sentinel != nil {
		h.Sentinel.Failovers = c.shard.FailoverHistory()
	}
	return h
}

// findings are what is wrong now, without what the settings were found to have.
func (c *Client) findings() []health.Finding { return findings.Of(c.known()) }

// known is what findings are made of.
func (c *Client) known() findings.Input {
	now, node, depth := c.shard.Status.Get(), c.shard.Node.Load(), c.shard.Outbox.Depth()
	h := health.Report{
		State:         now.State,
		Since:         now.Since,
		Mode:          c.opts.mode(),
		RequestedMode: *c.opts.RequestedMode,
		Connected:     node != nil && now.State != health.Closed,
		Master:        now.Master,
		Cause:         now.Cause,
		Sentinel:      c.shard.SentinelHealth(),
		OutboxEntries: depth.Entries,
		OutboxBytes:   depth.Bytes,
		Feed:          c.shard.FeedHealth(),
		Recovery:      c.shard.RecoveryHealth(),
		Journal:       c.shard.Journal.Health(),
		Clock:         shard.ClockHealth(node),
	}
	if c.opts.MemoryOnly || now.State == health.Connected {
		h.Cause = nil
	}
	if depth.Oldest != 0 {
		h.OutboxOldest = max(0, time.Duration(c.shard.Clock.Now()-depth.Oldest))
	}
	return c.input(h, now.Cause, node, depth.Overflowed)
}

// input adds to a report what is missing in it.
func (c *Client) input(h health.Report, cause error, node *remote.Node, overflowed uint64) findings.Input {
	in := findings.Input{
		Report:       h,
		Now:          time.Now(),
		Unconfigured: c.shard.Unconfigured(cause),
		Overflowed:   overflowed,
		Rejected:     c.shard.Rejections.Load(),
		RejectedAt:   time.Unix(0, c.shard.RejectedAt.Load()),
		ResetAt:      time.Unix(0, c.shard.Recovery.ResetAt.Load()),
		Rollback:     c.shard.Rollback(),
		Tombstones:   c.shard.Tombs.Live(c.shard.Clock.Now()),
		MaxMemory:    c.shard.Evicting.Known().Last.MaxMemory,
		KeyFiles:     c.keyFiles.known(),
		Classes:      c.valueFaults(),
		Journal:      c.shard.Journal.Found(),
		Others:       c.kit.found(),
	}
	switch {
	case c.opts.MemoryOnly || h.State == health.Closed:
	case node == nil:
		in.Away = c.shard.Away(cause)
	default:
		in.Master = c.shard.Sayings(node)
	}
	return in
}

// known is what is known of the files.
func (k keyFiles) known() (all []findings.KeyFiles) {
	for _, s := range []struct {
		source *keyfiles.Source
		whose  string
	}{{k.redis, "for Redis"}, {k.sentinels, "for the sentinels"}} {
		if s.source == nil {
			continue
		}
		at, _ := s.source.Expires()
		all = append(all, findings.KeyFiles{Whose: s.whose, Fault: s.source.Fault(), Expires: at})
	}
	return all
}

// valueFaults are what is wrong with the values of each class, by its name.
func (c *Client) valueFaults() (all []findings.Class) {
	c.shard.EveryClass(func(k *shard.Class) {
		if l, ok := k.Listener.(interface{ values() findings.Class }); ok {
			all = append(all, l.values())
		}
	})
	slices.SortFunc(all, func(a, b findings.Class) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
