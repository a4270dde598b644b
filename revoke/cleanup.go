package revoke

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	sweepEach = 10 * time.Second
	pruneEach = 30 * time.Second
	pruneMost = 20 // thousands at a time
)

// cleanUp removes what has expired, here and in Redis, and from the journal what is
// confirmed.
func (l *List) cleanUp(ctx context.Context) {
	sweep := time.NewTicker(sweepEach)
	defer sweep.Stop()
	prune := time.NewTimer(pruneEach/2 + rand.N(pruneEach))
	defer prune.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case c := <-l.confirms:
			l.forget(l.own.confirmed(c.master, c.sentAt))
		case <-sweep.C:
			l.sweep()
		case <-prune.C:
			l.prune(ctx)
			prune.Reset(pruneEach/2 + rand.N(pruneEach))
		}
	}
}

// sweep removes what has expired from memory. It reads the clocks of the other
// processes first.
func (l *List) sweep() {
	m, _ := l.kit.Master()
	if m != nil {
		if _, err := l.pruneOnce(l.ctx, m, 0); err != nil {
			return
		}
		l.renew(l.ctx, m)
	}
	dead := l.lastLiving(m)
	l.set.sweep(dead)
	l.forget(l.own.expire(dead))
}

// forget takes entries out of the journal.
func (l *List) forget(keys []key) {
	for _, k := range keys {
		l.kit.Forget(l.journalKey(k))
	}
}

// prune removes from Redis what has expired by every clock.
func (l *List) prune(ctx context.Context) {
	m, _ := l.kit.Master()
	if m == nil || !l.known.Load() {
		return
	}
	for range pruneMost {
		if n, err := l.pruneOnce(ctx, m, 1000); err != nil || n < 1000 {
			return
		}
	}
}
