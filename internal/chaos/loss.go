package chaos

import (
	"context"
	"fmt"
	"time"
)

// Unheld are the keys of writes in the history that the node does not hold with
// the value written. Ask when the set is well and nothing waits in a client.
func Unheld(ctx context.Context, n Node, h *History) (map[string]bool, error) {
	var writes []Call
	for _, c := range h.Calls() {
		if c.Op == Write {
			writes = append(writes, c)
		}
	}
	values, err := n.values(ctx, writes)
	if err != nil {
		return nil, fmt.Errorf("chaos: ask %s what it holds: %w", n.Addr, err)
	}
	unheld := map[string]bool{}
	for i, c := range writes {
		if values[i] != any(c.Value) {
			unheld[c.Key] = true
		}
	}
	return unheld, nil
}

const askBatch = 500

// values are what the node holds under the keys of the writes.
func (n Node) values(ctx context.Context, writes []Call) ([]any, error) {
	c, err := n.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var values []any
	for len(writes) > 0 {
		batch := writes[:min(askBatch, len(writes))]
		writes = writes[len(batch):]
		commands := make([][]string, len(batch))
		for i, w := range batch {
			commands[i] = []string{"GET", w.Key}
		}
		replies, err := c.ask(5*time.Second, commands...)
		if err != nil {
			return nil, err
		}
		values = append(values, replies...)
	}
	return values, ctx.Err()
}
