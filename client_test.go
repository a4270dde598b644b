package evercache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// openMemory opens a client without Redis and closes it with the test.
func openMemory(t *testing.T) *Client {
	t.Helper()
	return open(t, Options{MemoryOnly: true})
}

func open(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Shutdown(ctx)
	})
	return c
}

func cacheOf[V any](t *testing.T, c *Client, class string, p Policy, o ...CacheOption[V]) *Cache[V] {
	t.Helper()
	cache, err := NewCache(c, class, p, o...)
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// noRedis is an address at which nothing answers.
const noRedis = "127.0.0.1:1"

func failing(context.Context, string) (string, error) { return "", errors.New("origin is down") }

func constant(v string) Loader[string] {
	return func(context.Context, string) (string, error) { return v, nil }
}

func wantValue[V comparable](t *testing.T, got V, err error, want V) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

func TestMemoryOnlyIsACompleteCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		c := cacheOf[string](t, openMemory(t), "c", Policy{TTL: time.Minute})
		if _, err := c.Lookup(ctx, "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Lookup of nothing: %v", err)
		}
		if _, err := c.Set(ctx, "a", "1"); err != nil {
			t.Fatal(err)
		}
		e, err := c.Lookup(ctx, "a")
		wantValue(t, e.Value, err, "1")
		added, _, err := c.Add(ctx, "a", "2")
		wantValue(t, added, err, false)
		added, _, err = c.Add(ctx, "b", "2")
		wantValue(t, added, err, true)
		n, _, err := c.DeletePrefix(ctx, "a")
		wantValue(t, n, err, 1)
		_, err = c.Lookup(ctx, "a")
		wantErr(t, err, ErrNotFound)
		time.Sleep(time.Minute + time.Second)
		_, err = c.Lookup(ctx, "b")
		wantErr(t, err, ErrNotFound)
	})
}

func TestStaleIsServedWhenTheLoaderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{TTL: time.Minute, Stale: time.Hour})
		v, err := c.Get(t.Context(), "a", constant("old"))
		wantValue(t, v, err, "old")
		time.Sleep(10 * time.Minute)
		e, err := c.GetEntry(t.Context(), "a", failing)
		wantValue(t, e.Value, err, "old")
		if e.Fresh || e.Cause == nil || e.Source != SourceMemory || e.Age.Round(time.Second) != 10*time.Minute {
			t.Errorf("entry = %+v, want a stale one from memory, 10m old, with its cause", e)
		}
		time.Sleep(2 * time.Hour)
		if _, err := c.Get(t.Context(), "a", failing); err == nil {
			t.Error("served past TTL + Stale")
		}
	})
}

func TestNothingStaleIsServedByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{TTL: time.Minute})
		_, _ = c.Set(t.Context(), "a", "old")
		time.Sleep(61 * time.Second)
		if v, err := c.Get(t.Context(), "a", failing); err == nil {
			t.Errorf("served %q past its TTL", v)
		}
	})
}

func TestAbsenceIsRememberedForNegativeTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{NegativeTTL: 10 * time.Second})
		loads := 0
		none := func(context.Context, string) (string, error) {
			loads++
			return "", fmt.Errorf("row: %w", ErrNotFound)
		}
		for range 5 {
			_, err := c.Get(t.Context(), "a", none)
			wantErr(t, err, ErrNotFound)
			time.Sleep(time.Second)
		}
		if loads != 1 {
			t.Errorf("%d loads, want 1", loads)
		}
		time.Sleep(10 * time.Second)
		_, _ = c.Get(t.Context(), "a", none)
		if loads != 2 {
			t.Errorf("%d loads after NegativeTTL, want 2", loads)
		}
		_, _ = c.Set(t.Context(), "a", "v")
		v, err := c.Get(t.Context(), "a", none)
		wantValue(t, v, err, "v")
	})
}

func TestAThousandCallersOfAColdKeyLoadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		var loads atomic.Int32
		slow := func(context.Context, string) (string, error) {
			loads.Add(1)
			time.Sleep(50 * time.Millisecond)
			return "v", nil
		}
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Get(first, "a", slow); !errors.Is(err, context.Canceled) {
				t.Errorf("the caller who left got %v", err)
			}
		})
		synctest.Wait()
		for range 999 {
			wg.Go(func() {
				v, err := c.Get(t.Context(), "a", slow)
				wantValue(t, v, err, "v")
			})
		}
		time.Sleep(10 * time.Millisecond)
		leave()
		wg.Wait()
		if n := loads.Load(); n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
	})
}

func TestALoadBegunBeforeAWriteDoesNotOverwriteIt(t *testing.T) {
	for _, write := range []struct {
		name string
		do   func(context.Context, *Cache[string]) error
		want string
		err  error
	}{
		{"set", func(ctx context.Context, c *Cache[string]) error { _, err := c.Set(ctx, "a", "new"); return err }, "new", nil},
		{"delete", func(ctx context.Context, c *Cache[string]) error { _, err := c.Delete(ctx, "a"); return err }, "", ErrNotFound},
		{"delete prefix", func(ctx context.Context, c *Cache[string]) error { _, _, err := c.DeletePrefix(ctx, ""); return err }, "", ErrNotFound},
	} {
		t.Run(write.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cacheOf[string](t, openMemory(t), "c", Policy{})
				reading, finish := make(chan struct{}), make(chan struct{})
				go func() {
					_, _ = c.Get(t.Context(), "a", func(context.Context, string) (string, error) {
						close(reading)
						<-finish
						return "old", nil
					})
				}()
				<-reading
				if err := write.do(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				close(finish)
				synctest.Wait()
				e, err := c.Lookup(t.Context(), "a")
				if e.Value != write.want || !errors.Is(err, write.err) {
					t.Errorf("after the write: %q, %v, want %q, %v", e.Value, err, write.want, write.err)
				}
			})
		})
	}
}

func TestAPanicInALoaderReachesItsCallersAsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		_, err := c.Get(t.Context(), "a", func(context.Context, string) (string, error) { panic("boom") })
		if e, ok := errors.AsType[*LoadPanicError](err); !ok || e.Value != "boom" || len(e.Stack) == 0 {
			t.Errorf("error = %v", err)
		}
	})
}

func TestALoaderThatNeverReturnsHoldsCallersNoLongerThanLoadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{LoadTimeout: time.Second})
		start := time.Now()
		release := make(chan struct{})
		_, err := c.Get(t.Context(), "a", func(context.Context, string) (string, error) { <-release; return "late", nil })
		if err == nil || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		close(release)
		synctest.Wait()
		_, err = c.Lookup(t.Context(), "a")
		wantErr(t, err, ErrNotFound) // what comes too late is not kept
	})
}

func TestOutageLoadsStayWithinTheClassRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{OutageLoadRate: 50})
		var loads atomic.Int32
		load := func(context.Context, string) (string, error) { loads.Add(1); return "v", nil }
		start := time.Now()
		for i := range 10_000 {
			_, err := c.Get(t.Context(), fmt.Sprint(i), load)
			if err != nil && !IsUnavailable(err) {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		limit := 50 + int32(50*time.Since(start).Seconds()) + 1
		if n := loads.Load(); n > limit || n < limit/2 {
			t.Errorf("%d loads in %v, want at most %d and not far less", n, time.Since(start), limit)
		}
	})
}

func TestOutageReadsFollowThePolicy(t *testing.T) {
	tests := []struct {
		name  string
		reads OutageReads
		load  Loader[string]
		want  string
		err   error
		fresh bool
	}{
		{"stale before the loader", ServeStale, constant("loaded"), "kept", nil, false},
		{"the loader before stale", ServeFresh, constant("loaded"), "loaded", nil, true},
		{"stale when the loader fails", ServeFresh, failing, "kept", nil, false},
		{"stale without a loader", ServeFresh, nil, "kept", nil, false},
		{"nothing", RefuseReads, constant("loaded"), "", ErrUnavailable, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{TTL: time.Minute, Stale: time.Hour, OutageReads: tt.reads})
				_, _ = c.Set(t.Context(), "a", "kept")
				time.Sleep(2 * time.Minute)
				e, err := c.GetEntry(t.Context(), "a", tt.load)
				if e.Value != tt.want || !errors.Is(err, tt.err) || e.Fresh != tt.fresh {
					t.Errorf("got %+v, %v, want %q, %v, fresh %v", e, err, tt.want, tt.err, tt.fresh)
				}
			})
		})
	}
}

func TestUnknownIsUnavailableInAnOutageButNotFoundWhenMemoryIsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{}).Lookup(t.Context(), "a")
		wantErr(t, err, ErrUnavailable)
		_, err = cacheOf[string](t, open(t, Options{Addr: noRedis, RedisOptional: true}), "c", Policy{}).Lookup(t.Context(), "a")
		wantErr(t, err, ErrNotFound)
	})
}

func TestADeleteInAnOutageIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{})
		r, err := c.Delete(t.Context(), "a")
		wantValue(t, r.Durability, err, Memory)
		_, err = c.Lookup(t.Context(), "a")
		wantErr(t, err, ErrNotFound)
	})
}

func TestWritesInAnOutageAreRefusedWhereThePolicySaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{OutageWrites: RefuseWrites})
		_, err := c.Set(t.Context(), "a", "v")
		wantErr(t, err, ErrUnavailable)
		if n := c.client.Health().OutboxEntries; n != 0 {
			t.Errorf("%d refused writes are kept", n)
		}
	})
}

func TestMinDurabilityBelowWhatIsAskedIsATypedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{})
		r, err := c.Set(t.Context(), "a", "v", MinDurability(Master))
		e, ok := errors.AsType[*DurabilityError](err)
		if !ok || e.Asked != Master || e.Got != Memory || r.Durability != Memory || !IsRetryable(err) {
			t.Errorf("receipt %+v, error %v", r, err)
		}
		got, err := c.Lookup(t.Context(), "a")
		wantValue(t, got.Value, err, "v") // in force here all the same
	})
}

func TestCloseCountsWhatCouldNotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := open(t, Options{Addr: noRedis, CloseTimeout: time.Second})
		c := cacheOf[string](t, client, "c", Policy{})
		for i := range 3 {
			_, _ = c.Set(t.Context(), fmt.Sprint(i), "v")
		}
		err := client.Close()
		if e, ok := errors.AsType[*UnsavedError](err); !ok || e.Writes != 3 {
			t.Errorf("Close = %v", err)
		}
		if again := client.Close(); again != err {
			t.Errorf("the second Close = %v", again)
		}
		_, err = c.Set(t.Context(), "a", "v")
		wantErr(t, err, ErrClosed)
		_, err = c.Get(t.Context(), "0", constant("v"))
		wantErr(t, err, ErrClosed)
	})
}

func TestAnAddressThatWouldBeIgnoredIsRefused(t *testing.T) {
	three := []string{"a:26379", "b:26379", "c:26379"}
	for name, o := range map[string]Options{
		"Addr beside Sentinels":       {Addr: "r:6379", Sentinels: three, MasterName: "m"},
		"Addr beside MasterName":      {Addr: "r:6379", MasterName: "m"},
		"Addr beside MemoryOnly":      {Addr: "r:6379", MemoryOnly: true},
		"Sentinels beside MemoryOnly": {Sentinels: three, MasterName: "m", MemoryOnly: true},
		"a Cluster beside Addr":       {ClusterNodes: three, Addr: "r:6379"},
		"a Cluster beside Sentinels":  {ClusterNodes: three, Sentinels: three, MasterName: "m"},
		"a Cluster beside MasterName": {ClusterNodes: three, MasterName: "m"},
		"a Cluster beside MemoryOnly": {ClusterNodes: three, MemoryOnly: true},
	} {
		c, err := Open(t.Context(), o)
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "are given too") && !strings.Contains(err.Error(), "is given too") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhereAWriteIsIsWrittenByName(t *testing.T) {
	b, err := json.Marshal(struct {
		R Receipt
		S Source
	}{Receipt{Durability: Journaled}, SourceRedis})
	if err != nil || string(b) != `{"R":{"Durability":"journaled","Replicas":0},"S":"redis"}` {
		t.Errorf("%s, %v", b, err)
	}
	var back Receipt
	if err := json.Unmarshal([]byte(`{"Durability":"replicated","Replicas":2}`), &back); err != nil || back != (Receipt{Durability: Replicated, Replicas: 2}) {
		t.Errorf("%+v, %v", back, err)
	}
	if json.Unmarshal([]byte(`{"Durability":"safe"}`), &back) == nil {
		t.Error("an unknown name is read")
	}
}

func TestOpenListsEveryFaultAtOnce(t *testing.T) {
	_, err := Open(t.Context(), Options{Addr: "nonsense", DB: -1, ReadTimeout: -1, Password: "secret", PasswordFile: "f"})
	for _, want := range []string{"Addr", "DB", "ReadTimeout", "PasswordFile"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is printed: %v", err)
	}
}

func TestNewCacheListsEveryFaultAtOnce(t *testing.T) {
	_, err := NewCache[string](openMemory(t), "c", Policy{TTL: -1, Stale: -5, LoadTimeout: -1, MaxEntries: 1, MaxBytes: 1})
	for _, want := range []string{"TTL", "Stale", "LoadTimeout", "MaxEntries"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestKeysAndTTLsAreChecked(t *testing.T) {
	c := cacheOf[string](t, openMemory(t), "c", Policy{})
	_, err := c.Set(t.Context(), "", "v")
	wantErr(t, err, ErrKey)
	_, err = c.Lookup(t.Context(), string(make([]byte, MaxKeyBytes+1)))
	wantErr(t, err, ErrKey)
	_, err = c.Set(t.Context(), "a", "v", TTL(0))
	wantErr(t, err, ErrTTL)
	_, err = c.Set(t.Context(), "a", "v", TTL(2*MaxTTL))
	wantErr(t, err, ErrTTL)
}

// TestAnImpossibleDurabilityIsRefusedAtOnce: nothing is written first.
func TestAnImpossibleDurabilityIsRefusedAtOnce(t *testing.T) {
	client := openMemory(t)
	c := cacheOf[string](t, client, "c", Policy{})
	for name, option := range map[string]WriteOption{"4": MinDurability(4), "255": MinDurability(255), "-1 replicas": MinReplicas(-1)} {
		_, set := c.Set(t.Context(), "a", "v", option)
		_, _, add := c.Add(t.Context(), "a", "v", option)
		_, many := c.SetMany(t.Context(), map[string]string{"a": "v"}, option)
		for call, err := range map[string]error{"Set": set, "Add": add, "SetMany": many} {
			wantErr(t, err, ErrDurability)
			if IsRetryable(err) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s with %s: %v", call, name, err)
			}
		}
		if e, err := c.Lookup(t.Context(), "a"); err == nil {
			t.Errorf("with %s the value was written: %+v", name, e)
		}
		if _, err := c.Set(t.Context(), "b", "v"); err != nil {
			t.Fatal(err)
		}
		_, touch := c.Touch(t.Context(), "b", option)
		_, del := c.Delete(t.Context(), "b", option)
		wantErr(t, touch, ErrDurability)
		wantErr(t, del, ErrDurability)
		if e, err := c.Lookup(t.Context(), "b"); err != nil {
			t.Errorf("with %s the key was deleted: %+v, %v", name, e, err)
		}
	}
}

func TestGetManyLoadsWhatIsMissingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		_, _ = c.Set(t.Context(), "a", "kept")
		var asked [][]string
		load := func(_ context.Context, keys []string) (map[string]string, error) {
			asked = append(asked, keys)
			return map[string]string{"b": "loaded"}, nil
		}
		got, err := c.GetMany(t.Context(), []string{"a", "b", "b", "none"}, load)
		if err != nil || len(got) != 2 || got["a"] != "kept" || got["b"] != "loaded" {
			t.Errorf("GetMany = %v, %v", got, err)
		}
		if len(asked) != 1 || fmt.Sprint(asked[0]) != "[b none]" {
			t.Errorf("the loader was asked for %v", asked)
		}
		v, err := c.Get(t.Context(), "b", failing)
		wantValue(t, v, err, "loaded")
	})
}

func TestGetManyReturnsWhatItHasBesideTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{})
		_, _ = c.SetMany(t.Context(), map[string]string{"a": "1", "b": "2"})
		got, err := c.GetMany(t.Context(), []string{"a", "b", "x", "y"}, nil)
		if !IsUnavailable(err) || len(got) != 2 {
			t.Errorf("GetMany = %v, %v", got, err)
		}
	})
}

func TestAPanicInAManyLoaderIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		_, err := c.GetMany(t.Context(), []string{"a", "b"}, func(context.Context, []string) (map[string]string, error) { panic("boom") })
		if _, ok := errors.AsType[*LoadPanicError](err); !ok {
			t.Errorf("error = %v", err)
		}
	})
}

func TestTouchIsSkippedUntilATenthOfTheTTLHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{TTL: 100 * time.Second})
		_, err := c.Touch(t.Context(), "a")
		wantErr(t, err, ErrNotFound)
		_, _ = c.Set(t.Context(), "a", "v")
		time.Sleep(9 * time.Second)
		_, _ = c.Touch(t.Context(), "a") // skipped
		time.Sleep(92 * time.Second)
		_, err = c.Touch(t.Context(), "a")
		wantErr(t, err, ErrNotFound)
		_, _ = c.Set(t.Context(), "a", "v")
		time.Sleep(90 * time.Second)
		_, err = c.Touch(t.Context(), "a")
		wantErr(t, err, nil)
		time.Sleep(90 * time.Second)
		e, err := c.Lookup(t.Context(), "a")
		wantValue(t, e.Value, err, "v")
	})
}

func TestWithCloneSharesNothing(t *testing.T) {
	c := cacheOf(t, openMemory(t), "c", Policy{}, WithClone(func(b []byte) []byte { return append([]byte(nil), b...) }))
	mine := []byte("one")
	_, _ = c.Set(t.Context(), "a", mine)
	mine[0] = 'X'
	got, _ := c.Get(t.Context(), "a", nil)
	got[0] = 'Y'
	again, err := c.Get(t.Context(), "a", nil)
	if string(again) != "one" {
		t.Errorf("got %q, %v", again, err)
	}
}

func TestMemoryStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	client := open(t, Options{MemoryOnly: true, MemoryBytes: 1 << 20})
	shared := cacheOf[[]byte](t, client, "shared", Policy{})
	own := cacheOf[[]byte](t, client, "own", Policy{MaxEntries: 100})
	for i := range 10_000 {
		_, _ = shared.Set(t.Context(), fmt.Sprint(i), make([]byte, 1000))
		_, _ = own.Set(t.Context(), fmt.Sprint(i), make([]byte, 10))
	}
	eventually(t, func() bool {
		s := client.Stats()
		return client.memory.Bytes() <= 1<<20 && own.l1.Len() <= 100 && s.L1Evictions["capacity"] > 10_000
	})
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestClassNamesAreChecked(t *testing.T) {
	client := openMemory(t)
	for _, bad := range []string{"", "A", "-a", "_a", "a:b", "a b", "ä", string(make([]byte, 65))} {
		if _, err := NewCache[string](client, bad, Policy{}); err == nil {
			t.Errorf("class %q was taken", bad)
		}
	}
	cacheOf[string](t, client, "a-b_9", Policy{})
	if _, err := NewCache[string](client, "a-b_9", Policy{}); err == nil {
		t.Error("a second Cache of one class was made")
	}
}
