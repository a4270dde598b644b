package evercache

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
)

// askDeleted asks Redis once more about keys that it does not have and memory has, where
// it may just have lost data: somebody may have deleted them, perhaps while this process was
// cut off. Others are lost there (Answer.Lost), and memory keeps them. It takes what is left of the
// limit of the first question, and where it is not answered that one is not either.
func (c *Cache[V]) askDeleted(ctx context.Context, keyOf func(i int) string, as []shard.Answer) {
	var full []string
	var missing []*shard.Answer
	for i := range as {
		key := keyOf(i)
		if as[i].Missing() && c.keys.Bereft(key) && lives(c.peek(key), c.client.store.Clock.Now()) {
			full, missing = append(full, c.full(key)), append(missing, &as[i])
		}
	}
	if len(full) == 0 {
		return
	}
	ctx, limit := deadline.Remainder(ctx, c.policy.ReadTimeout, time.Since(missing[0].Asked.At))
	c.keys.AskDeleted(ctx, full, missing, limit)
}

// lives reports whether an item is one that Redis should have as well: it is not at its
// end. One that was replaced is there for an outage.
func lives(it *local.Item, now int64) bool {
	return it != nil && (it.Newer == local.HasNewer || now+int64(expiryTolerance) < it.FreshUntil)
}
