package evercache

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
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

// Nothing has ticked since the process was stopped, but a call comes.
func TestTheFirstCallAfterAStopIsAnsweredByTheTimeOfItsCall(t *testing.T) {
	t.Parallel()
	client := open(t, Options{Addr: noRedis})
	c := cacheOf[string](t, client, "c", Policy{})
	reads := map[string]func(key string) (Entry[string], error){
		"Lookup": func(key string) (Entry[string], error) { return c.Lookup(t.Context(), key) },
		"GetEntry": func(key string) (Entry[string], error) {
			return c.GetEntry(t.Context(), key, func(context.Context, string) (string, error) { return "", ErrNotFound })
		},
		"GetMany": func(key string) (e Entry[string], err error) {
			got, err := c.GetMany(t.Context(), []string{key}, nil)
			return Entry[string]{Value: got[key]}, err
		},
	}
	begun := client.clock.precise()
	for name, read := range reads {
		covered := c.newItem("v", begun, 0, time.Hour)
		covered.Epoch = client.feed.epoch.Load()
		c.put("covered", covered)
		c.put("over", c.newItem("v", begun, 0, time.Microsecond))
		waitUntil(t, time.Second, func() bool { return client.clock.precise() > begun+int64(time.Millisecond) }, func() string { return "time stands still" })
		client.feed.until.Store(client.clock.precise())
		client.clock.now.Store(begun)
		if e, err := read("covered"); err != nil || e.Coherent {
			t.Errorf("%s after the lease: %+v, %v", name, e, err)
		}
		if e, err := read("over"); err == nil || e.Value != "" {
			t.Errorf("%s after its end: %+v, %v", name, e, err)
		}
	}
}

// Only memory may ask the clock that can be late.
func TestNothingButMemoryAsksTheCoarseClock(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir() != "." || s.isTest() || s.file == "clock.go" {
			continue
		}
		data, err := os.ReadFile(s.file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("NowNano")) {
			t.Errorf("%s asks NowNano: a promise needs precise", s.file)
		}
	}
}
