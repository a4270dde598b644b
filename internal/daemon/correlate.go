package daemon

import (
	"context"
	"log/slog"

	"github.com/evercache/evercache/internal/otlp"
)

type requestIDKey struct{}

// withRequestID gives a request's context its id.
func withRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// correlated is a handler that adds to each line what names the request in whose context it
// was logged: its id and, where it is traced, the trace and the span. The library logs with
// the context of its caller, so that lines about Redis have them too.
type correlated struct{ to slog.Handler }

func (h correlated) Enabled(ctx context.Context, l slog.Level) bool { return h.to.Enabled(ctx, l) }

func (h correlated) Handle(ctx context.Context, r slog.Record) error {
	id, ok := ctx.Value(requestIDKey{}).(string)
	if !ok {
		return h.to.Handle(ctx, r)
	}
	r = r.Clone() // others may have it too
	r.AddAttrs(slog.String("request_id", id))
	if s := otlp.FromContext(ctx); s != nil {
		c := s.Context()
		r.AddAttrs(slog.String("trace_id", c.Trace.String()), slog.String("span_id", c.Span.String()))
	}
	return h.to.Handle(ctx, r)
}

func (h correlated) WithAttrs(as []slog.Attr) slog.Handler { return correlated{h.to.WithAttrs(as)} }
func (h correlated) WithGroup(name string) slog.Handler    { return correlated{h.to.WithGroup(name)} }
