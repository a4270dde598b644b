package keylock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/deadline"
)

func wantNoLocks(t *testing.T, l *Locks) {
	t.Helper()
	if n := l.inUse(); n != 0 {
		t.Errorf("%d locks are left behind", n)
	}
}

func mustLock(t *testing.T, l *Locks, key string) *Held {
	t.Helper()
	n, err := lockWithin(t.Context(), l, key)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestALockHoldsOneWriterAtATime(t *testing.T) {
	l := New()
	var wg sync.WaitGroup
	writes := map[string]*int{"a": new(int), "b": new(int), "c": new(int)} // the race detector watches them
	for i := range 12 {
		wg.Go(func() {
			for range 200 {
				key := string("abc"[i%3])
				var n *Held
				var err error
				if i%2 == 0 {
					if n = l.TryLock(key); n == nil {
						continue
					}
				} else if n, err = lockWithin(t.Context(), l, key); err != nil {
					t.Error(err)
					return
				}
				*writes[key]++
				l.Unlock(n)
			}
		})
	}
	wg.Wait()
	if *writes["b"] < 400 { // those that wait all get their turn
		t.Errorf("b was written %d times", *writes["b"])
	}
	wantNoLocks(t, l)
}

func TestLocksOfOtherKeysAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		var held []*Held
		for i := range 1000 {
			held = append(held, mustLock(t, l, fmt.Sprint(i))) // would hang if two keys shared one
		}
		if l.TryLock("7") != nil {
			t.Error("a lock was taken twice")
		}
		for _, n := range held {
			l.Unlock(n)
		}
		wantNoLocks(t, l)
	})
}

func TestWritersOfAKeyTakeTurnsInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		first := mustLock(t, l, "a")
		var turns []int
		for i := range 20 {
			go func() {
				n, err := lockWithin(t.Context(), l, "a")
				if err != nil {
					t.Error(err)
				}
				turns = append(turns, i)
				l.Unlock(n)
			}()
			synctest.Wait()
		}
		l.Unlock(first)
		synctest.Wait()
		if len(turns) != 20 || !slices.IsSorted(turns) {
			t.Errorf("turns: %v", turns)
		}
		wantNoLocks(t, l)
	})
}

func TestAWriterWhoseTimeIsUpLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		first := mustLock(t, l, "a")
		why := errors.New("enough")
		for range 10 {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
			defer cancel()
			go func() {
				if _, err := lockWithin(ctx, l, "a"); !errors.Is(err, why) {
					t.Errorf("lock = %v, want the reason", err)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		if n := l.inUse(); n != 1 {
			t.Errorf("%d locks, want that of the holder", n)
		}
		l.Unlock(first)
		wantNoLocks(t, l)
		l.Unlock(mustLock(t, l, "a"))
		wantNoLocks(t, l)
	})
}

// The lock is handed over at the very moment at which the waiter gives up.
func TestALockIsNotLostToAWriterWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		for range 200 {
			first := mustLock(t, l, "a")
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				go func() {
					if n, err := lockWithin(ctx, l, "a"); err == nil {
						l.Unlock(n)
					}
				}()
			}
			time.Sleep(time.Second)
			l.Unlock(first)
			synctest.Wait()
			wantNoLocks(t, l)
		}
	})
}

// lockWithin is lock under a context alone.
func lockWithin(ctx context.Context, l *Locks, key string) (*Held, error) {
	p := deadline.New(ctx, time.Now(), time.Hour)
	defer p.Release()
	return l.Lock(&p, key)
}
