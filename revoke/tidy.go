package revoke

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

const (
	sweepEach = 10 * time.Second
	pruneEach = 30 * time.Second
	pruneMost = 20 // thousands at a time
)

// tidy lets go of what is over, here and in Redis, and of what is confirmed.
func (l *List) tidy(ctx context.Context) {
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

// sweep lets go of what has expired.
func (l *List) sweep() {
	m, _ := l.kit.Master()
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

// lastLiving is the second before which what has expired can go: by the clock
// that is behind, ours or the server's, less the skew.
func (l *List) lastLiving(m kit.Master) uint32 {
	now := l.wall().UnixMilli()
	if m != nil {
		if low, high := m.ServerTime(time.Now()); high > 0 {
			now = min(now, low)
		}
	}
	return uint32(max(0, min((now-l.policy.ClockSkew.Milliseconds())/1000, math.MaxUint32)))
}

// prune lets Redis drop what has expired by its own clock.
func (l *List) prune(ctx context.Context) {
	m, _ := l.kit.Master()
	if m == nil || !l.known.Load() {
		return
	}
	skew := strconv.FormatInt(int64(l.policy.ClockSkew/time.Second), 10)
	for range pruneMost {
		v, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), pruneScript, skew)
		n := number(v)
		l.stats.pruned.Add(uint64(max(0, n)))
		if err != nil || n < 1000 {
			return
		}
	}
}
