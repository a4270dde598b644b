package evercache

import (
	"context"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// A network may hold back a write of another process for seconds. When it arrives
// it replaces what this process wrote or deleted meanwhile. Its writer may have ended,
// and does not know what others wrote. So whoever hears that a key has changed which
// it wrote itself a moment ago asks whether what is there now is older than its own
// write, and then puts that back.

const (
	// lateMost is how late such a write may be to be found.
	lateMost = 30 * time.Second
	// undoneMost and undoneEach bound what the questions cost the server: so many keys
	// in that time. Where processes write the same keys all the time there is always
	// more, and nothing to be found: then the pause grows up to undoneRare.
	undoneMost = 256
	undoneEach = 50 * time.Millisecond
	undoneRare = time.Second
	// undoneKept bounds the keys that wait to be asked for. What is more is not.
	undoneKept = 1 << 14
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
	if len(u.keys) < undoneKept {
		u.keys[key] = struct{}{}
	}
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// take takes out keys for one round, and reports whether more are left.
func (u *undone) take() (keys []string, more bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key := range u.keys {
		if len(keys) == undoneMost {
			return keys, true
		}
		keys = append(keys, key)
		delete(u.keys, key)
	}
	return keys, false
}

// changedByOther is called for what is announced: it must be quick.
func (sh *shard) changedByOther(key string) {
	if at := sh.ledger.LastSince(key); at != 0 && at > sh.clock.precise()-int64(lateMost) {
		sh.undone.add(key)
	}
}

// watchOwn asks for what may have been undone, until ctx ends.
func (sh *shard) watchOwn(ctx context.Context) {
	for pause, more := undoneEach, false; ; {
		if !more {
			select {
			case <-ctx.Done():
				return
			case <-sh.undone.wake:
			}
		}
		if remote.Pause(ctx, pause) != nil {
			return
		}
		var keys []string
		keys, more = sh.undone.take()
		found := 0
		if node := sh.node.Load(); node != nil {
			found = sh.findUndone(ctx, node, keys)
		}
		pause = undoneAfter(pause, more && found == 0)
	}
}

// undoneAfter is the pause after a round. idle: it has found nothing, and there is more.
func undoneAfter(pause time.Duration, idle bool) time.Duration {
	if !idle {
		return undoneEach
	}
	return min(2*pause, undoneRare)
}

// findUndone puts back those of the keys that hold something older than what this
// process wrote. An error is the node's own affair: the next barrier meets it too.
func (sh *shard) findUndone(ctx context.Context, node *remote.Node, keys []string) (found int) {
	var mine []outbox.Record
	var asked []remote.Replay
	for _, key := range keys {
		if r, ok := sh.ledger.Last(key); ok && r.Kind != outbox.Touch {
			mine = append(mine, r)
			asked = append(asked, remote.Replay{Key: key, Cond: sh.condOf(&r)})
		}
	}
	if len(asked) == 0 {
		return 0
	}
	older, err := node.Older(ctx, asked, lateMost, sh.opts.WriteTimeout)
	if err != nil {
		return 0
	}
	for i := range mine {
		if older[i] {
			sh.undoneBy(&mine[i])
			found++
		}
	}
	return found
}

// undoneBy puts a write or delete of ours back.
func (sh *shard) undoneBy(r *outbox.Record) {
	k := sh.classOf(r.Key)
	switch {
	case r.Class != "":
		sh.recallUndone(r.Key)
	case k != nil: // the delete of a prefix
		r.Class = k.prefix
		sh.sendAgain(*r)
	}
}

// recallUndone takes a record out of the ledger and sends it again.
func (sh *shard) recallUndone(key string) {
	if r, ok := sh.ledger.Recall(key); ok {
		sh.sendAgain(r)
	}
}

// sendAgain puts what a master has taken back into the outbox.
func (sh *shard) sendAgain(r outbox.Record) {
	sh.spawn(func() {
		rs := []outbox.Record{r}
		sh.outbox.Return(rs, nil)
		sh.journal.record(r, sh) // the barrier that covers what was sent before does not vouch for it
		sh.journal.dropped(sh, rs)
		sh.keptWrite(errUndone)
	})
}
