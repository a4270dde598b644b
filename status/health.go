package status

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/evercache/evercache/health"
)

// StatusHeader repeats the top-level status word of Health in a header, for
// load balancers that do not read bodies.
const StatusHeader = "Evercache-Status"

// Health answers with the whole picture as JSON: 200 while Redis or memory
// answers, 503 when the process drains or its client is closed. With ?strict=1
// degraded is 503 too, for monitors that want to be woken by it.
func (s *Status) Health() http.Handler {
	return s.answer(func(rep report) any { return rep })
}

// ShortHealth is Health without what not everybody should read: the same words and
// codes, no address, no count, no finding. It is for those who have not shown that
// they may read more.
func (s *Status) ShortHealth() http.Handler {
	return s.answer(func(rep report) any { return newShortReport(rep) })
}

// JSON is what Health answers now.
func (s *Status) JSON() ([]byte, error) { return encode(s.report()) }

func (s *Status) report() report {
	rep := newReport(s.Report(), s.source.Stats(), phase(s.phase.Load()) == draining)
	rep.Revocations = s.newDenylist()
	return rep
}

func (s *Status) answer(form func(report) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readOnly(w, r) {
			return
		}
		rep := s.report()
		body, err := encode(form(rep))
		if err != nil {
			http.Error(w, "health cannot be encoded", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set(StatusHeader, string(rep.Status))
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(rep.Status.code(strict(r)))
		_, _ = w.Write(body) // the monitor may be gone; nothing to do about it
	})
}

// strict reports whether ?strict= asks for it; an unreadable value does, since
// whoever wrote it wanted something other than the default.
func strict(r *http.Request) bool {
	q := r.URL.Query()
	if !q.Has("strict") {
		return false
	}
	on, err := strconv.ParseBool(q.Get("strict"))
	return on || err != nil
}

// encode keeps <, > and & readable: the answer is JSON, not part of a page.
func encode(rep any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(rep)
	return b.Bytes(), err
}

// word is the vocabulary of the status fields.
type word string

const (
	up       word = "up"       // Redis answers and nothing is left to replay
	degraded word = "degraded" // memory answers, also while the replay runs
	down     word = "down"     // draining or closed
)

func (w word) code(strict bool) int {
	if w == down || strict && w == degraded {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// statusOf is the one decision of this package. A process that uses no Redis on
// purpose is up: nothing that it wants is missing.
func statusOf(h health.Report, draining bool) word {
	switch {
	case draining || h.State == health.Closed:
		return down
	case h.State == health.Connected || h.Mode == health.ModeMemoryOnly:
		return up
	}
	return degraded
}
