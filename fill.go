package evercache

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
)

// toStore is a loaded value on its way to Redis.
type toStore struct {
	item     *local.Item
	data     []byte
	ttl      time.Duration
	replaces string // see loadPlan
	seen     shard.Seen
	gone     bool // the origin has no such key: what was seen is to go
}

// fill writes a loaded value to Redis unless the key was written since the
// load began: here (superseded) or elsewhere (it is there, or it was deleted
// after the load's caller was told that there was none). A fill that fails is
// counted and nothing else: the caller has its value. What memory holds is
// covered by the feed once Redis holds it too.
func (c *Cache[V]) fill(ctx context.Context, f *keyFlight[V], w toStore) {
	defer c.client.fills.enter()()
	if !c.keys.Connected(f.Key()) {
		return
	}
	ctx = context.WithoutCancel(ctx) // each question ends within its own limit
	p := deadline.New(ctx, time.Now(), c.policy.WriteTimeout)
	defer p.Release()
	held, err := c.client.store.Locks.Lock(&p, f.Data.full)
	if err != nil {
		return
	}
	defer c.client.store.Locks.Unlock(held)
	filling, ok := c.beginFill(f, &w)
	if !ok {
		return
	}
	defer filling.End()
	var res shard.Filled
	res.Stored, res.Err = filling.Send(ctx)
	if c.concluded(ctx, &filling, f, &w, res) {
		c.cover(ctx, &filling, f, w.item)
	}
}

// beginFill is what comes before a value is sent; the caller holds the lock of its key.
// false: it is not to be stored.
func (c *Cache[V]) beginFill(f *keyFlight[V], w *toStore) (filling shard.Fill, ok bool) {
	full := f.Data.full
	if c.client.store.Waits(full) || c.yields(f.Key(), w.replaces) {
		return filling, false
	}
	if w.ttl != c.policy.TTL && !w.gone {
		c.mixed.Store(true)
	}
	filling, ok = c.keys.BeginFill(shard.Filling{
		Key: full, Rest: f.Key(), Data: w.data, TTL: w.ttl, Missed: f.Data.missed, Replaces: w.replaces, Seen: w.seen, Gone: w.gone,
	})
	if ok && f.Superseded() { // from here on what is announced of the key counts as the fill's own
		filling.End()
		ok = false
	}
	return filling, ok
}

// concluded changes memory by what came of a fill. true: Redis holds the value, and memory
// may too.
func (c *Cache[V]) concluded(ctx context.Context, filling *shard.Fill, f *keyFlight[V], w *toStore, res shard.Filled) bool {
	if res.Stored && w.replaces != "" {
		c.unread.overwritten.add(f.Key())
	}
	switch {
	case f.Superseded(): // by a DeletePrefix, which takes no lock and may have passed the key already
		if res.Stored || res.Err != nil {
			filling.Undo(ctx)
		}
	case res.Err == nil && !res.Stored:
		c.unkeep(f.Key(), w.item) // ask Redis next time
	case res.Err == nil && w.gone:
		f.Keep(func() { c.remember(f.Key(), f.Data.mark) })
	case res.Err == nil:
		// What was announced meanwhile may be the fill itself, or what somebody wrote after
		// it: then Redis is asked before the item is served.
		f.KeepSeen(func(announced bool) {
			it := w.item
			if announced {
				it = doubted(it)
			}
			c.put(f.Key(), it)
			f.Data.kept = true
		})
		return true
	}
	return false
}

// coverTries is how often Redis is asked for what has just been stored, at most.
const coverTries = 5

// cover lets the feed vouch for an item that was just stored. A script is
// announced to the one who ran it too (NOLOOP does not help: facts in
// internal/remote.Tracking), and nobody can tell that from another's write. So
// Redis is asked what it holds: the answer comes behind the announcement.
// Where the announcement is handled only after the question, it is asked again.
func (c *Cache[V]) cover(ctx context.Context, filling *shard.Fill, f *keyFlight[V], it *local.Item) {
	for range coverTries {
		m := c.keys.Mark(f.Data.full)
		if m.Cover() == nil || !filling.Holds(ctx, c.policy.ReadTimeout) || c.covered(f, it, m) {
			return
		}
	}
}

// covered covers an item that Redis was seen to hold after the mark. false: something was
// announced since.
func (c *Cache[V]) covered(f *keyFlight[V], it *local.Item, m shard.Mark) (ok bool) {
	covered := it.Copy()
	covered.Cover, covered.Newer = m.Cover(), local.NoNewer
	f.Exchange(func() {
		if ok = c.client.store.Undisturbed(m); ok {
			c.put(f.Key(), covered)
		}
	})
	return ok
}

// unkeep drops an item if memory still holds that very one.
func (c *Cache[V]) unkeep(key string, it *local.Item) {
	c.flights.Supersede(key, func() {
		if c.peek(key) == it {
			c.drop(key)
		}
	})
}

// mostFills is how many loaded values are on their way to Redis at a time: a batch
// has as many as keys. More would wait for each other, and look like a server that
// is slow.
const mostFills = 128

// fills are the turns of those that store a loaded value.
type fills chan struct{}

func newFills() fills { return make(fills, mostFills) }

// enter waits for a turn. It comes soon: whoever has one gives up when Redis does
// not answer in time.
func (f fills) enter() (leave func()) {
	f <- struct{}{}
	return func() { <-f }
}
