package revoke

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// The set in Redis says by a count whether something was taken out of it. Whoever
// takes an entry out and repairs the count, or shortens its life, leaves no trace. So
// every process goes over what it holds, round after round, and sends it again: what
// is there changes nothing.

// pace is how quickly that is done: at most some 500 entries a second. A batch takes
// a server less than a millisecond.
type pace struct {
	round time.Duration // between two rounds
	batch time.Duration // between two batches of a round
}

var usualPace = pace{round: 30 * time.Second, batch: 500 * time.Millisecond}

// compare goes over what is held until ctx ends.
func (l *List) compare(ctx context.Context) {
	for pause(ctx, l.pace.round/2+rand.N(l.pace.round)) == nil {
		l.compareAll(ctx, func() error { return pause(ctx, l.pace.batch) })
	}
}

// compareAll is one round. It ends early where Redis cannot be asked, or is known to
// lack something: what follows it puts that back.
func (l *List) compareAll(ctx context.Context, between func() error) {
	missing := 0
	defer func() { l.tellRemoved(ctx, missing) }()
	batch := make([]entry, 0, batchEntries)
	next := func() bool {
		n, putBack, ok := l.compareBatch(ctx, batch)
		missing += n
		l.stats.pushed.Add(uint64(putBack))
		batch = batch[:0]
		return ok && between() == nil
	}
	for e := range l.set.seen() {
		if batch = append(batch, e); len(batch) == batchEntries && !next() {
			return
		}
	}
	if len(batch) > 0 {
		next()
	}
}

// compareBatch sends entries again, to a set that is complete as far as can be seen.
// Something may be missing because another process has put a later cut-off in its
// place: then it is looked at again when the stream has told of that.
func (l *List) compareBatch(ctx context.Context, es []entry) (missing, putBack int, ok bool) {
	for range compareTries {
		at, moved := l.where()
		m, _ := l.kit.Master()
		if m == nil || !at.trusted || at.master != m {
			return 0, 0, false
		}
		es = l.set.again(es, l.lastLiving(m)+uint32(leaving/time.Second))
		if len(es) == 0 {
			return 0, 0, true
		}
		missing, putBack, err := l.compareOnce(ctx, m, es, at.seq)
		switch {
		case err != nil || missing == isIncomplete:
			return 0, 0, false
		case missing != isBehind:
			return missing, putBack, true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return 0, 0, false
		}
	}
	return 0, 0, true // in the next round
}

const (
	compareTries = 20
	isIncomplete = -1
	isBehind     = -2
)

func (l *List) compareOnce(ctx context.Context, m kit.Master, es []entry, seq int64) (missing, putBack int, err error) {
	args := append(addArgs(es, nil), strconv.FormatInt(seq, 10))
	v, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), compareScript, args...)
	if err != nil {
		return 0, 0, err
	}
	answer, ok := v.([]any)
	if !ok || len(answer) != 2 {
		return 0, 0, errReply
	}
	return int(number(answer[0])), int(number(answer[1])), nil
}

// leaving is how long before its end an entry is not compared any more: another
// process may hold it for over already, by clocks that this one has not heard of yet.
const leaving = time.Minute

// removal is what a round has found missing.
type removal struct {
	entries int
	at      time.Time
}

// tellRemoved counts and tells what was missing.
func (l *List) tellRemoved(ctx context.Context, n int) {
	if n == 0 {
		return
	}
	l.stats.lost.Add(1)
	l.notes.removed.Store(&removal{n, time.Now()})
	l.kit.Log().LogAttrs(ctx, slog.LevelWarn, "revocations were removed from the denylist in redis: they are written again",
		slog.String("event", "revoke.removed"), slog.Int("entries", n))
}

// removedTold is how long a finding tells of it.
const removedTold = time.Hour

// recently is the last removal that a finding tells of; nil: none.
func recently(p *atomic.Pointer[removal]) *removal {
	if r := p.Load(); r != nil && time.Since(r.at) < removedTold {
		return r
	}
	return nil
}
