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

// attempts repeats what a busy machine may spoil, and what a fault would spoil
// every time: a connection that our own timeouts end is no proof of anything.
func attempts(t *testing.T, one func(t *testing.T) error) {
	t.Helper()
	const most = 6
	var err error
	for range most {
		if err = one(t); err == nil {
			return
		}
		t.Log(err)
	}
	t.Errorf("%d attempts, the last: %v", most, err)
}
