package daemon

import (
	"log/slog"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/audit"
	"github.com/evercache/evercache/internal/otlp"
	"github.com/evercache/evercache/stats"
	"github.com/evercache/evercache/status"
)

// client is what the API needs of an evercache client as a whole.
type client interface {
	Health() health.Report
	Stats() stats.Snapshot
}

// limits bound what one request may ask.
type limits struct {
	bodyBytes int64
	ttl       time.Duration
}

// api is the HTTP API without its listener. Each request passes, in this order:
// request id, Host, origin, token, route and method, handler. Whatever happens
// ends in one place, with an answer, a count and a line in the log.
type api struct {
	client     client
	classes    *classes
	status     *status.Status
	tokens     *tokens
	hosts      hosts
	limits     limits
	rooms      *rooms
	deletes    chan struct{} // held by each delete by prefix
	metrics    *httpMetrics
	routes     *routes
	pages      *pages
	inspecting chan struct{}    // held by the call that inspects
	audit      *audit.Log       // nil: there is none
	idKey      evercache.Secret // of the digests of ids
	denylist   denylist         // nil: there is none
	inside     bool             // nobody beyond this machine reaches the listener
	tracer     *otlp.Tracer     // nil: nobody traces
	log        *slog.Logger

	draining atomic.Bool
}

// drain turns readiness red and lets every connection end with its next answer.
func (a *api) drain() {
	a.status.SetDraining()
	if !a.draining.Swap(true) {
		close(a.pages.ended)
	}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	rec := &recorder{ResponseWriter: w}
	q := &request{Request: r, id: requestID(r.Header), target: a.routes.match(rawPath(r.URL))}
	var span *otlp.Span
	q.ctx, span = a.traced(withRequestID(r.Context(), q.id), q)
	rec.Header()[requestIDHeader] = []string{q.id}
	if a.draining.Load() {
		rec.Header().Set("Connection", "close")
	}
	defer func() {
		panicked := recover()
		q.held.giveBack()
		defer endSpan(span, rec)
		a.finish(rec, q, began, panicked)
	}()
	rec.fault = a.serve(rec, q)
	if rec.fault != nil {
		giveUpBody(rec, q)
		writeError(rec, rec.fault, q.id)
	}
}

func (a *api) serve(w http.ResponseWriter, q *request) *apiError {
	if err := a.admit(q); err != nil {
		return err
	}
	if q.route == nil {
		return errNoSuchPath()
	}
	h, ok := q.route.methods[q.Method]
	if !ok {
		return errMethod(q.route.allow)
	}
	return h(w, q)
}

// admit decides who may call. An unknown path is as guarded as a known one.
func (a *api) admit(q *request) *apiError {
	acc := withBearer
	if q.route != nil {
		acc = q.route.access
	}
	if acc == probe {
		return nil
	}
	if err := a.hosts.check(q.Request); err != nil {
		return err
	}
	if err := sameOrigin(q.Request); err != nil {
		return err
	}
	if acc == public {
		return nil
	}
	if a.tokens == nil {
		q.actor = actorOpen
		return nil
	}
	whose, err := a.tokens.check(q.Request, acc == withBearerOrBasic, wanted(q))
	q.actor = whose
	if err != nil {
		if others, tell := a.tokens.failures.add(q, err); tell {
			a.auditRefusal(q, err, others)
		}
		return err
	}
	q.slot().trust()
	return nil
}

// wanted is what a token must be good for, any of it: any token at all where there
// is no such call.
func wanted(q *request) right {
	if q.route == nil {
		return mayAll
	}
	if r, ok := q.route.rights[q.Method]; ok {
		return r
	}
	return mayAll
}

// giveUpBody lets net/http look for the rest of a body that nobody wants for a
// moment only: it reads that before it answers, to use the connection again.
func giveUpBody(w http.ResponseWriter, q *request) {
	if q.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(slowGrace))
		q.slot().isRefused()
	}
}

// wantJSON refuses the types that a form on a web page can send unasked.
func wantJSON(h http.Header) *apiError {
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || t != "application/json" {
		return errMediaType()
	}
	return nil
}
