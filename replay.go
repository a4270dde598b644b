package evercache

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// replayJitter spreads the replays of many processes when a master returns.
const replayJitter = 20 * time.Millisecond

// replayAgain is how soon what took too long is sent again.
const replayAgain = 100 * time.Millisecond

// wakeReplay asks the replayer to look at the outbox.
func (c *Client) wakeReplay() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// keptWrite notes that the outbox has got a write, and asks for its replay.
func (c *Client) keptWrite(cause error) {
	if c.node.Load() != nil {
		c.status.apply(writesPending, cause)
	}
	c.wakeReplay()
}

// replay sends what the outbox holds whenever there is a master, until ctx ends.
func (c *Client) replay(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		node := c.node.Load()
		if node == nil {
			continue
		}
		if !c.outbox.Empty() {
			_ = remote.Pause(ctx, rand.N(replayJitter))
		}
		switch err := c.drain(ctx, node); {
		case c.node.Load() != node:
		case err != nil:
			c.status.blame(err)
			if k := remote.KindOf(err); k == remote.Timeout || k == remote.Conn || k == remote.Crowded { // the node is kept, and nobody else asks again
				_ = remote.Pause(ctx, replayAgain)
				c.wakeReplay()
			}
		default:
			c.status.replayed(c.outbox.Empty)
		}
	}
}
