package evercache

import (
	"context"
	"time"
)

// patience is how long a write may take: the caller's context, and the write's
// own limit. The context of that limit is made when something has to be waited
// for: a timer costs a tenth of a write, and most writes wait for Redis only,
// which bounds them itself.
type patience struct {
	ctx     context.Context // the caller's
	limit   time.Duration
	end     time.Time
	limited context.Context
	cancel  context.CancelFunc
}

func newPatience(ctx context.Context, start time.Time, limit time.Duration) patience {
	return patience{ctx: ctx, limit: limit, end: start.Add(limit)}
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

// first is the limit of the first question: the whole of it where nothing has been
// waited for, since what is asked at one time shares one timer.
func (p *patience) first() time.Duration {
	if p.limited == nil {
		return p.limit
	}
	return p.left()
}

// left is the limit of one more question.
func (p *patience) left() time.Duration { return max(time.Until(p.end), time.Millisecond) }

func (p *patience) release() {
	if p.cancel != nil {
		p.cancel()
	}
}

// allowance is how long all writes of one call may wait in vain together. What a
// master takes costs nothing of it.
type allowance struct{ left time.Duration }

// spend takes off what a step has cost that began at some time and ended in r.
func (a *allowance) spend(began time.Time, r Receipt) {
	if r.Durability < Master {
		a.left -= time.Since(began)
	}
}
