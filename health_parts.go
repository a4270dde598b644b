package evercache

import (
	"cmp"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/keyfiles"
	"github.com/evercache/evercache/internal/remote"
)

func (sh *shard) feedHealth() health.Feed {
	now := sh.clock.precise()
	on, barrier, heard, why := sh.feed.state()
	h := health.Feed{
		On: on, Cause: why, Lease: -1,
		Coherent: now < sh.feed.until.Load(), Epoch: sh.feed.epoch.Load(),
		Announced: sh.feed.announced.Load(), Flushes: sh.feed.flushes.Load(), Silences: sh.feed.epochs.Load(),
	}
	if proof := min(barrier, heard); proof > 0 {
		h.Lease = time.Duration(now - proof)
	}
	return h
}

func (sh *shard) recoveryHealth() health.Recovery {
	d, r := sh.ledger.Depth(), &sh.recovery
	h := health.Recovery{
		Unconfirmed: d.Unconfirmed, UnconfirmedBytes: d.Bytes, Ring: d.Ring, RingBytes: d.RingBytes,
		Uncovered: r.uncovered.Load(), Superseded: r.superseded.Load(), Invalidated: r.invalidated.Load(), Evicted: r.evicted.Load(),
		DroppedValues: d.Dropped, DroppedKeys: d.DroppedKeys, DatasetResets: r.resets.Load(),
	}
	if d.Oldest != 0 {
		h.UnconfirmedOldest = max(0, time.Duration(sh.clock.precise()-d.Oldest))
	}
	return h
}

func clockHealth(n *remote.Node) health.Clock {
	if n == nil {
		return health.Clock{}
	}
	low, high, ok := n.ClockAhead(time.Now())
	if !ok {
		return health.Clock{}
	}
	return health.Clock{Known: true, Ahead: low + (high-low)/2, Uncertainty: (high - low + 1) / 2}
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
	c.everyClass(func(k *class) {
		if l, ok := k.listener.(interface{ values() findings.Class }); ok {
			all = append(all, l.values())
		}
	})
	slices.SortFunc(all, func(a, b findings.Class) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
