package chaos

import (
	"sync"
	"time"
)

// Op is what was called.
type Op uint8

// The calls that are recorded.
const (
	Read Op = iota
	Write
)

// Call is one call as its caller saw it.
type Call struct {
	Op         Op
	Key        string
	Value      string // written, or read
	Ack        Ack    // of a Write
	Err        error
	Wrong      bool // a Read that answered another value than was written
	Start, End time.Time
}

// Took is how long the caller waited.
func (c Call) Took() time.Duration { return c.End.Sub(c.Start) }

// History is every call of a run, safe for concurrent use.
type History struct {
	mu    sync.Mutex // guards calls
	calls []Call
}

// Record adds a call.
func (h *History) Record(c Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
}

// Calls are the calls so far, in the order in which they ended.
func (h *History) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Call(nil), h.calls...)
}

// Landed counts the writes that a master has acknowledged since a moment.
func (h *History) Landed(since time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for i := len(h.calls) - 1; i >= 0 && h.calls[i].End.After(since); i-- {
		if c := h.calls[i]; c.Op == Write && c.Ack == Landed && c.Start.After(since) {
			n++
		}
	}
	return n
}
