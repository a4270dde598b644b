// Package otlp makes spans and sends them to an OpenTelemetry collector, as OTLP over HTTP.
// It is what the binary needs of an SDK, and no more: the official SDK and exporter would
// bring gRPC into the go.mod of everybody who imports the library (docs/decisions.md).
package otlp

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"
)

// TraceID and SpanID name a trace and a span; zero: none.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

func (t TraceID) String() string { return hex.EncodeToString(t[:]) }
func (s SpanID) String() string  { return hex.EncodeToString(s[:]) }

// Kind is that of a span, by the numbers of OTLP.
type Kind uint8

const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Attr is an attribute of a span: a string, a bool or an int.
type Attr struct {
	Key   string
	Value any
}

const (
	maxAttrs = 32      // of a span; further ones are left out
	maxText  = 1 << 10 // bytes of a name or value
)

// Span is one that is under way. The methods of a nil one do nothing: it is not sampled.
type Span struct {
	tracer *Tracer
	trace  TraceID
	id     SpanID
	parent SpanID
	name   string
	kind   Kind
	start  time.Time

	mu     sync.Mutex // guards what follows
	attrs  []Attr
	failed bool
	end    time.Time // zero: it has not ended
}

// Context is what names the span for others.
func (s *Span) Context() Parent {
	if s == nil {
		return Parent{}
	}
	return Parent{Trace: s.trace, Span: s.id, Sampled: true}
}

// Set adds attributes, or changes them.
func (s *Span) Set(attrs ...Attr) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range attrs {
		s.setLocked(a)
	}
}

func (s *Span) setLocked(a Attr) {
	if text, ok := a.Value.(string); ok && len(text) > maxText {
		a.Value = text[:maxText]
	}
	for i := range s.attrs {
		if s.attrs[i].Key == a.Key {
			s.attrs[i] = a
			return
		}
	}
	if len(s.attrs) < maxAttrs {
		s.attrs = append(s.attrs, a)
	}
}

// Fail says that what the span stands for has failed.
func (s *Span) Fail() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// End ends the span and hands it to the exporter. It never waits.
func (s *Span) End() {
	if s == nil {
		return
	}
	s.mu.Lock()
	ended := !s.end.IsZero()
	if !ended {
		s.end = s.start.Add(time.Since(s.start)) // by the monotonic clock
	}
	s.mu.Unlock()
	if !ended {
		s.tracer.ended(s)
	}
}

type spanKey struct{}

// FromContext is the span that ctx carries, or nil.
func FromContext(ctx context.Context) *Span {
	s, _ := ctx.Value(spanKey{}).(*Span)
	return s
}

// Child starts a span below that of ctx. Without one it does nothing.
func Child(ctx context.Context, name string, k Kind, attrs ...Attr) (context.Context, *Span) {
	p := FromContext(ctx)
	if p == nil {
		return ctx, nil
	}
	return p.tracer.start(ctx, name, k, p.Context(), attrs)
}

// Start starts a span below one of another process, or the first span of a trace, if the
// sampler wants it. A nil Tracer wants none.
func (t *Tracer) Start(ctx context.Context, name string, k Kind, above Parent, attrs ...Attr) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	if !above.Valid() {
		above = Parent{Trace: newTraceID()}
	}
	if !t.sampler.samples(above) {
		return ctx, nil
	}
	return t.start(ctx, name, k, above, attrs)
}

func (t *Tracer) start(ctx context.Context, name string, k Kind, above Parent, attrs []Attr) (context.Context, *Span) {
	if len(name) > maxText {
		name = name[:maxText]
	}
	s := &Span{tracer: t, trace: above.Trace, id: newSpanID(), parent: above.Span, name: name, kind: k, start: time.Now()}
	s.Set(attrs...)
	return context.WithValue(ctx, spanKey{}, s), s
}

func newTraceID() (id TraceID) {
	for id == (TraceID{}) {
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id
}

func newSpanID() (id SpanID) {
	for id == (SpanID{}) {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
