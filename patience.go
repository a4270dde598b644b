package evercache

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// patience is how long a write may take: the caller's context, and the write's
// own limit. The context of that limit is made when something has to be waited
// for: a timer costs a tenth of a write, and most writes wait for Redis only,
// which bounds them itself.
type patience struct {
	ctx     context.Context // the caller's
	limit   time.Duration
	whole   time.Duration // of which limit is the remainder
	end     time.Time
	limited context.Context
	cancel  context.CancelFunc
}

func newPatience(ctx context.Context, start time.Time, limit time.Duration) patience {
	return patience{ctx: ctx, limit: limit, whole: limit, end: start.Add(limit)}
}

// bounded is the caller's context with the limit.
func (p *patience) bounded() context.Context {
	if p.limited == nil {
		p.limited, p.cancel = context.WithDeadline(p.ctx, p.end)
	}
	return p.limited
}

// over reports whether the write may take no longer.
func (p *patience) over() bool { return p.ctx.Err() != nil || !time.Now().Before(p.end) }

// first is for the first question: the whole time where nothing has been waited for,
// since what is asked at one time shares one timer.
func (p *patience) first() (context.Context, time.Duration) {
	if p.limited == nil && p.limit == p.whole {
		return p.ctx, p.limit
	}
	return p.left()
}

// left is for one more question. No node is judged by what others have left of the time.
func (p *patience) left() (context.Context, time.Duration) {
	return remote.WithWhole(p.ctx, p.whole), max(time.Until(p.end), time.Millisecond)
}

// remainder is what is left of a limit.
func remainder(ctx context.Context, limit, spent time.Duration) (context.Context, time.Duration) {
	return remote.WithWhole(ctx, limit), max(limit-spent, time.Millisecond)
}

func (p *patience) release() {
	if p.cancel != nil {
		p.cancel()
	}
}
