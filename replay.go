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
func (sh *shard) wakeReplay() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

// keptWrite notes that the outbox has got a write, and asks for its replay.
func (sh *shard) keptWrite(cause error) {
	if sh.node.Load() != nil {
		sh.status.apply(writesPending, cause)
	}
	sh.wakeReplay()
}

// replay sends what the outbox holds whenever there is a master, until ctx ends.
func (sh *shard) replay(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-sh.wake:
		}
		node := sh.node.Load()
		if node == nil {
			continue
		}
		if !sh.outbox.Empty() {
			_ = remote.Pause(ctx, rand.N(replayJitter))
		}
		switch err := sh.drain(ctx, node); {
		case sh.node.Load() != node:
		case err != nil:
			sh.status.blame(err)
			if k := remote.KindOf(err); k == remote.Timeout || k == remote.Conn || k == remote.Crowded { // the node is kept, and nobody else asks again
				_ = remote.Pause(ctx, replayAgain)
				sh.wakeReplay()
			}
		default:
			sh.status.replayed(sh.outbox.Empty)
		}
	}
}
