package evercache

import (
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
)

// hearing is a Cache as the listener of its class.
type hearing[V any] struct{ c *Cache[V] }

func (h hearing[V]) Changed(key string, deleted bool) { h.c.changed(key, deleted) }
func (h hearing[V]) SomeDeleted()                     { h.c.someDeleted() }
func (h hearing[V]) Discard(key string)               { h.c.discard(key) }
func (h hearing[V]) Flushed()                         { h.c.dropPrefix("") }
func (h hearing[V]) Flush(under func(key string) bool) {
	h.c.dropAll(func(key string) bool { return under(h.c.full(key)) })
}

// someDeleted is what the delete of a prefix by another process does to keys that it does
// not announce one by one: those that are being loaded, and those that Redis does not have.
func (c *Cache[V]) someDeleted() {
	c.flights.Disturb()
	c.guard.pauses.EndAll(c.client.store.Clock.Now())
}

// changed drops what somebody else has changed; a load or a read of the key
// that began before does not put it back. An announcement at the end of an
// entry's life may be its expiry, which leaves it as stale, one just after an
// outage may be of a write that was sent again, and one while slots of a Cluster move may
// be of a key that has another master now.
func (c *Cache[V]) changed(full string, deleted bool) {
	key := c.bare(full)
	ours, now := !deleted && c.client.store.Scripts.Writes(full), c.client.store.Clock.Now()
	c.guard.pauses.Forget(key)
	settling, moving, may := c.keys.Settling(key, now)
	ends := func(it *local.Item) bool { return it == nil || now+int64(expiryTolerance) >= it.FreshUntil }
	c.flights.Announced(key, deleted, ours || ends(c.peek(key)), func() {
		switch it := c.peek(key); {
		case it == nil:
		case deleted || it.Absent:
			c.drop(key)
		case ours:
			c.put(key, doubted(it))
		case ends(it):
			c.put(key, ended(it, now))
		case moving:
			c.put(key, movedAway(it))
		case settling:
			c.put(key, replaced(it, now))
		case may:
			c.put(key, forAMoment(movedAway(it), now))
		default:
			c.drop(key)
		}
	})
}

// replaced is an item that has a newer value in Redis, or had one there: it may be
// served as stale where nothing better can be had.
func replaced(it *local.Item, now int64) *local.Item {
	old := ended(it, now)
	old.Newer = local.HasNewer
	return old
}

// movedAway is an item whose key has another master, or a newer value. It is needed if
// that master fails before the key is read again.
func movedAway(it *local.Item) *local.Item {
	moved := distrusted(it)
	moved.Newer = local.HasNewer
	return moved
}

// unseenMove is for how long what is announced in a Cluster is kept before it is known
// whether slots move: the first keys that a master gives away are announced before that,
// and on a loaded machine seconds before.
const unseenMove = shard.SettlingTime

// forAMoment is an item that is kept for so long, and no longer.
func forAMoment(it *local.Item, now int64) *local.Item {
	it.FreshUntil, it.KeepUntil = min(it.FreshUntil, now+unseenMove), min(it.KeepUntil, now+unseenMove)
	return it
}

// distrusted is an item that is there for an outage: Redis is asked otherwise.
func distrusted(it *local.Item) *local.Item {
	doubted := it.Copy()
	doubted.Cover, doubted.AskAfter, doubted.TrustUntil = nil, 0, 0
	return doubted
}

// doubted is an item of which something was announced that a script of ours may have
// caused. Another process may have written the key just before or after it.
func doubted(it *local.Item) *local.Item {
	doubted := distrusted(it)
	doubted.Newer = max(doubted.Newer, local.MaybeNewer)
	return doubted
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
	c.flights.Supersede(key, func() { c.drop(key) })
}
