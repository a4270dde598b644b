package evercache

import (
	"context"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// A network may hold back a write of another process for seconds. When it arrives
// it replaces what this process wrote or deleted meanwhile. Its writer finds that when
// it sends the write again (see noticed); but it may have ended. So whoever hears that
// a key has changed which it wrote itself a moment ago asks whether what is there now
// is older than its own write, and then puts that back.

const (
	// lateMost is how late such a write may be to be found.
	lateMost = 30 * time.Second
	// undoneMost and undoneEach bound what the questions cost the server: so many keys
	// in that time. What is more is not asked for. Where processes write the same keys
	// all the time there is always more: then the pause grows up to undoneRare.
	undoneMost = 64
	undoneEach = 50 * time.Millisecond
	undoneRare = time.Second
)

// undone are the keys to ask for.
type undone struct {
	wake chan struct{} // holds one

	mu   sync.Mutex // guards keys
	keys map[string]struct{}
}

func newUndone() *undone {
	return &undone{wake: make(chan struct{}, 1), keys: map[string]struct{}{}}
}

// add notes a key, if there is room.
func (u *undone) add(key string) {
	u.mu.Lock()
	if len(u.keys) < undoneMost {
		u.keys[key] = struct{}{}
	}
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// take returns the keys, and begins anew.
func (u *undone) take() map[string]struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	keys := u.keys
	u.keys = map[string]struct{}{}
	return keys
}

// changedByOther is called for what is announced: it must be quick.
func (c *Client) changedByOther(key string) {
	if at := c.ledger.LastSince(key); at != 0 && at > c.clock.precise()-int64(lateMost) {
		c.undone.add(key)
	}
}

// watchOwn asks for what may have been undone, until ctx ends.
func (c *Client) watchOwn(ctx context.Context) {
	for pause := undoneEach; ; {
		select {
		case <-ctx.Done():
			return
		case <-c.undone.wake:
		}
		if remote.Pause(ctx, pause) != nil {
			return
		}
		keys := c.undone.take()
		pause = undoneAfter(pause, len(keys))
		if node := c.node.Load(); node != nil {
			c.findUndone(ctx, node, keys)
		}
	}
}

// undoneAfter is the pause after a round of so many keys.
func undoneAfter(pause time.Duration, keys int) time.Duration {
	if keys < undoneMost {
		return undoneEach
	}
	return min(2*pause, undoneRare)
}

// findUndone puts back those of the keys that hold something older than what this
// process wrote. An error is the node's own affair: the next barrier meets it too.
func (c *Client) findUndone(ctx context.Context, node *remote.Node, keys map[string]struct{}) {
	var mine []outbox.Record
	var asked []remote.Replay
	for key := range keys {
		if r, ok := c.ledger.Last(key); ok && r.Kind != outbox.Touch {
			mine = append(mine, r)
			asked = append(asked, remote.Replay{Key: key, Cond: c.condOf(&r)})
		}
	}
	if len(asked) == 0 {
		return
	}
	older, err := node.Older(ctx, asked, lateMost, c.opts.ReadTimeout)
	if err != nil {
		return
	}
	for i := range mine {
		if older[i] {
			c.undoneBy(&mine[i])
		}
	}
}

// undoneBy puts a write or delete of ours back.
func (c *Client) undoneBy(r *outbox.Record) {
	s := c.subscriberOf(r.Key)
	switch {
	case r.Class != "":
		c.noticed(r.Key)
	case s != nil: // the delete of a prefix
		r.Class = s.prefixed()
		c.sendAgain(*r)
	}
}
