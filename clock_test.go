package evercache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// runClock starts a clock in the bubble and ends it with the test.
func runClock(t *testing.T) *coarseClock {
	t.Helper()
	c := newCoarseClock()
	ctx, cancel := context.WithCancel(t.Context())
	go c.run(ctx)
	t.Cleanup(func() { // in a bubble the test fails if it does not end
		cancel()
		synctest.Wait()
		if c.ticking() {
			t.Error("a clock that has ended shows a time")
		}
	})
	return c
}

func (c *coarseClock) ticking() bool { return c.now.Load() != 0 }

// busy asks until the clock ticks.
func (c *coarseClock) busy() {
	for range 2 * clockBusy {
		c.NowNano()
	}
	synctest.Wait()
}

// real is what the clock would say if it were exact.
func (c *coarseClock) real() int64 { return int64(time.Since(c.start)) + 1 }

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
			if behind := time.Duration(c.real() - now); behind < 0 || behind > clockTick {
				t.Fatalf("%v behind", behind)
			}
			if now < last || now == 0 {
				t.Fatalf("%d after %d", now, last)
			}
			last = now
			if c.ticking() {
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
			if c.ticking() {
				t.Fatal("it ticks for a question every millisecond")
			}
		}
		c.busy()
		if !c.ticking() {
			t.Fatal("it does not tick although it is asked often")
		}
		for range 100 {
			time.Sleep(clockIdle * clockTick / 2)
			c.NowNano()
			if !c.ticking() {
				t.Fatal("it parked while it was asked")
			}
		}
		time.Sleep(time.Second)
		if c.ticking() {
			t.Error("it did not park when nobody asked")
		}
		if now := c.NowNano(); now != c.real() {
			t.Errorf("parked, it is %v behind", time.Duration(c.real()-now))
		}
		c.busy()
		if !c.ticking() {
			t.Error("it does not tick again")
		}
	})
}

// Every memory asks once a second, when it looks for what has expired.
func TestTheClockOfAnIdleClientIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := openMemory(t)
		for i := range 100 {
			c := cacheOf[string](t, client, fmt.Sprint("class", i), Policy{MaxEntries: 100})
			_, _ = c.Set(t.Context(), "a", "v", TTL(3*time.Second))
		}
		time.Sleep(time.Second)
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			if client.clock.ticking() {
				t.Fatalf("it ticks %v after the last call", time.Since(client.clock.start))
			}
		}
	})
}

func TestTheClockIsAskedByManyAtOnce(t *testing.T) {
	c := newCoarseClock()
	ctx, cancel := context.WithCancel(t.Context())
	var clock, callers sync.WaitGroup
	clock.Go(func() { c.run(ctx) })
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
