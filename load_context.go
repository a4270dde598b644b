package evercache

import (
	"context"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/flight"
)

// loadContext is the context of a loader: the values of a caller's, and an end of its own,
// when the load has its time or the client is closed. Many loaders look at neither. So what tells of the
// end is made when somebody asks for it.
type loadContext struct {
	values context.Context // of the caller, and nothing but values
	life   context.Context // ends with the client
	task   *flight.Task
	load   any // the *Load[V]
	end    time.Time

	mu     sync.Mutex // guards what follows
	ending context.Context
	cancel context.CancelFunc
	over   bool
}

// begin is for a context that nobody has yet.
func (c *loadContext) begin(caller, life context.Context, d time.Duration) {
	c.values, c.life, c.end = caller, life, time.Now().Add(d)
	if caller.Done() != nil { // else it has no end that could be taken for ours
		c.values = context.WithoutCancel(caller)
	}
}

// finish ends it, since the load has.
func (c *loadContext) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// made is the context that tells of the end.
func (c *loadContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		c.ending, c.cancel = context.WithDeadlineCause(c.life, c.end, errLoadTimeout)
		if c.over {
			c.cancel()
		}
	}
	return c.ending
}

// untold reports that it has not ended, and nobody has asked when it does.
func (c *loadContext) untold() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending == nil && !c.over && c.life.Err() == nil && time.Now().Before(c.end)
}

func (c *loadContext) Deadline() (time.Time, bool) { return c.end, true }

func (c *loadContext) Done() <-chan struct{} { return c.made().Done() }

func (c *loadContext) Err() error {
	if c.untold() {
		return nil
	}
	return c.made().Err()
}

// Value asks the context that tells of the end last: by a value of its own the standard
// library finds it there, for context.Cause and for contexts that are made of this one.
func (c *loadContext) Value(key any) any {
	if _, ok := key.(loadKey); ok {
		return c.load
	}
	if flight.IsTask(key) {
		return c.task
	}
	if v := c.values.Value(key); v != nil || c.untold() {
		return v
	}
	return c.made().Value(key)
}
