package evercache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/redisproc"
)

// The key ends while its refresh runs, and the refresh finds that the origin has it no
// more: whoever waits is told, though there is a stale value.
func TestWhoWaitsForARefreshIsToldThatTheKeyIsGone(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, Stale: time.Hour, LoadPatience: Never, RefreshAhead: 0.9})
		_, _ = c.Get(t.Context(), "k", constant("old"))
		time.Sleep(9500 * time.Millisecond)
		gone := func(context.Context, string) (string, error) {
			time.Sleep(4 * time.Second)
			return "", ErrNotFound
		}
		v, err := c.Get(t.Context(), "k", gone)
		wantValue(t, v, err, "old")
		time.Sleep(time.Second)
		if v, err := c.Get(t.Context(), "k", gone); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// A refresh may end without a result. Whoever waited for it loads the key then.
func TestWhoWaitsForARefreshThatIsGivenUpLoads(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.9})
		f, _ := c.flights.Join("k", flight.Refreshes)
		time.AfterFunc(time.Second, f.Abandon)
		v, err := c.Get(t.Context(), "k", constant("v"))
		wantValue(t, v, err, "v")
	})
}

// A panic in the application's clone ends a GetMany that has been given leave to try.
func TestAPanicDoesNotKeepALeaveToTry(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		panics := false
		c := cacheOf(t, client, "c", Policy{TTL: time.Second, Stale: time.Hour}, WithClone(func(v string) string {
			if panics {
				panic("clone")
			}
			return v
		}))
		_, _ = c.Get(t.Context(), "b", constant("stale"))
		time.Sleep(2 * time.Second)
		_, _ = c.Get(t.Context(), "b", failing)
		time.Sleep(100 * time.Millisecond)
		_, _ = c.Get(t.Context(), "b", failing) // it rests longer than the class does
		for i := range 7 {
			_, _ = c.Get(t.Context(), fmt.Sprint(i), failing)
		}
		if _, open := c.guard.circuit.Open(c.client.store.Clock.Now()); !open {
			t.Fatal("the class does not rest")
		}
		time.Sleep(100 * time.Millisecond)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the clone has not panicked")
				}
			}()
			panics = true
			_, _ = c.GetMany(t.Context(), []string{"a", "b"}, func(context.Context, []string) (map[string]string, error) { return nil, nil })
		}()
		panics = false
		time.Sleep(time.Minute)
		v, err := c.Get(t.Context(), "k", constant("v"))
		wantValue(t, v, err, "v")
	})
}

func TestNotModifiedForManyKeysIsNoFailure(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour})
		for i := range 10 {
			_, _ = c.Set(t.Context(), fmt.Sprint(i), "v")
		}
		time.Sleep(2 * time.Minute)
		for i := range 10 {
			got, err := c.GetMany(t.Context(), []string{fmt.Sprint(i)}, func(context.Context, []string) (map[string]string, error) { return nil, ErrNotModified })
			wantValue(t, got[fmt.Sprint(i)], err, "v")
		}
		v, err := c.Get(t.Context(), "other", constant("v"))
		wantValue(t, v, err, "v")
	})
}

// A load goes on for longer than its stale value may be served.
func TestWhatIsOfferedEndsWithItsStale(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Second, Stale: time.Second, LoadTimeout: 30 * time.Second})
		_, _ = c.Get(t.Context(), "k", constant("old"))
		time.Sleep(1500 * time.Millisecond)
		slow := func(context.Context, string) (string, error) { time.Sleep(20 * time.Second); return "new", nil }
		v, err := c.Get(t.Context(), "k", slow)
		wantValue(t, v, err, "old")
		time.Sleep(200 * time.Millisecond)
		v, err = c.Get(t.Context(), "k", slow)
		wantValue(t, v, err, "old")
		time.Sleep(time.Second)
		start := time.Now()
		v, err = c.Get(t.Context(), "k", slow)
		wantValue(t, v, err, "new")
		if took := time.Since(start); took < 18*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// Loads that a pause forbids are none of those that an outage allows.
func TestALoadThatIsPausedTakesNothingOfTheOutagesRate(t *testing.T) {
	many := func(load Loader[string]) ManyLoader[string] {
		return func(ctx context.Context, keys []string) (map[string]string, error) {
			v, err := load(ctx, keys[0])
			return map[string]string{keys[0]: v}, err
		}
	}
	for name, read := range map[string]func(ctx context.Context, c *Cache[string], key string, load Loader[string]) (string, error){
		"Get": func(ctx context.Context, c *Cache[string], key string, load Loader[string]) (string, error) {
			return c.Get(ctx, key, load)
		},
		"GetMany": func(ctx context.Context, c *Cache[string], key string, load Loader[string]) (string, error) {
			got, err := c.GetMany(ctx, []string{key}, many(load))
			return got[key], err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{OutageLoadRate: 5})
				for range 100 {
					_, _ = read(t.Context(), c, "bad", failing)
				}
				v, err := read(t.Context(), c, "good", constant("v"))
				wantValue(t, v, err, "v")
			})
		})
	}
}

// In an outage a load that was let through by the class and not by the rate gives its
// leave back.
func TestALoadThatIsShedKeepsNoLeaveToTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{OutageLoadRate: 9})
		for i := range 8 {
			_, _ = c.Get(t.Context(), fmt.Sprint(i), failing)
		}
		time.Sleep(100 * time.Millisecond)
		for c.limiter.Allow() {
			continue
		}
		if _, err := c.Get(t.Context(), "k", constant("v")); !errors.Is(err, errShed) {
			t.Errorf("error = %v", err)
		}
		none := func(context.Context, []string) (map[string]string, error) { return nil, nil }
		if _, err := c.GetMany(t.Context(), []string{"a", "b"}, none); !errors.Is(err, errShed) {
			t.Errorf("error = %v", err)
		}
		time.Sleep(time.Second)
		v, err := c.Get(t.Context(), "k", constant("v"))
		wantValue(t, v, err, "v")
	})
}

// A refresh whose result cannot be kept is not begun again and again.
func TestARefreshThatKeepsNothingIsSeldomTriedAgain(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 1000 * time.Second, RefreshAhead: 0.5})
		_, _ = c.Get(t.Context(), "k", constant("v"))
		var asked atomic.Int64
		for range 999 {
			time.Sleep(time.Second)
			v, err := c.Get(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
				asked.Add(1)
				LoadOf[string](ctx).NoStore(key)
				return "not kept", nil
			})
			wantValue(t, v, err, "v")
		}
		if n := asked.Load(); n < 1 || n > 12 {
			t.Errorf("%d loads", n)
		}
	})
}

// Where no refresh can be stored in Redis none is loaded.
func TestWithoutScriptsNothingIsLoadedAhead(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all", "-@scripting")
	client := open(t, Options{Addr: p.Addr(), Username: "app", Password: "one", ReadTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour, RefreshAhead: 0.5})
	_, err := c.Set(t.Context(), "k", "v")
	wantErr(t, err, nil)
	_, err = c.Delete(t.Context(), "other") // would be a script
	wantErr(t, err, nil)
	waitFinding(t, client, "redis-scripts-forbidden")
	var loads atomic.Int64
	c.refresh(t.Context(), "k", c.peek("k"), func(context.Context, string) (string, error) { loads.Add(1); return "new", nil })
	waitUntil(t, 20*time.Second, func() bool { return c.ahead.n.Load() == 0 }, func() string { return "the refresh does not end" })
	if n := loads.Load(); n != 0 {
		t.Errorf("%d loads", n)
	}
}

// A loader that ignores its context returns long after its load was given up: not even
// a tombstone may be left of what was deleted meanwhile.
func TestWhatARefreshBringsTooLateIsNotStored(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour, RefreshAhead: 0.5, LoadTimeout: 300 * time.Millisecond})
	for name, say := range map[string]error{"a value": nil, "that it is gone": ErrNotFound} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Set(t.Context(), "k", "old")
			wantErr(t, err, nil)
			goOn, returned := make(chan struct{}), make(chan struct{})
			c.refresh(t.Context(), "k", c.peek("k"), func(context.Context, string) (string, error) {
				defer close(returned)
				<-goOn
				return "late", say
			})
			waitUntil(t, 20*time.Second, func() bool { return c.ahead.n.Load() == 0 }, func() string { return "the refresh does not end" })
			want := any("old")
			if say == nil {
				want = nil
				redisDo(t, p, "DEL", "c:k")
			}
			in := c.client.loads.inFlight.Load()
			close(goOn)
			<-returned
			waitUntil(t, 20*time.Second, func() bool { return c.client.loads.inFlight.Load() < in }, func() string { return "the loader does not end" })
			for range 20 { // nothing comes
				if got := redisDo(t, p, "GET", "c:k"); got != want {
					t.Fatalf("Redis holds %v, want %v", got, want)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// A key that cannot be loaded says nothing about others, whoever asks for it.
func TestOneKeyThatFailsInACallForManyStopsNoOther(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		for range 600 {
			_, _ = c.GetMany(t.Context(), []string{"bad"}, func(context.Context, []string) (map[string]string, error) { return nil, errOrigin })
			time.Sleep(100 * time.Millisecond)
		}
		v, err := c.Get(t.Context(), "good", constant("v"))
		wantValue(t, v, err, "v")
	})
}

func TestRefreshAheadNeedsReadsFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{RefreshAhead: 0.5, L1TTL: Never}
		for name, client := range map[string]*Client{"with Redis": open(t, Options{Addr: noRedis}), "where memory is all": openMemory(t)} {
			if _, err := NewCache[string](client, "c", p); err == nil {
				t.Errorf("%s it is taken", name)
			}
		}
	})
}

func TestNoStoreIsNotTakenBackByATTL(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		v, err := c.Get(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
			l := LoadOf[string](ctx)
			l.NoStore(key)
			l.SetTTL(key, time.Hour)
			return "v", nil
		})
		wantValue(t, v, err, "v")
		if c.peek("k") != nil {
			t.Error("it is kept")
		}
	})
}

func TestATouchEndsNoPause(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute})
		_, _ = c.Set(t.Context(), "k", "v")
		time.Sleep(30 * time.Second)
		now := client.store.Clock.Now()
		c.guard.pauses.Failed("k", errOrigin, 0, now)
		_, err := c.Touch(t.Context(), "k")
		wantErr(t, err, nil)
		if _, paused := c.guard.pauses.Refuse("k", now); !paused {
			t.Error("it is over")
		}
	})
}
