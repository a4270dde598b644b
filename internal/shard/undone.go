package shard

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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
	// LateMost is how late such a write may be to be found.
	LateMost = 30 * time.Second
	// undoneMost and UndoneEach bound what the questions cost the server: so many keys
	// in that time. Where processes write the same keys all the time there is always
	// more, and nothing to be found: then the pause grows up to undoneRare.
	undoneMost = 256
	UndoneEach = 50 * time.Millisecond
	undoneRare = time.Second
	// undoneKept and undoneBytes bound the keys that wait to be asked for. What is more
	// is not.
	undoneKept  = 1 << 14
	undoneBytes = 4 << 20
	// undoneTries is how often a server is asked that does not answer. After that the
	// write is sent again unasked: the replay looks at what others wrote, too.
	undoneTries = 60
	// undoneAgain bounds how often one write is put back. So many late writes of one key do
	// not come; but a server that goes on calling older what we have put there may.
	undoneAgain = 16
)

// undone are the keys to ask for.
type undone struct {
	wake chan struct{} // holds one

	watching atomic.Int64 // as many as early has

	mu    sync.Mutex // guards what follows
	keys  map[string]int
	bytes int
	early map[*earlyKeys]bool
	under int // taken out and not answered, or on the way back into the outbox
}

// question is a key to ask for, and how often that was done without an answer.
type question struct {
	key   string
	tries int
}

func newUndone() *undone {
	return &undone{wake: make(chan struct{}, 1), keys: map[string]int{}, early: map[*earlyKeys]bool{}}
}

// Add notes a key, if there is room.
func (u *undone) Add(key string) {
	u.mu.Lock()
	u.hold(question{key: key})
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// hold reports whether the key waits; the caller holds mu.
func (u *undone) hold(q question) bool {
	if _, is := u.keys[q.key]; is {
		return true
	}
	if len(u.keys) >= undoneKept || u.bytes+len(q.key) > undoneBytes {
		return false
	}
	u.keys[q.key] = q.tries
	u.bytes += len(q.key)
	return true
}

// take takes out keys for one round, and reports whether more are left.
func (u *undone) take() (qs []question, more bool) {
	u.mu.Lock()
	defer func() { u.under += len(qs); u.mu.Unlock() }()
	for key, tries := range u.keys {
		if len(qs) == undoneMost {
			return qs, true
		}
		qs = append(qs, question{key, tries})
		u.bytes -= len(key)
		delete(u.keys, key)
	}
	return qs, false
}

// again lets those wait for another round that got no answer, and returns those for
// which it was the last one, or there is no room.
func (u *undone) again(qs []question) (givenUp []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, q := range qs {
		if q.tries++; q.tries >= undoneTries || !u.hold(q) {
			givenUp = append(givenUp, q.key)
		}
	}
	return givenUp
}

// busy counts keys in, or out, that are dealt with outside of the list.
func (u *undone) busy(n int) {
	u.mu.Lock()
	u.under += n
	u.mu.Unlock()
}

// Left is how many keys are still to be dealt with.
func (u *undone) Left() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.keys) + u.under
}

// Waits reports whether there is anything to ask for.
func (u *undone) Waits() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.keys) > 0
}

// changedByOther is called for what is announced: it must be quick.
func (sh *Shard) changedByOther(key string) {
	sh.undone.addEarly(key)
	if at := sh.Ledger.LastSince(key); at != 0 && at > sh.Clock.Now()-int64(LateMost) {
		sh.undone.Add(key)
	}
}

// changedUnheard is called when a master is reached: what others changed while it was
// not has been announced to nobody. So whatever this process wrote a moment ago is
// asked for.
func (sh *Shard) changedUnheard() {
	for _, key := range sh.Ledger.Recent(sh.Clock.Now()-int64(LateMost), undoneKept) {
		sh.undone.Add(key)
	}
}

// watchOwn asks for what may have been undone, until ctx ends.
func (sh *Shard) watchOwn(ctx context.Context) {
	for pause, more := UndoneEach, false; ; {
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
		var found int
		found, more = sh.askUndone(ctx)
		pause = undoneAfter(pause, more && found == 0)
	}
}

// askUndone is one round. more: something is left to be asked for. Without a master
// all of it waits for one.
func (sh *Shard) askUndone(ctx context.Context) (found int, more bool) {
	node := sh.Node.Load()
	if node == nil {
		return 0, sh.undone.Waits()
	}
	qs, more := sh.undone.take()
	found, unanswered := sh.findUndone(ctx, node, qs)
	for _, key := range sh.undone.again(unanswered) {
		if r, ok := sh.Ledger.Last(key); ok && r.Kind != outbox.Touch {
			sh.undoneBy(&r)
		}
	}
	sh.undone.busy(-len(qs))
	return found, more || len(unanswered) > 0
}

// undoneAfter is the pause after a round. idle: it has found nothing, and there is more.
func undoneAfter(pause time.Duration, idle bool) time.Duration {
	if !idle {
		return UndoneEach
	}
	return min(2*pause, undoneRare)
}

// findUndone puts back those of the keys that hold something older than what this
// process wrote, and returns those for which the node had no answer: it hangs, reads its
// data from disk, or is replaced.
func (sh *Shard) findUndone(ctx context.Context, node *remote.Node, qs []question) (found int, unanswered []question) {
	var mine []outbox.Record
	var asked []remote.Replay
	var of []question
	for _, q := range qs {
		if sh.parted(q.key) {
			continue // what is owed to it is sent to its next master
		}
		if r, ok := sh.Ledger.Last(q.key); ok && r.Kind != outbox.Touch {
			mine = append(mine, r)
			asked = append(asked, remote.Replay{Key: q.key, Cond: sh.condOf(&r)})
			of = append(of, q)
		}
	}
	if len(asked) == 0 {
		return 0, nil
	}
	ages, _ := node.Older(ctx, asked, LateMost, sh.Config.WriteTimeout) // the error is in each age
	for i := range mine {
		switch ages[i] {
		case remote.CertainlyOlder:
			if mine[i].Undone < undoneAgain {
				sh.undoneBy(&mine[i])
				found++
			}
		case remote.Unanswered:
			unanswered = append(unanswered, of[i])
		}
	}
	return found, unanswered
}

// undoneBy puts a write or delete of ours back.
func (sh *Shard) undoneBy(r *outbox.Record) {
	k := sh.ClassOf(r.Key)
	switch {
	case r.Class != "":
		sh.recallUndone(r.Key)
	case k != nil: // the delete of a prefix
		r.Class, r.Slot = k.Prefix, sh.slotOf(r.Key)
		sh.sendAgain(*r)
	}
}

// recallUndone takes a record out of the ledger and sends it again.
func (sh *Shard) recallUndone(key string) {
	if r, ok := sh.Ledger.Recall(key); ok {
		r.Undone++
		sh.sendAgain(r)
	}
}

var errUndone = errors.New("a write of this process may have been undone by a late one of another")

// sendAgain puts what a master has taken back into the outbox.
func (sh *Shard) sendAgain(r outbox.Record) {
	sh.undone.busy(1)
	ok := sh.Spawn(func() {
		defer sh.undone.busy(-1)
		rs := []outbox.Record{r}
		sh.Outbox.Return(rs, nil)
		sh.journal.record(r, sh.Store) // the barrier that covers what was sent before does not vouch for it
		sh.journal.dropped(sh.Store, rs)
		sh.keptWrite(errUndone)
	})
	if !ok {
		sh.undone.busy(-1)
	}
}
