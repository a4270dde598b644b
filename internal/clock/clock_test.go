package clock

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// runClock starts a clock in the bubble and ends it with the test.
func runClock(t *testing.T) *Clock {
	t.Helper()
	c := New()
	ctx, cancel := context.WithCancel(t.Context())
	go c.Run(ctx)
	t.Cleanup(func() { // in a bubble the test fails if it does not end
		cancel()
		synctest.Wait()
		if c.Ticking() {
			t.Error("a clock that has ended shows a time")
		}
	})
	return c
}

// busy asks until the clock ticks.
func (c *Clock) busy() {
	for range 2 * busyAsks {
		c.NowNano()
	}
	synctest.Wait()
}

// real is what the clock would say if it were exact.
func (c *Clock) real() int64 { return int64(time.Since(c.Start)) + 1 }

func TestTheClockIsNeverMoreThanATickBehindAndNeverGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := runClock(t)
		r := rand.New(rand.NewPCG(1, 1))
		last, ticked := int64(0), 0
		for range 20_000 {
			switch r.IntN(400) {
			case 0: // long enough to park
				time.Sleep(time.Duration(r.Int64N(int64(time.Second))))
			case 1:
				c.busy()
			default:
				time.Sleep(time.Duration(r.Int64N(int64(2 * time.Millisecond))))
			}
			now := c.NowNano()
			if behind := time.Duration(c.real() - now); behind < 0 || behind > tick {
				t.Fatalf("%v behind", behind)
			}
			if now < last || now == 0 {
				t.Fatalf("%d after %d", now, last)
			}
			last = now
			if c.Ticking() {
				ticked++
			}
		}
		if ticked < 1000 {
			t.Errorf("it ticked at %d questions only: nothing was shown", ticked)
		}
	})
}

func TestTheClockTicksOnlyWhileItIsAskedOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := runClock(t)
		for range 100 { // now and then
			c.NowNano()
			time.Sleep(time.Millisecond)
			if c.Ticking() {
				t.Fatal("it ticks for a question every millisecond")
			}
		}
		c.busy()
		if !c.Ticking() {
			t.Fatal("it does not tick although it is asked often")
		}
		for range 100 {
			time.Sleep(idleTicks * tick / 2)
			c.NowNano()
			if !c.Ticking() {
				t.Fatal("it parked while it was asked")
			}
		}
		time.Sleep(time.Second)
		if c.Ticking() {
			t.Error("it did not park when nobody asked")
		}
		if now := c.NowNano(); now != c.real() {
			t.Errorf("parked, it is %v behind", time.Duration(c.real()-now))
		}
		c.busy()
		if !c.Ticking() {
			t.Error("it does not tick again")
		}
	})
}

func TestTheClockIsAskedByManyAtOnce(t *testing.T) {
	c := New()
	ctx, cancel := context.WithCancel(t.Context())
	var clock, callers sync.WaitGroup
	clock.Go(func() { c.Run(ctx) })
	for range 8 {
		callers.Go(func() {
			for range 5000 {
				if now := c.NowNano(); now <= 0 || now > c.real() {
					t.Errorf("%d at %d", now, c.real())
				}
			}
		})
	}
	callers.Wait()
	cancel()
	clock.Wait()
}
