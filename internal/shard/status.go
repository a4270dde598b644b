package shard

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

// status owns the client's state: who changes it, what is remembered of it,
// and who is told.
type status struct {
	log     *slog.Logger
	config  Config
	queue   chan func()
	Dropped atomic.Uint64

	current atomic.Pointer[condition] // what every reader sees

	mu          sync.Mutex // guards what follows, and writing current
	changed     chan struct{}
	transitions map[stats.Transition]uint64
	degraded    time.Duration // total before the present state
}

// condition is one state with what is known about it; it is never modified.
type condition struct {
	State  health.State
	Since  time.Time
	Cause  error // why it is not Connected
	Master string
	brief  bool // a Recovering that a Connected came before: no outage
}

// eventQueue bounds the changes that wait for a slow callback.
const eventQueue = 256

func newStatus(o Config) *status {
	s := &status{log: o.Log, config: o, queue: make(chan func(), eventQueue), changed: make(chan struct{}), transitions: map[stats.Transition]uint64{}}
	s.current.Store(&condition{State: health.Degraded, Since: time.Now()})
	for from := health.Degraded; from <= health.Closed; from++ {
		for ev := masterVerified; ev <= clientClosed; ev++ {
			if to := nextState(from, ev); to != from {
				s.transitions[Transition(from, to)] = 0
			}
		}
	}
	return s
}

func (s *status) Get() *condition { return s.current.Load() }

// Watch returns the present condition and a channel that is closed when the
// state changes.
func (s *status) Watch() (*condition, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.Load(), s.changed
}

// Apply lets an event happen. cause is kept while the state is not Connected.
func (s *status) Apply(ev stateEvent, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyLocked(ev, cause)
}

func (s *status) applyLocked(ev stateEvent, cause error) {
	was := s.current.Load()
	now := *was
	now.Cause = cause
	if now.State = nextState(was.State, ev); now.State != was.State {
		s.change(was, &now)
	}
	s.current.Store(&now)
}

// replayed ends the recovery if nothing waits: a write that is kept at this
// moment says so after it was put into the outbox, and waits for the lock.
func (s *status) replayed(nothingWaits func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if nothingWaits() {
		s.applyLocked(writesReplayed, nil)
	}
}

// blame keeps a newer reason for the present state.
func (s *status) blame(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := *s.current.Load()
	now.Cause = cause
	s.current.Store(&now)
}

// mastered keeps the address of the last verified master.
func (s *status) mastered(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := *s.current.Load()
	now.Master = addr
	s.current.Store(&now)
}

// change notes a transition; the caller holds mu.
func (s *status) change(was, now *condition) {
	now.Since = time.Now()
	now.brief = was.State == health.Connected && now.State == health.Recovering
	if was.State != health.Connected {
		s.degraded += now.Since.Sub(was.Since)
	}
	s.transitions[Transition(was.State, now.State)]++
	close(s.changed)
	s.changed = make(chan struct{})
	if f := s.config.Changed; f != nil {
		ch := health.Change{From: was.State, To: now.State, At: now.Since, Cause: now.Cause}
		s.enqueue(func() { f(ch) })
	}
	s.logChange(was, now)
}

// failedOver queues a failover for the callback.
func (s *status) failedOver(f health.Failover) {
	if call := s.config.FailedOver; call != nil {
		s.enqueue(func() { call(f) })
	}
}

// tell queues a callback; at the bound the oldest is dropped.
func (s *status) enqueue(call func()) {
	for {
		select {
		case s.queue <- call:
			return
		default:
		}
		select {
		case <-s.queue:
			s.Dropped.Add(1)
		default:
		}
	}
}

// deliver makes the calls until ctx ends, and then those that are still queued.
func (s *status) deliver(ctx context.Context) {
	for {
		select {
		case call := <-s.queue:
			call()
			continue
		case <-ctx.Done():
		}
		select {
		case call := <-s.queue:
			call()
		default:
			return
		}
	}
}

func (s *status) logChange(was, now *condition) {
	level, msg := slog.LevelInfo, "redis connected"
	switch now.State {
	case health.Degraded:
		level, msg = slog.LevelWarn, "redis away: memory answers"
	case health.Recovering:
		msg = "redis back: sending kept writes"
	case health.Closed:
		msg = "closed"
	}
	if now.State == health.Recovering && was.State == health.Connected || now.State == health.Connected && was.brief {
		level = slog.LevelDebug // a single write that took a second try
	}
	attrs := []slog.Attr{
		slog.String("event", "state.changed"),
		slog.String("from", was.State.String()),
		slog.String("to", now.State.String()),
		slog.Float64("duration_s", now.Since.Sub(was.Since).Seconds()),
	}
	if now.Cause != nil {
		attrs = append(attrs, slog.String("error", now.Cause.Error()))
	}
	s.log.LogAttrs(context.Background(), level, msg, attrs...)
}

// Totals are the transitions so far and the time spent not Connected.
func (s *status) Totals() (map[stats.Transition]uint64, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.degraded
	if now := s.current.Load(); now.State != health.Connected && now.State != health.Closed {
		total += time.Since(now.Since)
	}
	out := make(map[stats.Transition]uint64, len(s.transitions))
	maps.Copy(out, s.transitions)
	return out, total
}

func Transition(from, to health.State) stats.Transition {
	return stats.Transition{From: from.String(), To: to.String()}
}
