package evercache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/stats"
)

// mostPrefixes is how many DeletePrefix go over the keyspace themselves at the same
// time. Further ones are kept: the replayer deletes all that wait in one way over
// the keys.
const mostPrefixes = 4

// prefixTimeout is how long a DeletePrefix goes over the keyspace itself; then
// it is kept, and the replayer goes on.
const prefixTimeout = 30 * time.Second

// DeletePrefix removes every key of the class that begins with prefix (empty:
// the whole class), here at once and in Redis with SCAN, and tells how many
// Redis had. A key written at the same time may survive or not. Without a
// master, while four others are under way, or when it takes longer than 30 s, n is
// -1 and the wish is kept: it is carried out before those keys are read from Redis again; ErrUnavailable where the policy refuses
// writes or too many wait.
func (c *Cache[V]) DeletePrefix(ctx context.Context, prefix string) (n int, r Receipt, err error) {
	start := time.Now()
	n, r, err = c.deletePrefix(ctx, prefix)
	c.client.countWrite(stats.OpDeletePrefix, r, err)
	c.client.durations[stats.OpDeletePrefix].Observe(time.Since(start))
	return n, r, err
}

func (c *Cache[V]) deletePrefix(ctx context.Context, prefix string) (int, Receipt, error) {
	if !c.client.writers.Enter() {
		return 0, Receipt{}, ErrClosed
	}
	defer c.client.writers.Leave()
	switch {
	case len(prefix) > MaxKeyBytes:
		return 0, Receipt{}, validKey(prefix)
	case ctx.Err() != nil:
		return 0, Receipt{}, context.Cause(ctx)
	}
	node := c.client.shard.Node.Load()
	if node == nil {
		return c.keepPrefix(ctx, prefix, c.client.shard.AwayCause())
	}
	if node.Lacks("SCAN") { // kept, it would hold up all writes under the prefix for good
		return 0, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, errNoScan)
	}
	if !c.client.shard.Outbox.Empty() { // older writes under the prefix may wait there
		return c.keepPrefix(ctx, prefix, errBehind)
	}
	select {
	case c.client.prefixing <- struct{}{}:
		defer func() { <-c.client.prefixing }()
	default:
		return c.keepPrefix(ctx, prefix, errPrefixing)
	}
	bounded, cancel := context.WithTimeout(ctx, prefixTimeout)
	defer cancel()
	p := outbox.Prefix{Text: c.full(prefix), Since: c.client.shard.Clock.Now()}
	c.dropPrefix(prefix)
	n, at, err := c.keys.DeletePrefix(bounded, node, prefix)
	p.Lo, p.Hi = at, at
	c.dropPrefix(prefix) // what was read from Redis meanwhile
	switch k := remote.KindOf(err); {
	case err == nil:
		if !c.client.shard.TakenPrefix(p, node) {
			return c.keepPrefix(ctx, prefix, errChanged)
		}
		return n, Receipt{Durability: Master}, nil
	case ctx.Err() != nil:
		return n, Receipt{}, context.Cause(ctx)
	case k == remote.Logical:
		return n, Receipt{}, fmt.Errorf("evercache: %w", err)
	case node.Lacks("SCAN"):
		return n, Receipt{}, fmt.Errorf("%w: %w: %w", ErrUnavailable, errNoScan, err)
	}
	return c.keepPrefix(ctx, prefix, err)
}

var errPrefixing = errors.New("others are deleting prefixes at this moment")

var errNoScan = errors.New("redis has no SCAN, or its ACL forbids it: keys cannot be found by their prefix")

// keepPrefix keeps the wish for the next master.
func (c *Cache[V]) keepPrefix(ctx context.Context, prefix string, cause error) (int, Receipt, error) {
	if c.client.opts.MemoryOnly {
		return c.dropPrefix(prefix), Receipt{}, nil
	}
	if c.policy.OutageWrites == RefuseWrites && !c.client.shard.MemoryIsAll() {
		return 0, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, cause)
	}
	p := outbox.Prefix{Text: c.full(prefix), Since: c.client.shard.Clock.Now()}
	if err := c.client.shard.Outbox.PutPrefix(p); err != nil {
		return 0, Receipt{}, fmt.Errorf("%w: %w: %w", ErrUnavailable, err, cause)
	}
	commit := c.client.shard.Journal.Prefix(p)
	c.dropPrefix(prefix)
	c.client.shard.KeptWrite(cause)
	r, err := kept(ctx, commit, c.policy.WriteTimeout)
	return -1, r, err
}
