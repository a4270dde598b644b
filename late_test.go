package evercache

import (
	"sync"
	"testing"
	"time"
)

// lateness measures what the machine takes from everybody while a test runs: the
// most by which a mere timer was late. Where a promise is itself a time, the bound
// is the promise and this. It is to be asked once, at the end.
func lateness(t *testing.T) (most func() time.Duration) {
	const nap = 5 * time.Millisecond
	quit := make(chan struct{})
	var watch sync.WaitGroup
	var late time.Duration
	watch.Go(func() {
		for {
			began := time.Now()
			select {
			case <-quit:
				return
			case <-time.After(nap):
				late = max(late, time.Since(began)-nap)
			}
		}
	})
	end := sync.OnceFunc(func() { close(quit); watch.Wait() })
	t.Cleanup(end)
	return func() time.Duration { end(); return late }
}
