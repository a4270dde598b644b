package evercache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/health"
)

// faked runs a test on fake time, with a client whose memory is all there is.
func faked(t *testing.T, test func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		test(t, c)
	})
}

var errOrigin = errors.New("origin is down")

// loads is an origin: it counts what it is asked for, and can be made to fail or to hang.
type loads struct {
	asked atomic.Int64
	down  atomic.Bool
	hangs atomic.Bool
	takes time.Duration
}

func (s *loads) load(ctx context.Context, key string) (string, error) {
	n := s.asked.Add(1)
	time.Sleep(s.takes)
	if s.hangs.Load() {
		<-ctx.Done()
		return "", context.Cause(ctx)
	}
	if s.down.Load() {
		return "", errOrigin
	}
	return fmt.Sprint(key, n), nil
}

func TestAStaleValueIsServedWhenTheLoaderTakesLong(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour})
		s := &loads{}
		_, _ = c.Get(t.Context(), "k", s.load)
		time.Sleep(2 * time.Minute)
		s.takes = time.Second
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				e, err := c.GetEntry(t.Context(), "k", s.load)
				if err != nil || e.Value != "k1" || e.Fresh || e.Coherent || e.Source != SourceMemory || !errors.Is(e.Cause, errLoadSlow) {
					t.Errorf("while the loader runs: %+v, %v", e, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("the callers waited %v", took)
		}
		start = time.Now()
		if v, err := c.Get(t.Context(), "k", s.load); v != "k1" || err != nil || time.Since(start) != 0 {
			t.Errorf("one who comes later: %q, %v after %v", v, err, time.Since(start))
		}
		time.Sleep(time.Second)
		if e, err := c.GetEntry(t.Context(), "k", s.load); err != nil || e.Value != "k2" || !e.Fresh || s.asked.Load() != 2 {
			t.Errorf("after the load: %+v, %v, %d loads", e, err, s.asked.Load())
		}
		if n := client.Stats().LoadsImpatient; n != 1 {
			t.Errorf("%d loads were not waited for", n)
		}
	})
}

// A hit while the loader runs must not keep those waiting who have no stale value.
func TestWithoutAStaleValueCallersWaitForTheLoader(t *testing.T) {
	for name, p := range map[string]Policy{
		"nothing is kept":        {TTL: time.Minute},
		"the class waits":        {TTL: time.Minute, Stale: time.Hour, LoadPatience: Never},
		"it is past that too":    {TTL: time.Second, Stale: time.Second},
		"the class refuses that": {TTL: time.Minute, Stale: time.Hour, OutageReads: RefuseReads},
	} {
		t.Run(name, func(t *testing.T) {
			faked(t, func(t *testing.T, client *Client) {
				c := cacheOf[string](t, client, "c", p)
				s := &loads{takes: time.Second}
				_, _ = c.Get(t.Context(), "k", s.load)
				time.Sleep(2 * time.Minute)
				start := time.Now()
				if v, err := c.Get(t.Context(), "k", s.load); v != "k2" || err != nil || time.Since(start) != time.Second {
					t.Errorf("%q, %v after %v", v, err, time.Since(start))
				}
			})
		})
	}
}

func TestACallersOwnDeadlineIsKeptWithAStaleValue(t *testing.T) {
	reads := map[string]func(ctx context.Context, c *Cache[string], s *loads) (string, error){
		"Get": func(ctx context.Context, c *Cache[string], s *loads) (string, error) { return c.Get(ctx, "k", s.load) },
		"GetMany": func(ctx context.Context, c *Cache[string], s *loads) (string, error) {
			got, err := c.GetMany(ctx, []string{"k"}, func(ctx context.Context, keys []string) (map[string]string, error) {
				v, err := s.load(ctx, keys[0])
				return map[string]string{keys[0]: v}, err
			})
			return got["k"], err
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			faked(t, func(t *testing.T, client *Client) {
				c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour})
				s := &loads{}
				_, _ = c.Get(t.Context(), "k", s.load)
				time.Sleep(2 * time.Minute)
				s.takes = time.Second
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				defer cancel()
				start := time.Now()
				if v, err := read(ctx, c, s); v != "k1" || err != nil || time.Since(start) != 30*time.Millisecond {
					t.Errorf("%q, %v after %v", v, err, time.Since(start))
				}
				_, _ = c.Delete(t.Context(), "k")
				ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
				defer cancel()
				if v, err := read(ctx, c, s); v != "" || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("of a key that was deleted: %q, %v", v, err)
				}
			})
		})
	}
}

func TestAFailingOriginIsNotAskedAgainAtOnce(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		s := &loads{}
		s.down.Store(true)
		for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(time.Millisecond) {
			if _, err := c.Get(t.Context(), "k", s.load); !errors.Is(err, errOrigin) {
				t.Fatalf("error = %v", err)
			}
		}
		// Pauses of 100, 200, … 3200 ms, each up to a quarter shorter.
		if n := s.asked.Load(); n < 7 || n > 10 {
			t.Errorf("it was asked %d times in 10 s", n)
		}
		if n := client.Stats().LoadsPaused; n < 9000 {
			t.Errorf("%d reads were answered without it", n)
		}
		s.down.Store(false)
		time.Sleep(3200 * time.Millisecond)
		if v, err := c.Get(t.Context(), "k", s.load); err != nil || v == "" {
			t.Errorf("when it is back: %q, %v", v, err)
		}
		if c.guard.pauses.Len() != 0 {
			t.Error("its failures are remembered")
		}
	})
}

func TestInThePauseAfterAFailureTheStaleValueIsServed(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour})
		s := &loads{}
		_, _ = c.Get(t.Context(), "k", s.load)
		time.Sleep(2 * time.Minute)
		s.down.Store(true)
		for range 5 {
			e, err := c.GetEntry(t.Context(), "k", s.load)
			if err != nil || e.Value != "k1" || e.Fresh || !errors.Is(e.Cause, errOrigin) {
				t.Errorf("%+v, %v", e, err)
			}
		}
		if n := s.asked.Load(); n != 2 {
			t.Errorf("the origin was asked %d times", n)
		}
	})
}

func TestAWriteOrDeleteEndsThePauseOfItsKey(t *testing.T) {
	for name, write := range map[string]func(ctx context.Context, c *Cache[string]){
		"Set and Delete": func(ctx context.Context, c *Cache[string]) {
			_, _ = c.Set(ctx, "k", "v")
			_, _ = c.Delete(ctx, "k")
		},
		"Delete":       func(ctx context.Context, c *Cache[string]) { _, _ = c.Delete(ctx, "k") },
		"DeletePrefix": func(ctx context.Context, c *Cache[string]) { _, _, _ = c.DeletePrefix(ctx, "k") },
	} {
		t.Run(name, func(t *testing.T) {
			faked(t, func(t *testing.T, client *Client) {
				c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
				s := &loads{}
				s.down.Store(true)
				_, _ = c.Get(t.Context(), "k", s.load)
				s.down.Store(false)
				write(t.Context(), c)
				if v, err := c.Get(t.Context(), "k", s.load); v != "k2" || err != nil {
					t.Errorf("%q, %v", v, err)
				}
			})
		})
	}
}

func TestWhatIsNoFailureMakesNoPause(t *testing.T) {
	for name, err := range map[string]error{"not found": ErrNotFound, "a cycle": ErrLoadCycle} {
		t.Run(name, func(t *testing.T) {
			faked(t, func(t *testing.T, client *Client) {
				c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
				asked := 0
				for range 20 {
					_, _ = c.Get(t.Context(), "k", func(context.Context, string) (string, error) { asked++; return "", err })
				}
				if asked != 20 {
					t.Errorf("asked %d times", asked)
				}
			})
		})
	}
}

// All of a class fails: one load at a time tries again, and when it succeeds all keys
// are loaded again.
func TestAnOriginThatIsDownIsAskedByOneLoadAtATime(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour})
		s := &loads{}
		const keys = 200
		for i := range keys / 2 {
			_, _ = c.Get(t.Context(), fmt.Sprint("old", i), s.load)
		}
		time.Sleep(2 * time.Minute)
		s.down.Store(true)
		s.asked.Store(0)
		start := time.Now()
		for ; time.Since(start) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
			for i := range keys / 2 {
				if _, err := c.Get(t.Context(), fmt.Sprint("old", i), s.load); err != nil {
					t.Fatalf("a stale value is there: %v", err)
				}
				if _, err := c.Get(t.Context(), fmt.Sprint("new", i), s.load); !errors.Is(err, ErrOriginPaused) && !errors.Is(err, errOrigin) {
					t.Fatalf("error = %v", err)
				}
			}
		}
		// 8 keys until it opens, then probes after 100, 200, … 3200 ms.
		if n := s.asked.Load(); n < 8+7 || n > 8+14 {
			t.Errorf("%d reads of %d keys in 20 s asked it %d times", 2000*keys, keys, n)
		}
		if !hasFinding(client.Health(), health.CodeOriginFailing) {
			t.Error("it is not reported")
		}
		s.down.Store(false)
		time.Sleep(3200 * time.Millisecond)
		_, _ = c.Get(t.Context(), "old0", s.load) // the probe
		for i := range keys / 2 {
			if e, err := c.GetEntry(t.Context(), fmt.Sprint("old", i), s.load); err != nil || !e.Fresh {
				t.Fatalf("after the probe: %+v, %v", e, err)
			}
			if _, err := c.Get(t.Context(), fmt.Sprint("new", i), s.load); err != nil {
				t.Fatalf("after the probe: %v", err)
			}
		}
		if hasFinding(client.Health(), health.CodeOriginFailing) {
			t.Error("it is reported still")
		}
	})
}

// A hung origin: each key's load is given up after LoadTimeout; from then on one is.
func TestAnOriginThatHangsIsAskedByOneLoadAtATime(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, LoadTimeout: time.Second})
		s := &loads{}
		s.hangs.Store(true)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { _, _ = c.Get(t.Context(), fmt.Sprint(i), s.load) })
		}
		wg.Wait()
		s.asked.Store(0)
		for range 100 {
			wg.Go(func() {
				for i := range 10 {
					_, _ = c.Get(t.Context(), fmt.Sprint("more", i), s.load)
				}
			})
		}
		time.Sleep(110 * time.Millisecond)
		for range 10 {
			wg.Go(func() { _, _ = c.Get(t.Context(), "probe", s.load) })
			wg.Go(func() { _, _ = c.Get(t.Context(), "other", s.load) })
		}
		wg.Wait()
		if n := s.asked.Load(); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
	})
}

func TestOneKeyThatFailsKeepsNoOtherFromBeingLoaded(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		for i := range 300 {
			_, err := c.Get(t.Context(), fmt.Sprint("bad", i%7), failing)
			if err == nil || !strings.Contains(err.Error(), "origin is down") {
				t.Fatalf("error = %v", err)
			}
			time.Sleep(time.Second)
		}
		if _, err := c.Get(t.Context(), "good", constant("v")); err != nil {
			t.Errorf("another key: %v", err)
		}
	})
}

// The error of one key's load may say what is in it.
func TestNoCallerGetsTheErrorOfAnotherKey(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		for i := range 8 {
			_, _ = c.Get(t.Context(), fmt.Sprint(i), func(context.Context, string) (string, error) { return "", errOrigin })
		}
		if _, err := c.Get(t.Context(), "other", constant("v")); !errors.Is(err, ErrOriginPaused) || IsUnavailable(err) || errors.Is(err, errOrigin) {
			t.Errorf("error = %v", err)
		}
	})
}

func TestACallForManyKeysIsPausedToo(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		calls := 0
		many := func(_ context.Context, keys []string) (map[string]string, error) {
			calls++
			return nil, errOrigin
		}
		for range 100 {
			_, err := c.GetMany(t.Context(), []string{"a", "b"}, many)
			if !errors.Is(err, errOrigin) {
				t.Fatalf("error = %v", err)
			}
		}
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
		for i := range 20 { // a call counts for one key of the class
			_, _ = c.GetMany(t.Context(), []string{fmt.Sprint("x", i), fmt.Sprint("y", i)}, many)
		}
		if calls != 8 {
			t.Errorf("%d calls until the class was paused, want 8", calls)
		}
	})
}
