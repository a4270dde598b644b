package logqueue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"
)

// sink is a handler that a test can stop and break.
type sink struct {
	mu     sync.Mutex // guards what follows
	lines  []string
	broken error
	gate   chan struct{} // nil: open
}

func (s *sink) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (s *sink) WithAttrs([]slog.Attr) slog.Handler           { return s }
func (s *sink) WithGroup(string) slog.Handler                { return s }

func (s *sink) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	gate, broken := s.gate, s.broken
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if broken != nil {
		if errors.Is(broken, errPanic) {
			panic("broken")
		}
		return broken
	}
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	return nil
}

func (s *sink) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

var errPanic = errors.New("panics")

func flush(t *testing.T, h *Handler) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !h.Flush(ctx) {
		t.Fatal("the queue does not get empty")
	}
}

func TestWhatIsLoggedArrivesInOrder(t *testing.T) {
	s := &sink{}
	h := New(s, nil, Bounds{})
	log := slog.New(h)
	for i := range 1000 {
		log.Info(fmt.Sprint(i))
	}
	log.Debug("below the level of the handler")
	flush(t, h)
	if len(s.lines) != 1000 || h.Dropped() != 0 {
		t.Fatalf("%d lines, %d dropped", len(s.lines), h.Dropped())
	}
	for i, l := range s.lines {
		if l != fmt.Sprint(i) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
}

func TestABlockedSinkHoldsUpNobodyAndTheGapIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a caller that waits is a deadlock here
		gate := make(chan struct{})
		s := &sink{gate: gate}
		h := New(s, nil, Bounds{Lines: 10})
		log := slog.New(h)
		log.Info("0")
		synctest.Wait() // it is in the sink
		for i := range 1000 {
			log.Info(fmt.Sprint(i + 1))
		}
		if h.Dropped() != 990 {
			t.Errorf("%d dropped, want 990", h.Dropped())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if h.Flush(ctx) {
			t.Error("Flush says that a blocked sink has everything")
		}
		close(gate)
		synctest.Wait()
		log.Info("after")
		synctest.Wait()
		if n := len(s.lines); n != 13 || s.lines[10] != "10" || !strings.Contains(s.lines[11], "lines=990") || s.lines[12] != "after" {
			t.Errorf("%d lines: %q", n, s.lines)
		}
	})
}

func TestWhatWaitsIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		h := New(&sink{gate: gate}, nil, Bounds{Bytes: 10_000})
		log := slog.New(h)
		log.Info("first")
		synctest.Wait()
		for range 5 {
			log.Info("x", "error", errors.New(strings.Repeat("e", 4000)))
		}
		log.Info("x", slog.Group("g", "text", strings.Repeat("t", 50<<20)))
		if h.Dropped() != 4 {
			t.Errorf("%d dropped, want 4", h.Dropped())
		}
		close(gate)
	})
}

func TestASlowSinkIsNotGivenMoreNewsThanLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		s := &sink{gate: gate}
		h := New(s, nil, Bounds{Lines: 2})
		log := slog.New(h)
		for range 300 { // one line gets through for three
			log.Info("a")
			log.Info("b")
			log.Info("c")
			synctest.Wait()
			select {
			case gate <- struct{}{}:
			default:
			}
		}
		close(gate)
		synctest.Wait()
		news := 0
		for _, l := range s.lines {
			if strings.Contains(l, "log.dropped") {
				news++
			}
		}
		if news < 1 || news > 2 {
			t.Errorf("%d times told that lines are missing within a moment", news)
		}
	})
}

func TestASinkThatFailsIsToldOfWhenItWorksAgain(t *testing.T) {
	for _, broken := range []error{errors.New("no space left on device"), errPanic} {
		s := &sink{broken: broken}
		h := New(s, nil, Bounds{})
		log := slog.New(h)
		for range 20 {
			log.Info("lost")
		}
		flush(t, h)
		if h.Dropped() != 20 {
			t.Errorf("%v: %d dropped, want 20", broken, h.Dropped())
		}
		s.breaks(nil)
		log.Info("works")
		flush(t, h)
		if len(s.lines) != 2 || !strings.Contains(s.lines[0], "lines=20") || !strings.Contains(s.lines[0], "error=") || s.lines[1] != "works" {
			t.Errorf("%v: %q", broken, s.lines)
		}
	}
}

// faulty is an error whose text is not to be had.
type faulty struct{ text *string }

func (f faulty) Error() string { return *f.text }

func TestValuesAreAskedBeforeTheCallerGoesOn(t *testing.T) {
	var b bytes.Buffer
	h := New(slog.NewTextHandler(&b, nil), slog.LevelInfo, Bounds{})
	log := slog.New(h)
	v := &changing{"before"}
	log.Info("x", "v", v, "error", faulty{})
	v.text = "after"
	flush(t, h)
	if !strings.Contains(b.String(), "v=before") {
		t.Error(b.String())
	}
}

type changing struct{ text string }

func (c *changing) LogValue() slog.Value { return slog.StringValue(c.text) }

func TestItIsAHandlerAsSlogWantsThem(t *testing.T) {
	var b bytes.Buffer
	var h *Handler
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		h = New(slog.NewJSONHandler(&b, nil), slog.LevelInfo, Bounds{})
		return h
	}, func(t *testing.T) map[string]any {
		flush(t, h)
		m := map[string]any{}
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}
