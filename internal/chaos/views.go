package chaos

import (
	"context"
	"time"
)

const (
	hearMost = 3 * time.Second  // how long after the last write a process may have an older value
	wordMost = 30 * time.Second // how long a run waits for Redis to answer its processes, for all keys together
)

// Views is what each process answers in the end, when all is well and nobody writes any
// more. held is what the masters hold. On a busy machine a question may still get no
// answer of Redis in time. Memory answers in place of it then, as far as it can, and
// says so: such an answer is not taken, but the process is asked again.
func Views(ctx context.Context, parties []Party, keys []Key, held map[Key]Value) (views []map[Key]Value) {
	q := questions{held: held, hear: time.Now().Add(hearMost), left: wordMost}
	for _, p := range parties {
		view := map[Key]Value{}
		for _, k := range keys {
			view[k] = q.ask(ctx, p, k)
		}
		views = append(views, view)
	}
	return views
}

// questions are those of one run.
type questions struct {
	held map[Key]Value
	hear time.Time     // until when an older value is no fault
	left time.Duration // of wordMost
}

// ask asks until the answer counts.
func (q *questions) ask(ctx context.Context, p Party, k Key) Value {
	for {
		asked := time.Now()
		a := p.Do(ctx, Look, k.String(), Nothing)
		again := 5 * time.Millisecond
		switch {
		case ctx.Err() != nil:
			return a.holds()
		case q.left > 0 && (!a.counts() || !a.vouched() && a.holds() != q.held[k]):
			again = 50 * time.Millisecond
			q.left -= time.Since(asked) + again
		case a.holds() == q.held[k] || !time.Now().Before(q.hear) || !a.counts():
			return a.holds()
		}
		time.Sleep(again)
	}
}

// counts reports whether it is what the process answers when all is well.
func (a Answer) counts() bool {
	return a.Outcome == Missing || a.Outcome == Found && a.Fresh && !a.Fallback
}

// vouched reports whether the process vouches for it. Its master may be in use again a
// moment after memory was asked: such an answer has no cause.
func (a Answer) vouched() bool {
	return a.Outcome == Missing || a.Coherent || a.Source == FromRedis
}

func (a Answer) holds() Value {
	if a.Outcome != Found {
		return Nothing
	}
	return a.Value
}
