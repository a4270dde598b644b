package flight

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestWhoIsInNoLoadMayWaitForAnything(t *testing.T) {
	t.Parallel()
	var w Waits
	done, ok := w.Await(t.Context(), new(Task))
	if !ok {
		t.Error("it may not")
	}
	done()
}

func TestTheWaitThatWouldCloseACircleIsRefused(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			t.Parallel()
			var w Waits
			tasks := make([]Task, length)
			within := func(i int) context.Context { return Within(t.Context(), &tasks[i]) }
			ends := make([]func(), length)
			for i := range length - 1 {
				var ok bool
				if ends[i], ok = w.Await(within(i), &tasks[i+1]); !ok {
					t.Fatalf("%d may not wait for the next", i)
				}
			}
			if _, ok := w.Await(within(length-1), &tasks[0]); ok {
				t.Error("a circle")
			}
			if length == 1 {
				return
			}
			ends[0]()
			if _, ok := w.Await(within(length-1), &tasks[0]); !ok {
				t.Error("refused though the first waits no more")
			}
		})
	}
}

// TestNoCircleIsEverClosed lets many wait for others at random, and looks at who waits
// for whom.
func TestNoCircleIsEverClosed(t *testing.T) {
	t.Parallel()
	var w Waits
	tasks := make([]Task, 6)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var ends []func()
			for range 300 {
				from, to := rand.IntN(len(tasks)), rand.IntN(len(tasks))
				if done, ok := w.Await(Within(t.Context(), &tasks[from]), &tasks[to]); ok {
					ends = append(ends, done)
				}
				w.mu.Lock()
				for i := range tasks {
					for _, next := range tasks[i].on {
						if next.leadsTo(&tasks[i], map[*Task]bool{}) {
							t.Error("a circle")
						}
					}
				}
				w.mu.Unlock()
				if len(ends) > 3 {
					ends[0]()
					ends = ends[1:]
				}
			}
			for _, end := range ends {
				end()
			}
		})
	}
	wg.Wait()
	for i := range tasks {
		if len(tasks[i].on) > 0 {
			t.Errorf("%d still waits", i)
		}
	}
}
