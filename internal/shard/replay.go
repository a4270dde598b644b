package shard

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// replayJitter spreads the replays of many processes when a master returns.
const replayJitter = 20 * time.Millisecond

// replayAgain is how soon what took too long is sent again.
const replayAgain = 100 * time.Millisecond

// WakeReplay asks the replayer to look at the outbox.
func (sh *Shard) WakeReplay() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

// wakeReplays asks all replayers.
func (st *Store) wakeReplays() {
	for _, sh := range st.shards() {
		sh.WakeReplay()
	}
}

// KeptWrite notes that the outbox has got a write of a key, and asks for its replay.
func (st *Store) KeptWrite(full string, cause error) { st.of(full).keptWrite(cause) }

// KeptPrefix is KeptWrite for the delete of a prefix.
func (st *Store) KeptPrefix(cause error) {
	for _, sh := range st.shards() {
		sh.keptWrite(cause)
	}
}

func (sh *Shard) keptWrite(cause error) {
	if sh.memoryOnly() {
		return
	}
	if sh.Node.Load() != nil {
		sh.status.Apply(writesPending, cause)
	}
	sh.WakeReplay()
}

// replay sends what the outbox holds whenever there is a master, until ctx ends.
func (sh *Shard) replay(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-sh.wake:
		}
		node := sh.Node.Load()
		if node == nil {
			continue
		}
		if !sh.Outbox.Empty() {
			_ = remote.Pause(ctx, rand.N(replayJitter))
		}
		switch err := sh.Drain(ctx, node); {
		case sh.Node.Load() != node:
		case err != nil:
			sh.status.blame(err)
			if errors.Is(err, errAwaitsAnchor) { // more slots wake it too
				time.AfterFunc(time.Second, sh.WakeReplay)
			}
			if k := remote.KindOf(err); k == remote.Timeout || k == remote.Conn || k == remote.Crowded { // the node is kept, and nobody else asks again
				_ = remote.Pause(ctx, replayAgain)
				sh.WakeReplay()
			}
		default:
			sh.status.replayed(sh.nothingWaits)
		}
	}
}
