// Package status answers the questions that monitors ask over HTTP:
//
//	s := status.New(client)
//	mux.Handle("/health", s.Health())
//
// Health is for people and monitoring and has the JSON shape that existing
// monitors read: fields are added to it, never renamed and never retyped. Livez
// says whether a restart would help, Readyz whether to send requests here;
// neither turns red because Redis is away, since the cache then still answers.
package status

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

// Source is what the answers are read from; *evercache.Client is one. Both
// methods return snapshots and never wait.
type Source interface {
	Health() health.Report
	Stats() stats.Snapshot
}

// Status makes the handlers. It begins in service; an application that must
// first warm up calls SetStarting before it listens and SetServing after.
type Status struct {
	source   Source
	phase    atomic.Uint32
	holds    atomic.Int32            // see Hold
	denylist func() stats.Denylist   // nil: there is none
	findings func() []health.Finding // of the server; nil: there are none
}

// phase is where the process is in its life, as opposed to the state of Redis.
type phase uint32

const (
	serving phase = iota
	starting
	draining
)

// New returns a Status in service that reads from c.
func New(c Source) *Status { return &Status{source: c} }

// SetStarting makes Readyz answer 503 until SetServing.
func (s *Status) SetStarting() { s.phase.CompareAndSwap(uint32(serving), uint32(starting)) }

// SetServing ends SetStarting. It does not end SetDraining.
func (s *Status) SetServing() { s.phase.CompareAndSwap(uint32(starting), uint32(serving)) }

// Hold makes Readyz answer 503 until the function that it returns is called. Holds
// add up.
func (s *Status) Hold() (release func()) {
	s.holds.Add(1)
	return sync.OnceFunc(func() { s.holds.Add(-1) })
}

// SetDraining makes Readyz and Health answer 503 from here on: the process is
// on its way out, and a load balancer should stop sending requests to it.
func (s *Status) SetDraining() { s.phase.Store(uint32(draining)) }

// Livez answers 200 as long as the process can answer at all.
func (s *Status) Livez() http.Handler {
	return probe(func() (int, string) { return http.StatusOK, "ok" })
}

// Readyz answers 200, and 503 only while starting, held or draining.
func (s *Status) Readyz() http.Handler {
	return probe(func() (int, string) {
		switch phase(s.phase.Load()) {
		case starting:
			return http.StatusServiceUnavailable, "starting"
		case draining:
			return http.StatusServiceUnavailable, "draining"
		}
		if s.holds.Load() > 0 {
			return http.StatusServiceUnavailable, "starting"
		}
		return http.StatusOK, "ok"
	})
}

// probe answers GET and HEAD with one line of text.
func probe(ask func() (code int, text string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readOnly(w, r) {
			return
		}
		code, text := ask()
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text + "\n")) // the prober may be gone; nothing to do about it
	})
}

// readOnly lets GET and HEAD pass and answers every other method with 405.
func readOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}
