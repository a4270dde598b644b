package shard

import (
	"context"
	"log/slog"
	"time"

	"github.com/evercache/evercache/internal/errsummary"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/trace"
)

// calls tells the log and the tracer of what callers ask of Redis, with their contexts.
type calls struct {
	tracer   trace.Tracer // nil: nobody traces
	log      *slog.Logger
	failures *errsummary.Summary // nil: nobody wants to know
}

func newCalls(o Config) *calls {
	return &calls{tracer: o.Tracer, log: o.Log, failures: o.CallFailures}
}

type backgroundKey struct{}

// inBackground marks the context of what the client does on its own: nobody waits for it.
func inBackground(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

func isBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

// CallStart is called before each command.
func (s *calls) CallStart(ctx context.Context, c trace.Call) context.Context {
	if s.tracer == nil || isBackground(ctx) {
		return ctx
	}
	return s.tracer.CallStart(ctx, c)
}

// CallEnd is called when it has been answered, or has not been in time.
func (s *calls) CallEnd(ctx context.Context, c trace.Call, took time.Duration, k remote.Kind, e trace.End) {
	if s.tracer != nil && !isBackground(ctx) {
		s.tracer.CallEnd(ctx, c, e)
	}
	if s.failures != nil && isFailure(k) && c.Name != "raw" && !isBackground(ctx) { // raw is others', who tell themselves
		s.failed(ctx, c, took, e)
	}
}

// isFailure reports whether the log hears of it. That a slot is elsewhere is no failure:
// another node is asked.
func isFailure(k remote.Kind) bool { return k.Outage() && !k.Unserved() || k == remote.Logical }

// failed tells the log of a call that failed: its own line is for whoever looks at one
// request.
func (s *calls) failed(ctx context.Context, c trace.Call, took time.Duration, e trace.End) {
	detail := s.failures.Add(ctx, e.ErrorType)
	if !detail || !s.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	s.log.LogAttrs(ctx, slog.LevelDebug, "a call to redis has failed", slog.String("event", "redis.call_failed"),
		slog.String("operation", c.Name), slog.String("addr", c.Addr), slog.String("error_type", e.ErrorType),
		slog.Float64("duration_s", took.Seconds()), slog.Any("error", e.Err))
}
