package chaos

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxEvents bounds a trace: 40 bytes each, 320 MB. A trace that is full cannot
// be judged, and Check says so.
const maxEvents = 8 << 20

const chunk = 4096

// Trace is every call of a run, of all processes.
type Trace struct {
	Began time.Time

	values atomic.Uint32
	chunks atomic.Int64

	mu    sync.Mutex // guards tapes and notes
	tapes []*Tape
	notes []Note
}

// Note is one line of the timeline: what was done to Redis or to a process.
type Note struct {
	At   int64 // nanoseconds since the trace began
	Text string
}

// NewTrace begins a trace.
func NewTrace() *Trace { return &Trace{Began: time.Now()} }

// Now is the moment in the trace's time.
func (t *Trace) Now() int64 { return int64(time.Since(t.Began)) }

// NextValue is a value that nobody has written.
func (t *Trace) NextValue() Value { return Value(t.values.Add(1)) }

// Note adds a line to the timeline.
func (t *Trace) Note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, Note{t.Now(), text})
}

// Notes are the timeline.
func (t *Trace) Notes() []Note {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Note(nil), t.notes...)
}

// Tape is a new tape for one goroutine of a process.
func (t *Trace) Tape(proc int) *Tape {
	p := &Tape{trace: t, proc: uint8(proc)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tapes = append(t.tapes, p)
	return p
}

// Full reports whether calls went unrecorded.
func (t *Trace) Full() bool { return t.chunks.Load() > maxEvents/chunk }

// Events are all calls, in no order. The tapes must be at rest.
func (t *Trace) Events() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, p := range t.tapes {
		for _, c := range p.chunks {
			n += len(c)
		}
	}
	all := make([]Event, 0, n)
	for _, p := range t.tapes {
		for _, c := range p.chunks {
			all = append(all, c...)
		}
	}
	return all
}

// Tape records the calls of one goroutine, without a lock.
type Tape struct {
	trace  *Trace
	proc   uint8
	chunks [][]Event
}

// Record adds a call; the trace's bound may refuse it.
func (p *Tape) Record(e Event) {
	e.Proc = p.proc
	last := len(p.chunks) - 1
	if last < 0 || len(p.chunks[last]) == chunk {
		if p.trace.chunks.Add(1) > maxEvents/chunk {
			return
		}
		p.chunks = append(p.chunks, make([]Event, 0, chunk))
		last++
	}
	p.chunks[last] = append(p.chunks[last], e)
}
