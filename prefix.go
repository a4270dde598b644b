package evercache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/shard"
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
	tier, result := c.client.countWrite(stats.OpDeletePrefix, r, err)
	c.tellServed(ctx, stats.OpDeletePrefix, tier, result)
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
	d, err := c.keys.BeginDelete(prefix)
	switch {
	case errors.Is(err, shard.ErrNoScan):
		return 0, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case err != nil:
		return c.keepPrefix(ctx, prefix, err)
	}
	select {
	case c.client.prefixing <- struct{}{}:
		defer func() { <-c.client.prefixing }()
	default:
		return c.keepPrefix(ctx, prefix, errPrefixing)
	}
	bounded, cancel := context.WithTimeout(ctx, prefixTimeout)
	defer cancel()
	since := c.l1.Note(c.id)
	defer since.End()
	c.dropPrefix(prefix)
	n, outcome, err := d.Send(bounded)
	c.dropOf(since.Keys(), beginsWith(prefix)) // what was read from Redis meanwhile
	switch {
	case outcome == shard.Taken:
		return n, Receipt{Durability: Master}, nil
	case ctx.Err() != nil && !errors.Is(err, shard.ErrChanged):
		return n, Receipt{}, context.Cause(ctx)
	case outcome == shard.Rejected:
		return n, Receipt{}, fmt.Errorf("evercache: %w", err)
	case errors.Is(err, shard.ErrNoScan):
		return n, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return c.keepPrefix(ctx, prefix, err)
}

var errPrefixing = errors.New("others are deleting prefixes at this moment")

// keepPrefix keeps the wish for the next master.
func (c *Cache[V]) keepPrefix(ctx context.Context, prefix string, cause error) (int, Receipt, error) {
	if c.client.opts.MemoryOnly {
		return c.dropPrefix(prefix), Receipt{}, nil
	}
	if c.policy.OutageWrites == RefuseWrites && !c.client.store.MemoryIsAll() {
		return 0, Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, cause)
	}
	commit, err := c.keys.KeepPrefix(prefix)
	if err != nil {
		return 0, Receipt{}, fmt.Errorf("%w: %w: %w", ErrUnavailable, err, cause)
	}
	c.dropPrefix(prefix)
	c.client.store.KeptPrefix(cause)
	r, err := kept(ctx, commit, c.policy.WriteTimeout)
	return -1, r, err
}
