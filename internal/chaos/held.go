package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Keys are the keys of a trace that were written or read.
func Keys(events []Event) []Key {
	seen := map[Key]struct{}{}
	var keys []Key
	for _, e := range events {
		if _, ok := seen[e.Key]; !ok && e.Act != RemovePrefix {
			seen[e.Key] = struct{}{}
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// Held asks a node for keys; class is what their names begin with in Redis.
func Held(ctx context.Context, n Node, class string, keys []Key) (map[Key]Value, error) {
	return HeldAs(ctx, n, func(k Key) string { return class + k.String() }, keys)
}

// HeldAs is Held where keys have other names in Redis.
func HeldAs(ctx context.Context, n Node, name func(Key) string, keys []Key) (map[Key]Value, error) {
	c, err := n.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("chaos: ask %s what it holds: %w", n.Addr, err)
	}
	defer c.Close()
	held := make(map[Key]Value, len(keys))
	for batch := range slices.Chunk(keys, askBatch) {
		commands := make([][]string, len(batch))
		for i, k := range batch {
			commands[i] = []string{"GET", name(k)}
		}
		replies, err := c.ask(5*time.Second, commands...)
		if err != nil {
			return nil, fmt.Errorf("chaos: ask %s what it holds: %w", n.Addr, err)
		}
		for i, r := range replies {
			if s, ok := r.(string); ok {
				held[batch[i]] = ParseValue(s)
			}
		}
	}
	return held, ctx.Err()
}
