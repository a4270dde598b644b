package watch

import (
	"context"
	"sync"
	"time"
)

// interval is how often a worker acts. Its owner changes it at any time, and can
// ask for the next turn at once.
type interval struct {
	mu     sync.Mutex // guards each and wanted
	each   time.Duration
	wanted int
	kick   chan struct{}
}

func newInterval(each time.Duration) *interval {
	return &interval{each: each, kick: make(chan struct{}, 1)}
}

// set changes it; a shorter one takes effect at once.
func (p *interval) set(each time.Duration) {
	p.mu.Lock()
	shorter := each < p.each
	p.each = each
	p.mu.Unlock()
	if shorter {
		p.now()
	}
}

// now asks for the next turn at once.
func (p *interval) now() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// want keeps how many replicas a barrier should wait for.
func (p *interval) want(replicas int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = replicas
}

func (p *interval) replicas() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted
}

// current is how often the worker acts at this moment.
func (p *interval) current() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.each
}

// wait waits for the next turn.
func (p *interval) wait(ctx context.Context) error {
	t := time.NewTimer(p.current())
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.kick:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
