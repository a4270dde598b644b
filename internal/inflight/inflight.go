// Package inflight knows what is under way, so that an end can wait for it.
package inflight

import "sync"

// Tracker lets work in until it is closed, and knows when the last of it has left.
type Tracker struct {
	mu   sync.Mutex // guards shut, and the group's first Add against Wait
	shut bool
	in   sync.WaitGroup
}

// Enter reports whether the gate is open; if so, leave must be called.
func (g *Tracker) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.in.Add(1)
	return true
}

func (g *Tracker) Leave() { g.in.Done() }

// Close lets nobody in any more and returns a channel that is closed when all
// have left.
func (g *Tracker) Close() <-chan struct{} {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	empty := make(chan struct{})
	go func() {
		g.in.Wait()
		close(empty)
	}()
	return empty
}
