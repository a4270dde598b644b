package daemon

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache/internal/page"
)

// handler answers one call, or says why not.
type handler func(w http.ResponseWriter, q *request) *apiError

// request is one call on its way through.
type request struct {
	*http.Request
	ctx   context.Context // of the call, with its id; that of Request has none
	id    string
	actor string // whose token it has shown; "" while nobody has asked
	target
	held *held // what its body or its answer takes of the room
}

// Context is that of the call.
func (q *request) Context() context.Context { return q.ctx }

// slot is its connection; nil where there is no bound on connections.
func (q *request) slot() *slotConn {
	if c, ok := q.Context().Value(spokenKey{}).(*spoken); ok {
		return c.slot
	}
	return nil
}

// access says who may call a route.
type access uint8

const (
	withBearer        access = iota // a token as Bearer
	withBearerOrBasic               // also as Basic password: browsers, scrapers
	public                          // no token: monitors
	probe                           // no token, any Host: supervisors
)

// route is one row of the API.
type route struct {
	name string // label of metrics and logs; never the path, which holds keys
	// template is the path with names in place of what varies, for traces; "": it has none.
	template string
	access   access
	methods  map[string]handler
	rights   map[string]right // what a token must be good for, any of it, by method
	allow    string           // for 405
	codes    []int            // what it answers besides the codes of every route

	// Set when the metrics are prepared.
	duration prometheus.Observer
	counts   map[answered]prometheus.Counter
}

// routes is the API.
type routes struct {
	byPath     map[string]*route
	cacheKey   *route
	cacheClass *route
}

func (a *api) newRoutes() *routes {
	text := func(name string, acc access, h handler, codes ...int) *route {
		r := newRoute(name, acc, map[string]handler{"GET": h, "HEAD": h}, codes...)
		return r.needs(maySeeMetrics, "GET", "HEAD")
	}
	post := func(name string, needs right, h handler, codes ...int) *route {
		return newRoute(name, withBearer, map[string]handler{"POST": h}, codes...).needs(needs, "POST")
	}
	rs := &routes{
		byPath: map[string]*route{
			"/":                     text("index", withBearerOrBasic, a.home, 200),
			"/page/events":          text("page_events", withBearerOrBasic, a.pageEvents, 200, 503),
			"/health":               text("health", public, a.health(), 200, 503),
			"/livez":                text("livez", probe, plain(a.status.Livez()), 200),
			"/readyz":               text("readyz", probe, plain(a.status.Readyz()), 200, 503),
			"/metrics":              text("metrics", withBearerOrBasic, plain(a.metrics.handler()), 200),
			"/v1/inspect":           post("inspect", maySeeMetrics, a.postInspect, 200, 400, 413, 415, 503),
			"/v1/revocations":       post("revocations", mayRevoke, a.orOff(a.postRevocation), 201, 400, 413, 415, 500, 501, 503, 507),
			"/v1/revocations/check": post("revocations_check", mayCheck, a.orOff(a.postCheck), 200, 400, 413, 415, 500, 501),
		},
		cacheKey: newRoute("cache_key", withBearer, map[string]handler{
			"GET": a.getKey, "HEAD": a.getKey, "PUT": a.putKey, "DELETE": a.deleteKey,
		}, 200, 204, 400, 404, 413, 500, 503, 507).needs(mayRead, "GET", "HEAD").needs(mayWrite, "PUT", "DELETE"),
		cacheClass: newRoute("cache_class", withBearer, map[string]handler{
			"DELETE": a.deletePrefix,
		}, 200, 202, 400, 500, 503, 507).needs(mayWrite, "DELETE"),
	}
	rs.cacheKey.template, rs.cacheClass.template = "/v1/cache/{class}/{key}", "/v1/cache/{class}"
	for path, r := range rs.byPath {
		if strings.HasPrefix(path, "/v1/") {
			r.template = path
		}
	}
	file := text("page", withBearerOrBasic, nil, 200)
	for _, name := range page.Names() {
		r := *file
		h := pageFile(name)
		r.methods = map[string]handler{"GET": h, "HEAD": h}
		rs.byPath["/page/"+name] = &r
	}
	return rs
}

func newRoute(name string, acc access, methods map[string]handler, codes ...int) *route {
	allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
	return &route{name: name, access: acc, methods: methods, rights: map[string]right{}, allow: allow, codes: codes}
}

// needs says what a token must be good for.
func (r *route) needs(any right, methods ...string) *route {
	for _, m := range methods {
		r.rights[m] = any
	}
	return r
}

// all yields every route, for the metrics.
func (rs *routes) all() []*route {
	return append(slices.Collect(maps.Values(rs.byPath)), rs.cacheKey, rs.cacheClass)
}

// plain makes a handler of one that writes its own errors.
func plain(h http.Handler) handler {
	return func(w http.ResponseWriter, q *request) *apiError {
		h.ServeHTTP(w, q.WithContext(q.ctx))
		return nil
	}
}
