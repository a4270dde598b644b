// Package evercacheotel makes OpenTelemetry spans of what evercache asks of Redis and of
// loaders, by the semantic conventions for database clients.
//
// A call to Redis and a load have a span below the span of their caller. A call without a
// span above it has none, and a hit in memory has none. No key, value or script is in a
// span.
package evercacheotel

import (
	"context"
	"net"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/evercache/evercache/trace"
)

const scope = "github.com/evercache/evercache/evercacheotel"

// Option changes what NewTracer makes.
type Option func(*tracer)

// WithTracerProvider chooses who makes the spans. Default: the global one.
func WithTracerProvider(p oteltrace.TracerProvider) Option {
	return func(t *tracer) { t.provider = p }
}

// WithAttributes adds attributes to every span.
func WithAttributes(attrs ...attribute.KeyValue) Option {
	return func(t *tracer) { t.attrs = append(t.attrs, attrs...) }
}

// NewTracer returns a Tracer for evercache.Options.
func NewTracer(options ...Option) trace.Tracer {
	t := &tracer{provider: otel.GetTracerProvider()}
	for _, o := range options {
		o(t)
	}
	t.spans = t.provider.Tracer(scope)
	return t
}

type tracer struct {
	provider oteltrace.TracerProvider
	spans    oteltrace.Tracer
	attrs    []attribute.KeyValue
}

// ownKey is where a context keeps the span that start has started in it; nil: none.
type ownKey struct{}

// start starts a span below that of ctx, if it has one.
func (t *tracer) start(ctx context.Context, name string, k oteltrace.SpanKind, attrs []attribute.KeyValue) context.Context {
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		return context.WithValue(ctx, ownKey{}, nil)
	}
	ctx, s := t.spans.Start(ctx, name, oteltrace.WithSpanKind(k), oteltrace.WithAttributes(t.attrs...), oteltrace.WithAttributes(attrs...))
	return context.WithValue(ctx, ownKey{}, s)
}

// end ends the span of ctx.
func end(ctx context.Context, err error, attrs ...attribute.KeyValue) {
	s, ok := ctx.Value(ownKey{}).(oteltrace.Span)
	if !ok {
		return
	}
	s.SetAttributes(attrs...)
	if err != nil {
		s.SetStatus(codes.Error, "")
	}
	s.End()
}

// CallStart starts the span of a call to Redis.
func (t *tracer) CallStart(ctx context.Context, c trace.Call) context.Context {
	return t.start(ctx, c.Operation, oteltrace.SpanKindClient, callAttributes(c))
}

func callAttributes(c trace.Call) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String("db.system.name", "redis"),
		attribute.String("db.operation.name", c.Operation),
		attribute.String("db.namespace", strconv.Itoa(c.DB)),
		attribute.String("evercache.operation", c.Name),
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		host = c.Addr
	}
	attrs = append(attrs, attribute.String("server.address", host))
	if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, attribute.Int("server.port", n))
	}
	if c.Keys > 1 {
		attrs = append(attrs, attribute.Int("db.operation.batch.size", c.Keys))
	}
	if c.Replica {
		attrs = append(attrs, attribute.String("evercache.redis.role", "replica"))
	}
	return attrs
}

// CallEnd ends it. The text of the error is not in the span: the kind and the first word of the
// reply are.
func (t *tracer) CallEnd(ctx context.Context, _ trace.Call, e trace.End) {
	end(ctx, e.Err, errorAttributes(e)...)
}

func errorAttributes(e trace.End) []attribute.KeyValue {
	switch {
	case e.Err == nil:
		return nil
	case e.Status != "":
		return []attribute.KeyValue{attribute.String("error.type", e.Status), attribute.String("db.response.status_code", e.Status)}
	}
	return []attribute.KeyValue{attribute.String("error.type", e.ErrorType)}
}

// LoadStart starts the span of a loader. The loader's own spans are below it.
func (t *tracer) LoadStart(ctx context.Context, l trace.Load) context.Context {
	attrs := []attribute.KeyValue{attribute.String("evercache.cache.class", l.Class)}
	if l.Keys > 1 {
		attrs = append(attrs, attribute.Int("evercache.load.keys", l.Keys))
	}
	return t.start(ctx, "load "+l.Class, oteltrace.SpanKindInternal, attrs)
}

// LoadEnd ends it.
func (t *tracer) LoadEnd(ctx context.Context, _ trace.Load, e trace.End) {
	end(ctx, e.Err, errorAttributes(e)...)
}

// Served notes on the caller's span who has answered.
func (t *tracer) Served(ctx context.Context, s trace.Served) {
	oteltrace.SpanFromContext(ctx).SetAttributes(
		attribute.String("evercache.cache.tier", s.Tier.String()),
		attribute.String("evercache.cache.result", s.Result.String()))
}
