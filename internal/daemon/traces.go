package daemon

import (
	"context"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/internal/otlp"
	"github.com/evercache/evercache/trace"
)

// openTraces starts the exporter that the settings ask for; nil: none.
func (d *Daemon) openTraces() *otlp.Tracer {
	t := d.cfg.Server.Traces
	if t == nil {
		return nil
	}
	headers := map[string]string{}
	for name, value := range t.Headers {
		headers[name] = value.Reveal()
	}
	sampler, _ := otlp.SamplerOf(t.Sampler, t.Ratio) // it has been checked
	version := evercacheprom.ReadBuild().Version
	return otlp.New(otlp.Config{
		URL: t.URL, Headers: headers, Timeout: t.Timeout, Sampler: sampler, Version: version, Log: d.log,
		Resource: resource(t, version),
	})
}

// resource is what names this process in traces. What the settings say wins.
func resource(t *config.Traces, version string) []otlp.Attr {
	attrs := []otlp.Attr{{Key: "service.name", Value: t.Service}}
	given := map[string]bool{}
	for _, p := range t.Resource {
		given[p.Name] = true
		attrs = append(attrs, otlp.Attr{Key: p.Name, Value: p.Value})
	}
	host, _ := os.Hostname()
	for _, a := range []otlp.Attr{
		{Key: "service.version", Value: version},
		{Key: "host.name", Value: host},
		{Key: "process.pid", Value: os.Getpid()},
		{Key: "process.runtime.name", Value: "go"},
		{Key: "process.runtime.version", Value: runtime.Version()},
	} {
		if a.Value != "" && !given[a.Key] {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

// tracesPatience is what the end of the process waits for the collector.
const tracesPatience = time.Second

func endTraces(t *otlp.Tracer) {
	ctx, cancel := context.WithTimeout(context.Background(), tracesPatience)
	defer cancel()
	t.Shutdown(ctx)
}

func traceMetrics(t *otlp.Tracer) []prometheus.Collector {
	if t == nil {
		return nil
	}
	counter := func(name, help string, n func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(n()) })
	}
	return []prometheus.Collector{
		counter("evercache_traces_spans_exported_total", "Spans that the collector has taken.", t.Exported),
		counter("evercache_traces_spans_dropped_total", "Spans that were dropped: the collector did not take them, or not in time.", t.Dropped),
	}
}

// traced starts the span of a request to the API. Probes, metrics and pages have none.
func (a *api) traced(ctx context.Context, q *request) (context.Context, *otlp.Span) {
	if a.tracer == nil || q.route == nil || q.route.template == "" {
		return ctx, nil
	}
	above, _ := otlp.ParseTraceparent(q.Header.Get("Traceparent"))
	method := methodLabel(q.Method)
	return a.tracer.Start(ctx, method+" "+q.route.template, otlp.Server, above,
		otlp.Attr{Key: "http.request.method", Value: method},
		otlp.Attr{Key: "http.route", Value: q.route.template},
		otlp.Attr{Key: "url.scheme", Value: scheme(q.Request)},
		otlp.Attr{Key: "evercache.request.id", Value: q.id})
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// endSpan ends the span of a request with what was answered.
func endSpan(s *otlp.Span, rec *recorder) {
	if s == nil {
		return
	}
	s.Set(otlp.Attr{Key: "http.response.status_code", Value: rec.code})
	if rec.fault != nil {
		s.Set(otlp.Attr{Key: "evercache.error.code", Value: rec.fault.code})
	}
	if rec.code >= 500 {
		s.Fail()
		s.Set(otlp.Attr{Key: "error.type", Value: strconv.Itoa(rec.code)})
	}
	s.End()
}

// redisSpans makes a span of each call to Redis below that of its request: see
// evercacheotel, which does the same with the API of OpenTelemetry.
type redisSpans struct{}

func (redisSpans) CallStart(ctx context.Context, c trace.Call) context.Context {
	host, port := hostPort(c.Addr)
	ctx, s := otlp.Child(ctx, c.Operation, otlp.Client,
		otlp.Attr{Key: "db.system.name", Value: "redis"},
		otlp.Attr{Key: "db.operation.name", Value: c.Operation},
		otlp.Attr{Key: "db.namespace", Value: strconv.Itoa(c.DB)},
		otlp.Attr{Key: "server.address", Value: host},
		otlp.Attr{Key: "evercache.operation", Value: c.Name})
	if port > 0 {
		s.Set(otlp.Attr{Key: "server.port", Value: port})
	}
	if c.Keys > 1 {
		s.Set(otlp.Attr{Key: "db.operation.batch.size", Value: c.Keys})
	}
	if c.Replica {
		s.Set(otlp.Attr{Key: "evercache.redis.role", Value: "replica"})
	}
	return ctx
}

// CallEnd is given what CallStart has returned. Without a span above there is none here.
func (redisSpans) CallEnd(ctx context.Context, _ trace.Call, e trace.End) {
	s := otlp.FromContext(ctx)
	if e.Err != nil {
		s.Fail()
		s.Set(otlp.Attr{Key: "error.type", Value: errorType(e)})
		if e.Status != "" {
			s.Set(otlp.Attr{Key: "db.response.status_code", Value: e.Status})
		}
	}
	s.End()
}

func errorType(e trace.End) string {
	if e.Status != "" {
		return e.Status
	}
	return e.ErrorType
}

func (redisSpans) LoadStart(ctx context.Context, l trace.Load) context.Context {
	ctx, _ = otlp.Child(ctx, "load "+l.Class, otlp.Internal, otlp.Attr{Key: "evercache.cache.class", Value: l.Class})
	return ctx
}

func (redisSpans) LoadEnd(ctx context.Context, _ trace.Load, e trace.End) {
	s := otlp.FromContext(ctx)
	if e.Err != nil {
		s.Fail()
		s.Set(otlp.Attr{Key: "error.type", Value: e.ErrorType})
	}
	s.End()
}

// Served notes on the span of the request who has answered.
func (redisSpans) Served(ctx context.Context, v trace.Served) {
	otlp.FromContext(ctx).Set(
		otlp.Attr{Key: "evercache.cache.tier", Value: v.Tier.String()},
		otlp.Attr{Key: "evercache.cache.result", Value: v.Result.String()})
}

func hostPort(addr string) (host string, port int) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	port, _ = strconv.Atoi(text)
	return strings.Trim(host, "[]"), port
}
