package evercache

import (
	"time"

	"github.com/evercache/evercache/internal/local"
)

// The Cache as a subscriber of the feed.

func (c *Cache[V]) prefixed() string { return c.prefix }
func (c *Cache[V]) track(on bool)    { c.tracked.Store(on) }
func (c *Cache[V]) tracks() bool     { return c.tracked.Load() }

// mark is to be taken before Redis is asked or written.
func (c *Cache[V]) mark(full string) mark {
	f := c.client.feed
	m := mark{slot: f.slot(full)}
	m.seq = f.seqs[m.slot].Load()
	if c.tracked.Load() {
		m.epoch = f.epoch.Load()
	}
	return m
}

// changed drops what somebody else has changed; a load or a read of the key
// that began before does not put it back. An announcement at the end of an
// entry's life may be its expiry, which leaves it as stale, and one just after an
// outage may be of a write that was sent again.
func (c *Cache[V]) changed(full string, deleted bool) {
	key := c.bare(full)
	ours, now := !deleted && c.client.scripts.writes(full), c.client.clock.precise()
	c.flights.announced(key, deleted, func() {
		switch it := c.peek(key); {
		case it == nil:
		case deleted || it.Absent:
			c.drop(key)
		case ours:
			c.put(key, distrusted(it))
		case now+int64(expiryTolerance) >= it.FreshUntil:
			c.put(key, ended(it, now))
		case c.client.settling(now):
			c.put(key, replaced(it, now))
		default:
			c.drop(key)
		}
	})
}

// someDeleted says that somebody else has deleted a prefix of the class. What
// memory holds under it is announced key by key, but not what is being loaded.
func (c *Cache[V]) someDeleted() { c.flights.disturb() }

// settlingTime is how long after a master was reached others may still send
// again what they have kept.
const settlingTime = int64(10 * time.Second)

// settling reports whether an announcement may be of a write that was sent again.
// Then it need not be news, and Redis may fail once more before it is read.
func (sh *shard) settling(now int64) bool {
	return sh.node.Load() == nil || now-sh.feed.begun.Load() < settlingTime
}

// bereft reports whether Redis has just lost its data: that it has no value does
// not mean that somebody deleted it.
func (sh *shard) bereft() bool {
	return time.Since(time.Unix(0, sh.recovery.resetAt.Load())) < time.Duration(settlingTime)
}

// replaced is an item that has a newer value in Redis, or had one there: it may be
// served as stale where nothing better can be had.
func replaced(it *local.Item, now int64) *local.Item {
	old := ended(it, now)
	old.Replaced = true
	return old
}

// distrusted is an item that is there for an outage: Redis is asked otherwise.
func distrusted(it *local.Item) *local.Item {
	doubted := *it
	doubted.Epoch, doubted.AskAfter, doubted.TrustUntil = 0, 0, 0
	return &doubted
}

// ended is an item whose life was over at now.
func ended(it *local.Item, now int64) *local.Item {
	old := distrusted(it)
	if early := old.FreshUntil - now; early > 0 {
		old.FreshUntil, old.KeepUntil = old.FreshUntil-early, old.KeepUntil-early
	}
	return old
}

// discard drops what Redis does not hold.
func (c *Cache[V]) discard(full string) {
	key := c.bare(full)
	c.flights.supersede(key, func() { c.drop(key) })
}

func (c *Cache[V]) flushed() { c.dropPrefix("") }

// flush drops what memory holds of the keys in Redis that under reports.
func (c *Cache[V]) flush(under func(full string) bool) {
	c.dropAll(func(key string) bool { return under(c.full(key)) })
}
