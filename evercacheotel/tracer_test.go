package evercacheotel

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
)

// world is a cache on a real Redis, with spans kept in memory.
type world struct {
	*testing.T
	redis  *redistest.Server
	spans  *tracetest.InMemoryExporter
	tracer oteltrace.Tracer
	cache  *evercache.Cache[string]
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, redis: redistest.Start(t), spans: tracetest.NewInMemoryExporter()}
	p := sdk.NewTracerProvider(sdk.WithSyncer(w.spans))
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	w.tracer = p.Tracer("test")
	client, err := evercache.Open(t.Context(), evercache.Options{
		Addr: w.redis.Addr(), Logger: slog.New(slog.DiscardHandler),
		Tracer: NewTracer(WithTracerProvider(p), WithAttributes(attribute.String("mine", "yes"))),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := client.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	if w.cache, err = evercache.NewCache[string](client, "product", evercache.Policy{TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	return w
}

// in runs f below a span of that name, which is returned when it has ended.
func (w *world) in(name string, f func(context.Context)) tracetest.SpanStub {
	w.Helper()
	ctx, s := w.tracer.Start(w.Context(), name)
	f(ctx)
	s.End()
	return w.wait(name, s.SpanContext().SpanID())
}

// wait waits for a span: of is its own id, or that of the one above it.
func (w *world) wait(name string, of oteltrace.SpanID) tracetest.SpanStub {
	w.Helper()
	return w.waitFor(name, func(s tracetest.SpanStub) bool {
		return s.Name == name && (s.SpanContext.SpanID() == of || s.Parent.SpanID() == of)
	})
}

func (w *world) waitFor(what string, is func(tracetest.SpanStub) bool) tracetest.SpanStub {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		spans := w.spans.GetSpans()
		if i := slices.IndexFunc(spans, is); i >= 0 {
			return spans[i]
		}
		if time.Now().After(end) {
			w.Fatalf("no span %s in %v", what, names(spans))
		}
	}
}

func names(spans tracetest.SpanStubs) (all []string) {
	for _, s := range spans {
		all = append(all, s.Name)
	}
	return all
}

func (w *world) wants(s tracetest.SpanStub, attrs map[string]any) {
	w.Helper()
	for key, want := range attrs {
		var got any
		for _, a := range s.Attributes {
			if string(a.Key) == key {
				got = a.Value.AsInterface()
			}
		}
		if got != want {
			w.Errorf("%s: %s = %v, want %v", s.Name, key, got, want)
		}
	}
}

func TestCallsAndLoadsAreSpansBelowTheirCallers(t *testing.T) {
	w := start(t)
	inLoader := oteltrace.SpanContext{}
	get := w.in("request", func(ctx context.Context) {
		_, err := w.cache.Get(ctx, "secret-key", func(ctx context.Context, _ string) (string, error) {
			inLoader = oteltrace.SpanContextFromContext(ctx)
			return "secret-value", nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	w.wants(get, map[string]any{"evercache.cache.tier": "none", "evercache.cache.result": "miss", "mine": nil})
	call := w.wait("GET", get.SpanContext.SpanID())
	if call.SpanKind != oteltrace.SpanKindClient || call.Status.Code != codes.Unset {
		t.Errorf("%v %v", call.SpanKind, call.Status)
	}
	w.wants(call, map[string]any{
		"db.system.name": "redis", "db.operation.name": "GET", "db.namespace": "0", "server.address": "127.0.0.1",
		"server.port": int64(w.redis.Port()), "db.operation.batch.size": nil, "db.query.text": nil, "error.type": nil, "mine": "yes",
	})
	load := w.wait("load product", get.SpanContext.SpanID())
	if load.SpanContext.SpanID() != inLoader.SpanID() || load.SpanKind != oteltrace.SpanKindInternal {
		t.Errorf("the loader ran in %s, the load is %s", inLoader.SpanID(), load.SpanContext.SpanID())
	}
	w.waitFor("fill", func(s tracetest.SpanStub) bool {
		return s.Name == "EVALSHA" && s.Parent.SpanID() == load.Parent.SpanID() && slices.Contains(s.Attributes, attribute.String("evercache.operation", "fill"))
	})

	many := w.in("many", func(ctx context.Context) { _, _ = w.cache.GetMany(ctx, []string{"a", "b", "c"}, nil) })
	w.wants(w.wait("PIPELINE GET", many.SpanContext.SpanID()), map[string]any{"db.operation.batch.size": int64(3)})

	w.in("write", func(ctx context.Context) { _, _ = w.cache.Set(ctx, "secret-key", "secret-value") })
	for _, s := range w.spans.GetSpans() {
		for _, a := range s.Attributes {
			if strings.Contains(a.Value.Emit(), "secret") {
				t.Errorf("%s tells %v", s.Name, a)
			}
		}
	}
}

func TestAHitAndACallWithoutASpanAboveMakeNone(t *testing.T) {
	w := start(t)
	if _, err := w.cache.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.cache.Get(t.Context(), "other", func(context.Context, string) (string, error) { return "v", nil }); err != nil {
		t.Fatal(err)
	}
	hit := w.in("hit", func(ctx context.Context) {
		for range 100 {
			if v, err := w.cache.Get(ctx, "k", nil); v != "v" || err != nil {
				t.Errorf("Get = %q, %v", v, err)
			}
		}
	})
	if all := names(w.spans.GetSpans()); len(all) != 1 {
		t.Errorf("spans: %q", all)
	}
	w.wants(hit, map[string]any{"evercache.cache.tier": nil})
}

func TestALoaderMayBeginATraceOfItsOwn(t *testing.T) {
	w := start(t)
	var own oteltrace.SpanID
	_, err := w.cache.Get(t.Context(), "outer", func(ctx context.Context, _ string) (string, error) {
		ctx, s := w.tracer.Start(ctx, "own") // there is no span above
		defer s.End()
		own = s.SpanContext().SpanID()
		_, err := w.cache.Lookup(ctx, "inner")
		if !errors.Is(err, evercache.ErrNotFound) {
			t.Errorf("Lookup: %v", err)
		}
		return "v", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wait("GET", own) // it has ended, or it would not be exported
	w.wait("own", own)
}

func TestErrorsAreToldByTheirKind(t *testing.T) {
	w := start(t)
	w.redis.Do("LPUSH", "product:list", "x")
	wrong := w.in("wrong", func(ctx context.Context) { _, _ = w.cache.Lookup(ctx, "list") })
	call := w.wait("GET", wrong.SpanContext.SpanID())
	w.wants(call, map[string]any{"error.type": "WRONGTYPE", "db.response.status_code": "WRONGTYPE"})

	failed := w.in("failed", func(ctx context.Context) {
		_, _ = w.cache.Get(ctx, "k", func(context.Context, string) (string, error) { return "", errors.New("secret") })
	})
	load := w.wait("load product", failed.SpanContext.SpanID())
	w.wants(load, map[string]any{"error.type": "error"})
	if load.Status.Code != codes.Error || load.Status.Description != "" || len(load.Events) > 0 {
		t.Errorf("the load is %+v", load)
	}

	w.redis.Pause()
	defer w.redis.Resume()
	hung := w.in("hung", func(ctx context.Context) { _, _ = w.cache.Lookup(ctx, "x") })
	call = w.wait("GET", hung.SpanContext.SpanID())
	w.wants(call, map[string]any{"error.type": "timeout", "db.response.status_code": nil})
	if call.Status.Code != codes.Error {
		t.Errorf("the call is %+v", call.Status)
	}
	w.wants(hung, map[string]any{"evercache.cache.tier": "none", "evercache.cache.result": "error"})
}
