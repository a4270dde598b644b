package local

import (
	"sync"
	"time"
)

// tickingClock gives otter the Clock's time, and a ticker that can be stopped
// for its clean-up of expired entries.
type tickingClock struct {
	Clock
	mu      sync.Mutex // guards tickers
	tickers []*time.Ticker
}

func newTickingClock(c Clock) *tickingClock { return &tickingClock{Clock: c} }

// Tick is called by otter once for each cache.
func (c *tickingClock) Tick(d time.Duration) <-chan time.Time {
	t := time.NewTicker(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tickers = append(c.tickers, t)
	return t.C
}

func (c *tickingClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tickers {
		t.Stop()
	}
	c.tickers = nil
}
