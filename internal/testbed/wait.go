package testbed

import (
	"sync"
	"testing"
	"time"
)

// Until waits for a condition. why says what is the case when it does not come.
func Until(t *testing.T, within time.Duration, ok func() bool, why func() string) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, why())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Lateness measures what the machine takes from everybody while a test runs: the
// most by which a mere timer was late. Where a promise is itself a time, the bound
// is the promise and this. It is to be asked once, at the end.
func Lateness(t testing.TB) (most func() time.Duration) {
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

// Attempts repeats what a busy machine may spoil, and what a fault would spoil
// every time: a connection that our own timeouts end is no proof of anything.
func Attempts(t *testing.T, one func(t *testing.T) error) {
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
