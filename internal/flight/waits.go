package flight

import (
	"context"
	"sync"
)

// Task is a load, or one call that loads many keys, as far as others wait for it.
type Task struct{ on []*Task } // what it waits for; guarded by Waits

// Waits finds loads that wait for each other: without it they would until
// they are timed out. Who waits is known by the value in the loader's context.
type Waits struct{ mu sync.Mutex }

type taskKey struct{}

// Within is the context of a load.
func Within(ctx context.Context, t *Task) context.Context {
	return context.WithValue(ctx, taskKey{}, t)
}

// IsTask reports whether a context is asked for its Task, for one that is not made by Within.
func IsTask(key any) bool {
	_, ok := key.(taskKey)
	return ok
}

// Await notes that the load of ctx waits for another, until done is called. In a
// context that is of no load it does nothing. false: the other waits for this one.
func (w *Waits) Await(ctx context.Context, on *Task) (done func(), ok bool) {
	from, _ := ctx.Value(taskKey{}).(*Task)
	if from == nil {
		return func() {}, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if on.leadsTo(from, map[*Task]bool{}) {
		return nil, false
	}
	from.on = append(from.on, on)
	return func() { w.over(from, on) }, true
}

// over takes one wait away.
func (w *Waits) over(from, on *Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, o := range from.on {
		if o == on {
			last := len(from.on) - 1
			from.on[i], from.on[last] = from.on[last], nil
			from.on = from.on[:last]
			return
		}
	}
}

// leadsTo reports whether t waits for to, or for one that does; the caller holds mu.
func (t *Task) leadsTo(to *Task, seen map[*Task]bool) bool {
	if t == to {
		return true
	}
	for _, next := range t.on {
		if !seen[next] {
			seen[next] = true
			if next.leadsTo(to, seen) {
				return true
			}
		}
	}
	return false
}
