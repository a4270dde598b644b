package daemon

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// failures tells the log who was turned away for want of a token: the first one at
// once, and then one line in ten seconds that counts the others. Somebody who tries
// tokens must not fill a disk.
type failures struct {
	log *slog.Logger

	mu    sync.Mutex // guards what follows
	told  time.Time
	since int // that were not told
}

const tellFailures = 10 * time.Second

func newFailures(log *slog.Logger) *failures { return &failures{log: log} }

// add tells of a request that was turned away, or counts it. What it has shown is
// in no line.
func (f *failures) add(q *request, e *apiError) (others int, tell bool) {
	others, tell = f.next(time.Now())
	if !tell {
		return 0, false
	}
	f.log.LogAttrs(q.Context(), slog.LevelWarn, "request refused: "+why(e),
		slog.String("event", "auth.failed"), slog.String("code", e.code),
		slog.String("remote", q.RemoteAddr), slog.String("route", q.routeName()), slog.Int("others", others))
	return others, true
}

// next decides whether this one is told, and how many were not before it.
func (f *failures) next(now time.Time) (others int, tell bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.told.IsZero() && now.Sub(f.told) < tellFailures {
		f.since++
		return 0, false
	}
	others, f.since, f.told = f.since, 0, now
	return others, true
}

func why(e *apiError) string {
	if e.status == http.StatusForbidden {
		return "its token is not for this call"
	}
	return "it has no token, or a wrong one"
}
