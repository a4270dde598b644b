package watch

import (
	"context"
	"sync"
	"time"
)

// pace is how often a worker acts. Its owner changes it at any time, and can
// ask for the next turn at once.
type pace struct {
	mu     sync.Mutex // guards each and wanted
	each   time.Duration
	wanted int
	kick   chan struct{}
}

func newPace(each time.Duration) *pace { return &pace{each: each, kick: make(chan struct{}, 1)} }

// set changes the pace; a quicker one takes effect at once.
func (p *pace) set(each time.Duration) {
	p.mu.Lock()
	quicker := each < p.each
	p.each = each
	p.mu.Unlock()
	if quicker {
		p.now()
	}
}

// now asks for the next turn at once.
func (p *pace) now() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// want keeps how many replicas a barrier should wait for.
func (p *pace) want(replicas int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = replicas
}

func (p *pace) replicas() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted
}

// interval is how often the worker acts at this moment.
func (p *pace) interval() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.each
}

// wait waits for the next turn.
func (p *pace) wait(ctx context.Context) error {
	t := time.NewTimer(p.interval())
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.kick:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
