package evercache

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSoManyLoadedValuesAreStoredAtATime(t *testing.T) {
	f := newFills()
	var wg sync.WaitGroup
	var now, most, all atomic.Int64
	for range 3 * mostFills {
		wg.Go(func() {
			defer f.enter()()
			n := now.Add(1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			time.Sleep(time.Millisecond)
			now.Add(-1)
			all.Add(1)
		})
	}
	wg.Wait()
	if most.Load() > mostFills || all.Load() != 3*mostFills {
		t.Errorf("%d of %d, %d at a time", all.Load(), 3*mostFills, most.Load())
	}
}
