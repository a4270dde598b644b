package remote

import (
	"context"
	"time"
)

// A call may have less time than its kind of call has: whoever waited for a master,
// or has asked it something else before, has the remainder only. That the node does
// not answer within a remainder says as much about it as the remainder is of the whole.

type wholeKey struct{}

// WithWhole says of calls with ctx, whose limit is a remainder, what the whole was.
// Of a remainder of a remainder the first whole counts.
func WithWhole(ctx context.Context, whole time.Duration) context.Context {
	if w, _ := ctx.Value(wholeKey{}).(time.Duration); w >= whole {
		return ctx
	}
	return context.WithValue(ctx, wholeKey{}, whole)
}

// judgedBy is what a call that took long is judged by: its limit, or what that is the
// remainder of. ok is false where it ended too early to say anything.
func (c *call) judgedBy(caller context.Context, k Kind) (limit time.Duration, ok bool) {
	if c.limit == 0 || k != Timeout && c.took <= c.limit/2 {
		return c.limit, true
	}
	whole, _ := caller.Value(wholeKey{}).(time.Duration)
	if whole <= c.limit {
		return c.limit, true
	}
	return whole, k != Timeout || c.took >= whole/2
}
