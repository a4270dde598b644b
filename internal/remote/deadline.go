package remote

import (
	"context"
	"sync/atomic"
	"time"
)

// deadlines bounds calls. A context of its own for each call costs as much as
// the rest of our work on it; where the caller has nothing that could end
// earlier, calls that begin at about the same time share one.
type deadlines struct {
	shared [8]atomic.Pointer[sharedDeadline]
}

type sharedDeadline struct {
	ctx   context.Context
	limit time.Duration
	until time.Time // new calls join before
}

// sharing is the part of its limit by which a call may get more.
const sharing = 20

// bound gives ctx an end at limit from now at the earliest, and a twentieth of
// the limit later at the latest.
func (d *deadlines) bound(ctx context.Context, now time.Time, limit time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && !end.After(now.Add(limit)) {
		return ctx, func() {}
	}
	if ctx.Done() != nil {
		return context.WithDeadline(ctx, now.Add(limit))
	}
	return d.join(now, limit), func() {}
}

func (d *deadlines) join(now time.Time, limit time.Duration) context.Context {
	slot := &d.shared[uint64(limit/time.Millisecond)%uint64(len(d.shared))]
	if s := slot.Load(); s != nil && s.limit == limit && now.Before(s.until) {
		return s.ctx
	}
	until := now.Add(limit / sharing)
	ctx, cancel := context.WithDeadline(context.Background(), until.Add(limit))
	context.AfterFunc(ctx, cancel) // it ends by itself; nobody can know the last who uses it
	slot.Store(&sharedDeadline{ctx: ctx, limit: limit, until: until})
	return ctx
}
