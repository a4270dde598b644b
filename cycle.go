package evercache

import (
	"context"
	"sync"
)

// awaited is a load, as far as others wait for it, or a call of a ManyLoader.
type awaited struct{ on []*awaited } // what it waits for; guarded by cycles

// cycles finds loads that wait for each other: without it they would until
// LoadTimeout. Who waits is known by the value in the loader's context.
type cycles struct{ mu sync.Mutex }

type loadKey struct{}

// within is the context of a load.
func within(ctx context.Context, l *awaited) context.Context {
	return context.WithValue(ctx, loadKey{}, l)
}

// await notes that the load of ctx waits for another, until done is called. In a
// context that is of no load it does nothing.
func (c *cycles) await(ctx context.Context, on *awaited) (done func(), err error) {
	from, _ := ctx.Value(loadKey{}).(*awaited)
	if from == nil {
		return func() {}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if on.leadsTo(from, map[*awaited]bool{}) {
		return nil, ErrLoadCycle
	}
	from.on = append(from.on, on)
	return func() { c.over(from, on) }, nil
}

// over takes one wait away.
func (c *cycles) over(from, on *awaited) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range from.on {
		if o == on {
			last := len(from.on) - 1
			from.on[i], from.on[last] = from.on[last], nil
			from.on = from.on[:last]
			return
		}
	}
}

// leadsTo reports whether a waits for to, or for one that does; the caller holds mu.
func (a *awaited) leadsTo(to *awaited, seen map[*awaited]bool) bool {
	if a == to {
		return true
	}
	for _, next := range a.on {
		if !seen[next] {
			seen[next] = true
			if next.leadsTo(to, seen) {
				return true
			}
		}
	}
	return false
}
