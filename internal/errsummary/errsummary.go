// Package errsummary makes one line of the log of many errors: each kind of error has a
// line at once, and then one line in ten seconds for as long as there are more.
package errsummary

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Every is how often a kind has a line.
const Every = 10 * time.Second

const (
	// mostKinds bounds the kinds. Those beyond it are one kind, "other".
	mostKinds = 64
	other     = "other"
	// mostDetails is how many errors of a kind may have a line of their own between two
	// lines of the summary. A log that nobody reads must not fill with them.
	mostDetails = 1000
)

// Summary counts errors by kind. The line is logged with the context of one of them, the
// first: a handler that looks for ids in contexts finds an example.
type Summary struct {
	log     *slog.Logger
	message string
	event   string

	mu     sync.Mutex // guards what follows
	kinds  map[string]*window
	closed bool
}

// window is what is known of one kind since its last line.
type window struct {
	count   int
	example context.Context // of the first of them
	timer   *time.Timer
}

// New makes a Summary whose lines have this message and event. The log must never wait.
func New(log *slog.Logger, message, event string) *Summary {
	return &Summary{log: log, message: message, event: event, kinds: map[string]*window{}}
}

// Add counts an error. detail says whether it may have a line of its own too, below the
// level of the summary.
func (s *Summary) Add(ctx context.Context, kind string) (detail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.kinds[kind] == nil && len(s.kinds) >= mostKinds {
		kind = other
	}
	w := s.kinds[kind]
	if w == nil { // the first for a while
		w = &window{}
		w.timer = time.AfterFunc(Every, func() { s.tick(kind, w) })
		s.kinds[kind] = w
		s.tell(ctx, kind, 1)
		return true
	}
	if w.count++; w.count == 1 {
		w.example = context.WithoutCancel(ctx)
	}
	return w.count <= mostDetails
}

// tick tells of what has come since the last line. A kind of which nothing has come is
// forgotten.
func (s *Summary) tick(kind string, w *window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
	case w.count == 0:
		delete(s.kinds, kind)
	default:
		s.tell(w.example, kind, w.count)
		w.count, w.example = 0, nil
		w.timer.Reset(Every)
	}
}

// Close tells what has not been told yet, and ends the timers.
func (s *Summary) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for kind, w := range s.kinds {
		w.timer.Stop()
		if w.count > 0 {
			s.tell(w.example, kind, w.count)
		}
	}
	clear(s.kinds)
}

func (s *Summary) tell(ctx context.Context, kind string, count int) {
	s.log.LogAttrs(ctx, slog.LevelWarn, s.message, slog.String("event", s.event),
		slog.String("error_type", kind), slog.Int("count", count))
}
