package evercache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestAnEntryThatIsReadIsLoadedAgainBeforeItsEnd(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.8})
		s := &loads{}
		_, _ = c.Get(t.Context(), "k", s.load)
		s.takes = 50 * time.Millisecond
		var slowest time.Duration
		for start := time.Now(); time.Since(start) < 10*time.Minute; time.Sleep(time.Second) {
			called := time.Now()
			e, err := c.GetEntry(t.Context(), "k", s.load)
			if err != nil || !e.Fresh {
				t.Fatalf("%+v, %v", e, err)
			}
			slowest = max(slowest, time.Since(called))
		}
		if slowest != 0 {
			t.Errorf("a caller waited %v", slowest)
		}
		// Due after 6 to 8 s, noticed by the read after that.
		if n := s.asked.Load(); n < 600/9 || n > 600/6+1 {
			t.Errorf("%d loads in ten minutes", n)
		}
		if n := client.Stats().LoadsRefreshed; n != uint64(s.asked.Load()-1) {
			t.Errorf("%d refreshes are counted, %d loads", n, s.asked.Load())
		}
	})
}

func TestWhatIsNotReadIsNotRefreshed(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.8})
		s := &loads{}
		_, _ = c.Get(t.Context(), "k", s.load)
		time.Sleep(9 * time.Second)
		_, _ = c.Lookup(t.Context(), "k") // has no loader
		synctest.Wait()
		if n := s.asked.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
	})
}

// Sixteen readers of one key, and a loader that takes long: one load runs at a time.
func TestManyReadersOfADueEntryStartOneLoad(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.5})
		s := &loads{}
		_, _ = c.Get(t.Context(), "k", s.load)
		s.takes = time.Second
		time.Sleep(6 * time.Second)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 50 {
					if v, err := c.Get(t.Context(), "k", s.load); v != "k1" || err != nil {
						t.Errorf("%q, %v", v, err)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		if n := s.asked.Load(); n != 2 {
			t.Errorf("%d loads", n)
		}
	})
}

// What is filled together is not loaded together again.
func TestRefreshesAreSpread(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		const keys, ttl = 2000, 10 * time.Second
		c := cacheOf[string](t, client, "c", Policy{TTL: ttl, RefreshAhead: 0.8, MaxRefreshes: 512})
		var loads [keys]atomic.Int32
		var filled atomic.Bool
		var mu sync.Mutex
		begun := map[int64]int{} // by 100 ms
		load := func(i int) Loader[string] {
			return func(context.Context, string) (string, error) {
				if filled.Load() {
					mu.Lock()
					begun[time.Now().UnixMilli()/100]++
					mu.Unlock()
				}
				loads[i].Add(1)
				time.Sleep(30 * time.Millisecond)
				return "v", nil
			}
		}
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() { _, _ = c.Get(t.Context(), fmt.Sprint(i), load(i)) })
		}
		wg.Wait()
		filled.Store(true)
		for start := time.Now(); time.Since(start) < 11*time.Second; time.Sleep(50 * time.Millisecond) {
			for i := range keys {
				called := time.Now()
				if _, err := c.Get(t.Context(), fmt.Sprint(i), load(i)); err != nil || time.Since(called) > 0 {
					t.Fatalf("key %d: %v after %v", i, err, time.Since(called))
				}
				if i%100 == 99 {
					time.Sleep(time.Millisecond) // the readers are not all at one moment
				}
			}
		}
		peak := 0
		for _, n := range begun {
			peak = max(peak, n)
		}
		if peak > keys/10 {
			t.Errorf("%d of %d loads in 100 ms", peak, keys)
		}
	})
}

func TestNotMoreRefreshesRunThanAllowed(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.5, MaxRefreshes: 3})
		s := &loads{}
		for i := range 20 {
			_, _ = c.Get(t.Context(), fmt.Sprint(i), s.load)
		}
		time.Sleep(6 * time.Second)
		s.takes = time.Second
		s.asked.Store(0)
		for range 5 {
			for i := range 20 {
				_, _ = c.Get(t.Context(), fmt.Sprint(i), s.load)
			}
		}
		synctest.Wait()
		if n := s.asked.Load(); n != 3 {
			t.Errorf("%d loads at a time", n)
		}
		time.Sleep(1500 * time.Millisecond)
		for i := range 20 {
			_, _ = c.Get(t.Context(), fmt.Sprint(i), s.load)
		}
		synctest.Wait()
		if n := s.asked.Load(); n != 6 {
			t.Errorf("%d loads after those have ended", n)
		}
		if n := c.ahead.n.Load(); n != 3 {
			t.Errorf("%d are under way", n)
		}
	})
}

func TestAWriteDuringARefreshStays(t *testing.T) {
	for name, write := range map[string]func(ctx context.Context, c *Cache[string]){
		"Set":          func(ctx context.Context, c *Cache[string]) { _, _ = c.Set(ctx, "k", "set") },
		"Delete":       func(ctx context.Context, c *Cache[string]) { _, _ = c.Delete(ctx, "k") },
		"DeletePrefix": func(ctx context.Context, c *Cache[string]) { _, _, _ = c.DeletePrefix(ctx, "k") },
	} {
		t.Run(name, func(t *testing.T) {
			faked(t, func(t *testing.T, client *Client) {
				c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.5})
				s := &loads{}
				_, _ = c.Get(t.Context(), "k", s.load)
				s.takes = time.Second
				time.Sleep(6 * time.Second)
				_, _ = c.Get(t.Context(), "k", s.load)
				time.Sleep(time.Millisecond)
				write(t.Context(), c)
				time.Sleep(2 * time.Second)
				e, err := c.Lookup(t.Context(), "k")
				if name == "Set" && (e.Value != "set" || err != nil) || name != "Set" && !errors.Is(err, ErrNotFound) {
					t.Errorf("%+v, %v", e, err)
				}
			})
		})
	}
}

// The key ends while its refresh runs: there is one load, for all.
func TestAReadJoinsTheRefreshOfWhatHasEnded(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.9})
		s := &loads{}
		_, _ = c.Get(t.Context(), "k", s.load)
		s.takes = 4 * time.Second
		time.Sleep(9500 * time.Millisecond)
		_, _ = c.Get(t.Context(), "k", s.load)
		time.Sleep(time.Second)
		start := time.Now()
		v, err := c.Get(t.Context(), "k", s.load)
		if v != "k2" || err != nil || time.Since(start) != 3*time.Second || s.asked.Load() != 2 {
			t.Errorf("%q, %v after %v, %d loads", v, err, time.Since(start), s.asked.Load())
		}
		if n := client.Stats().Loads["ok"]; n != 2 {
			t.Errorf("%d loads are counted", n)
		}
	})
}

func TestARefreshThatFailsIsTriedAgainAfterAPause(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 100 * time.Second, RefreshAhead: 0.5})
		s := &loads{}
		_, _ = c.Get(t.Context(), "k", s.load)
		s.down.Store(true)
		s.asked.Store(0)
		for start := time.Now(); time.Since(start) < 60*time.Second; time.Sleep(10 * time.Millisecond) {
			if e, err := c.GetEntry(t.Context(), "k", s.load); err != nil || !e.Fresh || e.Cause != nil {
				t.Fatalf("%+v, %v", e, err)
			}
		}
		if n := s.asked.Load(); n < 8 || n > 16 { // 10 to 22 s, in pauses that grow to 3.2 s
			t.Errorf("it was asked %d times", n)
		}
		s.down.Store(false)
		for range 4 {
			time.Sleep(time.Second)
			_, _ = c.Get(t.Context(), "k", s.load)
		}
		time.Sleep(time.Millisecond)
		if e, _ := c.GetEntry(t.Context(), "k", s.load); e.Age > 5*time.Second {
			t.Errorf("when it is back: %+v", e)
		}
	})
}

func TestARefreshOfWhatIsGoneForgetsIt(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.5, NegativeTTL: time.Second})
		_, _ = c.Get(t.Context(), "k", constant("v"))
		time.Sleep(6 * time.Second)
		gone := func(context.Context, string) (string, error) { return "", ErrNotFound }
		_, err := c.Get(t.Context(), "k", gone)
		wantErr(t, err, nil)
		synctest.Wait()
		if _, err := c.Get(t.Context(), "k", failing); !errors.Is(err, ErrNotFound) {
			t.Errorf("error = %v", err)
		}
	})
}

func TestGetManyRefreshesWhatIsDueInOneCall(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.5})
		var calls [][]string
		many := func(_ context.Context, keys []string) (map[string]string, error) {
			calls = append(calls, keys)
			got := map[string]string{}
			for _, k := range keys {
				got[k] = fmt.Sprint(k, len(calls))
			}
			return got, nil
		}
		_, _ = c.GetMany(t.Context(), []string{"a", "b", "c"}, many)
		time.Sleep(6 * time.Second)
		got, err := c.GetMany(t.Context(), []string{"a", "b", "c"}, many)
		if err != nil || got["a"] != "a1" {
			t.Errorf("%v, %v", got, err)
		}
		synctest.Wait()
		got, err = c.GetMany(t.Context(), []string{"a", "b", "c"}, many)
		if err != nil || got["c"] != "c2" || len(calls) != 2 || len(calls[1]) != 3 {
			t.Errorf("%v, %v, calls %q", got, err, calls)
		}
		if n := c.ahead.n.Load(); n != 0 {
			t.Errorf("%d refreshes are under way", n)
		}
	})
}

func TestALoaderThatPanicsInARefreshHarmsNobody(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: 10 * time.Second, RefreshAhead: 0.5})
		_, _ = c.Get(t.Context(), "k", constant("v"))
		time.Sleep(6 * time.Second)
		v, err := c.Get(t.Context(), "k", func(context.Context, string) (string, error) { panic("loader") })
		wantValue(t, v, err, "v")
		synctest.Wait()
		if n, _ := c.flights.Len(); n != 0 || c.ahead.n.Load() != 0 {
			t.Errorf("%d flights, %d refreshes are left", n, c.ahead.n.Load())
		}
	})
}

// On Redis: what is refreshed there is what was seen, and nothing newer.
func TestARefreshReplacesInRedisOnlyWhatItHasSeen(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	policy := Policy{TTL: time.Hour, RefreshAhead: 0.5}
	c := cacheAt(t, p.Addr(), policy)
	other := cacheAt(t, p.Addr(), policy)
	for name, tt := range map[string]struct {
		meanwhile func(key string)
		want      any
	}{
		"nothing else":                {func(string) {}, "loaded"},
		"another value":               {func(k string) { _, _ = other.Set(t.Context(), k, "other") }, "other"},
		"the same value, again":       {func(k string) { _, _ = other.Set(t.Context(), k, "old") }, "old"},
		"the same, and a shorter one": {func(k string) { _, _ = other.Set(t.Context(), k, "old", TTL(time.Minute)) }, "old"},
		"a delete":                    {func(k string) { _, _ = other.Delete(t.Context(), k) }, nil},
		"a plain SET of the same":     {func(k string) { redisDo(t, p, "SET", "c:"+k, "old", "PX", "3600000") }, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			k := name // no tombstone of another
			_, err := c.Set(t.Context(), k, "old")
			wantErr(t, err, nil)
			redisDo(t, p, "PEXPIRE", "c:"+k, "600000") // it is old
			waitUntil(t, 20*time.Second, func() bool {
				e, err := c.Lookup(t.Context(), k)
				return err == nil && e.Age > 49*time.Minute && e.Coherent
			}, func() string { return "the PEXPIRE is not heard of" })
			it := c.peek(k)
			started, goOn := make(chan struct{}), make(chan struct{})
			c.refresh(t.Context(), k, it, func(context.Context, string) (string, error) {
				close(started)
				<-goOn
				return "loaded", nil
			})
			<-started
			tt.meanwhile(k)
			close(goOn)
			waitUntil(t, 20*time.Second, func() bool { return c.ahead.n.Load() == 0 && c.noFills() }, func() string { return "the refresh does not end" })
			if got := redisDo(t, p, "GET", "c:"+k); got != tt.want {
				t.Errorf("Redis holds %v, want %v", got, tt.want)
			}
			if tt.want != nil {
				waitCovers(t, c, k, tt.want.(string))
				waitCovers(t, other, k, tt.want.(string))
			}
			if name == "nothing else" {
				if left := redisDo(t, p, "PTTL", "c:"+k).(int64); left < (59 * time.Minute).Milliseconds() {
					t.Errorf("it ends in %d ms", left)
				}
			}
		})
	}
}

// Another process has loaded it: there is no second load.
func TestARefreshTakesWhatAnotherProcessHasLoaded(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour, RefreshAhead: 0.5})
	_, err := c.Set(t.Context(), "k", "old")
	wantErr(t, err, nil)
	old := c.peek("k").Copy()
	old.FreshUntil -= int64(30 * time.Minute)
	c.put("k", old)
	c.refresh(t.Context(), "k", old, func(context.Context, string) (string, error) {
		t.Error("it was loaded")
		return "", nil
	})
	waitUntil(t, 20*time.Second, func() bool { return c.ahead.n.Load() == 0 }, func() string { return "the refresh does not end" })
	waitCovers(t, c, "k", "old")
}

func TestARefreshOfWhatIsGoneDeletesItInRedis(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour, RefreshAhead: 0.5})
	for name, tt := range map[string]struct {
		meanwhile func()
		want      any
	}{
		"nothing else":  {func() {}, nil},
		"another value": {func() { redisDo(t, p, "SET", "c:k", "other", "PX", "3600000") }, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Set(t.Context(), "k", "old")
			wantErr(t, err, nil)
			waitCovers(t, c, "k", "old")
			c.refresh(t.Context(), "k", c.peek("k"), func(context.Context, string) (string, error) {
				tt.meanwhile()
				return "", ErrNotFound
			})
			waitUntil(t, 20*time.Second, func() bool { return c.ahead.n.Load() == 0 }, func() string { return "the refresh does not end" })
			if got := redisDo(t, p, "GET", "c:k"); got != tt.want {
				t.Errorf("Redis holds %v, want %v", got, tt.want)
			}
		})
	}
}

// In an outage refreshes are loads as others are.
func TestRefreshesInAnOutageStayWithinTheRate(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour, RefreshAhead: 0.5, OutageLoadRate: 3})
	for i := range 20 {
		_, err := c.Set(t.Context(), fmt.Sprint(i), "old")
		wantErr(t, err, nil)
	}
	wantErr(t, p.Kill(), nil)
	waitUntil(t, 20*time.Second, func() bool { return !c.keys.Connected("0") }, func() string { return "the outage is not seen" })
	var n atomic.Int64
	start := time.Now()
	for i := range 20 {
		c.refresh(t.Context(), fmt.Sprint(i), c.peek(fmt.Sprint(i)), func(context.Context, string) (string, error) {
			n.Add(1)
			return "loaded", nil
		})
	}
	waitUntil(t, 20*time.Second, func() bool { return c.ahead.n.Load() == 0 }, func() string { return "the refreshes do not end" })
	if most := 3 + 3*int64(time.Since(start).Seconds()+1); n.Load() < 3 || n.Load() > most {
		t.Errorf("%d loads", n.Load())
	}
}
