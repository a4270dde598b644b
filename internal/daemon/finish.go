package daemon

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"
)

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
	fault *apiError
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// finish is where every request ends, panicked or not.
func (a *api) finish(rec *recorder, q *request, began time.Time, panicked any) {
	if panicked != nil {
		a.panicked(rec, q, panicked)
	}
	if rec.code == 0 {
		rec.code = http.StatusOK // net/http answers so for a handler that wrote nothing
	}
	took := time.Since(began)
	a.metrics.count(q, rec.code, took)
	a.logRequest(rec, q, took)
}

// panicked answers 500 where nothing has been answered, and otherwise breaks the
// connection: half an answer must not look like a whole one.
func (a *api) panicked(rec *recorder, q *request, v any) {
	a.log.LogAttrs(q.Context(), slog.LevelError, "panic in a handler",
		slog.String("event", "request.panicked"),
		slog.String("route", q.routeName()),
		slog.String("panic", panicText(v)),
		slog.String("stack", string(debug.Stack())))
	if rec.code != 0 {
		rec.code = http.StatusInternalServerError
		defer panic(http.ErrAbortHandler) // net/http closes the connection and stays silent
		return
	}
	rec.fault = errInternal(nil)
	writeError(rec, rec.fault, q.id)
}

// panicText keeps callers' data out of the log: only the runtime's own panics
// are quoted, of others the type. The stack says where.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}

// logRequest writes the access log, at debug level: an HA layer must not double
// the log of whoever calls it. A fault of our own is told at any level.
func (a *api) logRequest(rec *recorder, q *request, took time.Duration) {
	level := slog.LevelDebug
	if rec.fault != nil && rec.fault.code == "internal" && rec.fault.cause != nil {
		level = slog.LevelError
	}
	if !a.log.Enabled(q.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("event", "request.ended"),
		slog.String("method", methodLabel(q.Method)),
		slog.String("route", q.routeName()),
		slog.Int("status", rec.code),
		slog.Int64("bytes", rec.bytes),
		slog.Float64("duration_s", took.Seconds()),
		slog.String("remote", q.RemoteAddr),
	}
	if rec.fault != nil {
		attrs = append(attrs, slog.String("code", rec.fault.code))
		if rec.fault.cause != nil {
			attrs = append(attrs, slog.String("error", rec.fault.cause.Error()))
		}
	}
	a.log.LogAttrs(q.Context(), level, "request", attrs...)
}

// routeName is for metrics and logs, which must not see the path.
func (q *request) routeName() string {
	if q.route == nil {
		return "none"
	}
	return q.route.name
}
