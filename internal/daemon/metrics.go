package daemon

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/status"
)

// httpMetrics counts requests and shows everything there is on /metrics.
type httpMetrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// reported is a client whose report has the findings of the server around it.
type reported struct {
	client
	status *status.Status
}

func (r reported) Health() health.Report { return r.status.Report() }

func newHTTPMetrics(c client) *httpMetrics {
	m := &httpMetrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "evercache_http_requests_total",
			Help: "Requests answered, by route, method and status code.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "evercache_http_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its answer, by route. Waiting for callers that send or read slowly is part of it.",
			Buckets: []float64{5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.025, 0.1, 0.25, 0.5, 1, 5},
		}, []string{"route"}),
	}
	m.registry.MustRegister(m.requests, m.duration, evercacheprom.New(c),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// metrics are those of the connections.
func (b *bounded) metrics() []prometheus.Collector {
	count := func(n *atomic.Uint64) func() float64 { return func() float64 { return float64(n.Load()) } }
	closed := func(reason string, n *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "evercache_http_connections_closed_total",
			Help: "Connections that were closed because there was no room, by reason: quiet (no request was under way), slow (it did not send its body or read its answer), refused (there was no room for it), descriptors (the system had none left).", ConstLabels: prometheus.Labels{"reason": reason},
		}, count(n))
	}
	all := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "evercache_http_connections", Help: "Connections from callers that are open now.",
		}, func() float64 { return float64(len(b.slots)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "evercache_http_connections_limit", Help: "The most connections from callers that are allowed.",
		}, func() float64 { return float64(cap(b.slots)) }),
		closed("quiet", &b.madeRoom), closed("slow", &b.slow), closed("refused", &b.refused), closed("descriptors", &b.starved),
	}
	if b.cert != nil {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "evercache_tls_server_certificate_expiry_timestamp_seconds",
			Help: "When the TLS certificate of the server ends, in Unix seconds; absent without TLS.",
		}, func() float64 { return float64(b.cert.expires().Unix()) }))
	}
	return all
}

// metrics are those of the bytes that bodies and answers hold.
func (rs *rooms) metrics() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "evercache_http_body_bytes", Help: "Memory that bodies of requests and answers under way hold.",
		}, func() float64 { n, _ := rs.state(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "evercache_http_body_bytes_limit", Help: "The most that bodies of requests and answers under way may hold (EVERCACHE_BODY_MEMORY).",
		}, func() float64 { return float64(rs.small.size + rs.large.size) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "evercache_http_bodies_refused_total", Help: "Bodies and answers that were refused, because the memory for bodies was full.",
		}, func() float64 { _, n := rs.state(); return float64(n) }),
	}
}

// codesEverywhere can be the answer to any call.
var codesEverywhere = []int{401, 403, 405}

// prepare makes the series that can be foreseen, so that a first failure is an
// increase from 0 and not a series out of nowhere.
func (m *httpMetrics) prepare(rs *routes) {
	for _, r := range rs.all() {
		r.duration, r.counts = m.duration.WithLabelValues(r.name), map[answered]prometheus.Counter{}
		for method := range r.methods {
			for _, codes := range [][]int{r.codes, codesEverywhere} {
				for _, code := range codes {
					r.counts[answered{method, code}] = m.requests.WithLabelValues(r.name, method, strconv.Itoa(code))
				}
			}
		}
	}
}

// answered is what a counter of a route counts.
type answered struct {
	method string
	code   int
}

func (m *httpMetrics) count(q *request, code int, took time.Duration) {
	if q.route != nil {
		if n, ok := q.route.counts[answered{q.Method, code}]; ok { // to look for the series costs more than to count
			n.Inc()
			q.route.duration.Observe(took.Seconds())
			return
		}
	}
	route := q.routeName()
	m.requests.WithLabelValues(route, methodLabel(q.Method), strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

// methodLabel keeps invented methods from making a series each.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPost, http.MethodPatch, http.MethodOptions:
		return method
	}
	return "other"
}

func (m *httpMetrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
