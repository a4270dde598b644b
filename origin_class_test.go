package evercache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// Some rows of a table are broken, and are read again and again. The healthy ones are in
// memory, so only new ones are loaded.
func TestBrokenRowsKeepNobodyElseOut(t *testing.T) {
	for _, tt := range []struct {
		name         string
		warm, broken int
		pause        time.Duration // after the class is warm
		every        int           // reads of broken rows for one of a new healthy row
		refused      int           // at most, of the new healthy rows
	}{
		{"a dozen", 5000, 12, 0, 5, 0},
		{"twenty", 5000, 20, 0, 5, 0},
		{"forty", 5000, 40, 0, 5, 0},
		{"a dozen, long after the class was filled", 5000, 12, 2 * time.Minute, 5, 60}, // in the first second: probes that fail are of rows that nobody knows yet
		{"a dozen, seldom a new healthy row", 5000, 12, 2 * time.Minute, 2000, 0},
		{"eight in a class that nobody has read before", 0, 8, 0, 2000, 0},
		{"a dozen in a class that nobody has read before", 0, 12, 0, 5, 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faked(t, func(t *testing.T, client *Client) {
				c := cacheOf[string](t, client, "c", Policy{TTL: 30 * time.Minute})
				for i := range tt.warm {
					_, _ = c.Get(t.Context(), fmt.Sprint("warm", i), constant("v"))
				}
				time.Sleep(tt.pause)
				refused, loads := 0, 0
				var last time.Duration
				for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(5 * time.Millisecond) {
					i := int(time.Since(start) / (5 * time.Millisecond))
					_, err := c.Get(t.Context(), fmt.Sprint("broken", i%tt.broken), func(context.Context, string) (string, error) {
						loads++
						return "", errOrigin
					})
					if !errors.Is(err, errOrigin) && !errors.Is(err, ErrOriginPaused) {
						t.Fatalf("error = %v", err)
					}
					if i%tt.every != tt.every-1 {
						continue
					}
					if _, err := c.Get(t.Context(), fmt.Sprint("new", i), constant("v")); err != nil {
						refused++
						last = time.Since(start)
					}
				}
				if refused > tt.refused || last > 2*time.Second {
					t.Errorf("%d new healthy rows were refused, the last after %v", refused, last)
				}
				if hasFinding(client.Health(), health.CodeOriginFailing) {
					t.Error("the class is said to fail")
				}
				if most := tt.broken * (7 + 300/2); loads > most { // pauses of 2.4 to 3.2 s
					t.Errorf("%d loads of broken rows, want at most %d", loads, most)
				}
			})
		})
	}
}

// Rows that fail by themselves do not hide that the origin goes down.
func TestAnOriginThatGoesDownIsNoticedBesideBrokenRows(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		s := &loads{}
		step := func(i int) {
			_, _ = c.Get(t.Context(), fmt.Sprint("broken", i%20), failing)
			_, _ = c.Get(t.Context(), fmt.Sprint("new", i), s.load)
			time.Sleep(10 * time.Millisecond)
		}
		for i := range 6000 {
			step(i)
		}
		s.down.Store(true)
		s.asked.Store(0)
		for i := range 2000 {
			step(10_000 + i)
		}
		if n := s.asked.Load(); n < 30 || n > 50 { // 32 until it is noticed
			t.Errorf("the origin was asked %d times in 20 s", n)
		}
		if !hasFinding(client.Health(), health.CodeOriginFailing) {
			t.Error("it is not reported")
		}
	})
}

func TestWhoIsRefusedAfterFailuresIsTold(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		for i := range 8 {
			_, err := c.Get(t.Context(), fmt.Sprint(i), func(context.Context, string) (string, error) { return "", errOrigin })
			if errors.Is(err, ErrOriginPaused) {
				t.Errorf("the first error is %v", err)
			}
		}
		for key, wraps := range map[string]bool{"0": true, "other": false} {
			_, err := c.Get(t.Context(), key, constant("v"))
			if !errors.Is(err, ErrOriginPaused) || errors.Is(err, errOrigin) != wraps || IsUnavailable(err) || !IsRetryable(err) {
				t.Errorf("key %s: %v (unavailable: %v, retryable: %v)", key, err, IsUnavailable(err), IsRetryable(err))
			}
		}
	})
}

// Another client's ErrClosed is a failure of the origin like any other.
func TestAnErrorOfAnotherClientIsAFailure(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		asked := 0
		for range 20 {
			_, err := c.Get(t.Context(), "k", func(context.Context, string) (string, error) {
				asked++
				return "", fmt.Errorf("other cache: %w", ErrClosed)
			})
			if !errors.Is(err, ErrClosed) {
				t.Fatalf("error = %v", err)
			}
		}
		if asked != 1 || c.guard.failed.count().N != 1 {
			t.Errorf("asked %d times, %d failures are counted", asked, c.guard.failed.count().N)
		}
	})
}

func TestOneBrokenRowOfACallForManyFailsAlone(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 100 * time.Millisecond, NegativeTTL: time.Minute})
		asked := map[string]int{}
		many := func(_ context.Context, keys []string) (map[string]string, error) {
			values, failed := map[string]string{}, KeyErrors{}
			for _, key := range keys {
				asked[key]++
				switch key {
				case "broken":
					failed[key] = errOrigin
				case "gone":
				default:
					values[key] = key
				}
			}
			return values, failed.OrNil()
		}
		for range 50 {
			got, err := c.GetMany(t.Context(), []string{"a", "b", "broken", "gone"}, many)
			if len(got) != 2 || got["a"] != "a" || !errors.Is(err, errOrigin) {
				t.Fatalf("%v, %v", got, err)
			}
			time.Sleep(200 * time.Millisecond)
		}
		if asked["a"] != 50 || asked["broken"] > 10 || asked["gone"] != 1 {
			t.Errorf("asked %v", asked)
		}
		if _, err := c.Get(t.Context(), "other", constant("v")); err != nil {
			t.Errorf("another key: %v", err)
		}
	})
}

func TestKeyErrorsSayWhatHasFailed(t *testing.T) {
	for name, tt := range map[string]struct {
		errs KeyErrors
		want string
	}{
		"none":      {nil, "no key has failed"},
		"nil ones":  {KeyErrors{"a": nil}, "no key has failed"},
		"some":      {KeyErrors{"b": io.EOF, "a": errOrigin, "c": nil}, "2 keys have failed, one of them: origin is down"},
		"of errors": {KeyErrors{"a": KeyErrors{"x": errOrigin}}, "1 keys have failed, one of them: 1 keys have failed, one of them: origin is down"},
	} {
		if got := tt.errs.Error(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if err := (KeyErrors{}).OrNil(); err != nil {
		t.Errorf("without a failed key: %v", err)
	}
	if err := (KeyErrors{"a": io.EOF}).OrNil(); !errors.Is(err, io.EOF) {
		t.Errorf("with one: %v", err)
	}
}

// Values beside another error may be no values: map[string]V{key: v}, err.
func TestValuesBesideAnErrorAreNotUsed(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		got, err := c.GetMany(t.Context(), []string{"a"}, func(context.Context, []string) (map[string]string, error) {
			return map[string]string{"a": ""}, errOrigin
		})
		if len(got) != 0 || !errors.Is(err, errOrigin) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestAValueThatIsTooLongToStoreIsToldAtEachRead(t *testing.T) {
	faked(t, func(t *testing.T, _ *Client) {
		client := open(t, Options{MemoryOnly: true, MemoryBytes: 64 << 10, MaxValueBytes: 1000})
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, RefreshAhead: 0.5})
		loads := 0
		long := func(context.Context, string) (string, error) { loads++; return strings.Repeat("x", 2000), nil }
		for i := range 5 {
			e, err := c.GetEntry(t.Context(), "k", long)
			if err != nil || len(e.Value) != 2000 || !errors.Is(e.Cause, ErrValue) && !errors.Is(e.Cause, errAlone) || !e.Fresh {
				t.Errorf("read %d: %v, fresh %v, %v", i, e.Cause, e.Fresh, err)
			}
		}
		if n := client.Stats().EncodeFailures; n != 1 || loads != 1 {
			t.Errorf("%d failures are counted, %d loads", n, loads)
		}
		wantFinding(t, client, "value-too-long-to-store", "class c: 1 so far")
		if hasFinding(client.Health(), health.CodeValueUnencodable) {
			t.Error("it is said that it does not encode")
		}
		e, err := c.GetEntry(t.Context(), "short", constant("v"))
		if err != nil || e.Cause != nil {
			t.Errorf("a short one: %+v, %v", e, err)
		}
	})
}

// Redis has no such key, and memory answers as long as nobody writes it.
func TestAValueThatIsTooLongForRedisIsLoadedOnce(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr(), MaxValueBytes: 1000})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	waitUntil(t, 20*time.Second, func() bool { return c.keys.Mark(c.full("k")).Cover() != nil }, func() string { return "there is no feed" })
	loads := 0
	for range 500 {
		e, err := c.GetEntry(t.Context(), "k", func(context.Context, string) (string, error) { loads++; return strings.Repeat("x", 2000), nil })
		if err != nil || len(e.Value) != 2000 || e.Cause == nil {
			t.Fatalf("%d bytes, cause %v, %v", len(e.Value), e.Cause, err)
		}
	}
	if loads > 5 { // one, and one each time that the machine stood still for L1TTL or a lease
		t.Errorf("%d loads for 500 reads", loads)
	}
	wantFinding(t, client, "value-too-long-to-store", "class c: ")
	redisDo(t, p, "SET", "c:k", "short")
	waitUntil(t, 20*time.Second, func() bool { e, _ := c.Lookup(t.Context(), "k"); return e.Value == "short" && e.Cause == nil },
		func() string { return "what another program wrote is not seen" })
}

func TestAValueThatNothingCanHoldIsTold(t *testing.T) {
	faked(t, func(t *testing.T, _ *Client) {
		client := open(t, Options{MemoryOnly: true, MemoryBytes: 64 << 10})
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		for range 3 {
			e, err := c.GetEntry(t.Context(), "k", constant(strings.Repeat("x", 70_000)))
			if err != nil || len(e.Value) != 70_000 || !errors.Is(e.Cause, errUnkept) {
				t.Errorf("%d bytes, %v, %v", len(e.Value), e.Cause, err)
			}
			synctest.Wait() // memory drops it soon
		}
		wantFinding(t, client, "value-too-long-to-store", "each read loads them: class c: 3 so far")
	})
}

func TestADeletePrefixOfAnotherProcessEndsPauses(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	policy := Policy{TTL: time.Minute, LoadRetryAfter: MaxLoadRetryAfter}
	c, other := cacheAt(t, p.Addr(), policy), cacheAt(t, p.Addr(), policy)
	waitUntil(t, 20*time.Second, func() bool { return c.keys.Mark(c.full("k")).Cover() != nil }, func() string { return "there is no feed" })
	if _, err := c.Get(t.Context(), "k", failing); err == nil {
		t.Fatal("it has not failed")
	}
	if _, err := c.Get(t.Context(), "k", constant("v")); !errors.Is(err, ErrOriginPaused) {
		t.Fatalf("error = %v", err)
	}
	_, _, err := other.DeletePrefix(t.Context(), "k")
	wantErr(t, err, nil)
	waitUntil(t, 20*time.Second, func() bool { v, err := c.Get(t.Context(), "k", constant("v")); return err == nil && v == "v" },
		func() string { return "it is paused still" })
}

// Memory is all there is, and the key's end comes while it is refreshed.
func TestWhatARefreshBroughtIsCoherentWhereMemoryIsAll(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.9})
		_, _ = c.Get(t.Context(), "k", constant("old"))
		time.Sleep(9500 * time.Millisecond)
		slow := func(context.Context, string) (string, error) { time.Sleep(time.Second); return "new", nil }
		_, _ = c.Get(t.Context(), "k", slow)
		time.Sleep(600 * time.Millisecond)
		e, err := c.GetEntry(t.Context(), "k", failing)
		if err != nil || e.Value != "new" || !e.Fresh || !e.Coherent {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

// A key that has failed holds up none of the others of its call.
func TestACallForManyKeysTriesForTheBestOfThem(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		for i := range 8 {
			_, _ = c.Get(t.Context(), fmt.Sprint(i), failing)
		}
		time.Sleep(100 * time.Millisecond)
		_, _ = c.Get(t.Context(), "0", failing) // those that have failed rest for 150 ms and more
		time.Sleep(50 * time.Millisecond)
		got, err := c.GetMany(t.Context(), []string{"1", "new"}, func(_ context.Context, keys []string) (map[string]string, error) {
			if len(keys) != 1 || keys[0] != "new" {
				t.Errorf("asked for %v", keys)
			}
			return map[string]string{"new": "v"}, nil
		})
		if got["new"] != "v" || !errors.Is(err, ErrOriginPaused) {
			t.Errorf("%v, %v", got, err)
		}
	})
}
