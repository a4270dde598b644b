// Package deadline is how long a call may take, in parts.
package deadline

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Budget is how long a write may take: the caller's context, and the write's
// own limit. The context of that limit is made when something has to be waited
// for: a timer costs a tenth of a write, and most writes wait for Redis only,
// which bounds them itself.
type Budget struct {
	Ctx     context.Context // the caller's
	limit   time.Duration
	Whole   time.Duration // of which limit is the remainder
	end     time.Time
	limited context.Context
	cancel  context.CancelFunc
}

func New(ctx context.Context, start time.Time, limit time.Duration) Budget {
	return Budget{Ctx: ctx, limit: limit, Whole: limit, end: start.Add(limit)}
}

// Bounded is the caller's context with the limit.
func (p *Budget) Bounded() context.Context {
	if p.limited == nil {
		p.limited, p.cancel = context.WithDeadline(p.Ctx, p.end)
	}
	return p.limited
}

// Over reports whether the write may take no longer.
func (p *Budget) Over() bool { return p.Ctx.Err() != nil || !time.Now().Before(p.end) }

// First is for the first question: the whole time where nothing has been waited for,
// since what is asked at one time shares one timer.
func (p *Budget) First() (context.Context, time.Duration) {
	if p.limited == nil && p.limit == p.Whole {
		return p.Ctx, p.limit
	}
	return p.Left()
}

// Left is for one more question. No node is judged by what others have left of the time.
func (p *Budget) Left() (context.Context, time.Duration) {
	return remote.WithWhole(p.Ctx, p.Whole), max(time.Until(p.end), time.Millisecond)
}

// Remainder is what is left of a limit.
func Remainder(ctx context.Context, limit, spent time.Duration) (context.Context, time.Duration) {
	return remote.WithWhole(ctx, limit), max(limit-spent, time.Millisecond)
}

func (p *Budget) Release() {
	if p.cancel != nil {
		p.cancel()
	}
}
