package evercache

import (
	"context"

	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
)

// A class without an L1TTL asks Redis at every read, though the feed tells of every change.
// Of a value that memory holds, and that has not changed, the end is known: Redis need not
// be asked for it again.

// asItIs reports whether values are in memory as they are in Redis.
func asItIs[V any](c Codec[V]) bool {
	switch any(c).(type) {
	case bytesCodec, stringCodec:
		return true
	}
	return false
}

// held is what memory holds of a key, where its end stands: nobody has announced a change
// of it since it was read or written, nor has this process changed its end (see touched),
// and the stream that would tell is the one of m.
func (c *Cache[V]) held(key string, m shard.Mark) (it *local.Item, h shard.Held, ok bool) {
	if !c.asItIs {
		return nil, h, false
	}
	it = c.peek(key)
	if it == nil || it.Absent || it.Newer != local.NoNewer || it.Alone() || it.TrustUntil == 0 || it.End == (local.End{}) {
		return nil, h, false
	}
	if cover := m.Cover(); cover == nil || it.Cover != cover || !cover.Covers(c.client.store.Clock.Now()) {
		return nil, h, false
	}
	h.End, h.Mark = shard.End(it.End), m
	switch v := any(valueOf[V](it)).(type) {
	case []byte:
		h.Bytes = v
	case string:
		h.Text = v
	}
	n := h.Size()
	return it, h, n > 0 && n <= shard.MostHeld
}

// consultHeld is consult for what memory holds.
func (c *Cache[V]) consultHeld(ctx context.Context, key, full string, m shard.Mark, it *local.Item, h *shard.Held) answer[V] {
	a := c.keys.Read(ctx, full, h, c.policy.ReadTimeout)
	if a.Same && c.policy.L1TTL == 0 { // else it may be served from memory for a while again
		return answer[V]{it: it, source: SourceRedis, missed: a.Asked, kept: true}
	}
	out := c.heeded(ctx, key, m, a)
	if out.again {
		return c.consultMaster(ctx, key, m)
	}
	return out
}
