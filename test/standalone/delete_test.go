package standalone_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
)

const class = "c"

// pair is two processes' caches of one class over one Redis.
func pair(t *testing.T, redis *redistest.Server) (a, b *evercache.Cache[string]) {
	t.Helper()
	open := func() *evercache.Cache[string] {
		c, err := evercache.Open(t.Context(), evercache.Options{Addr: redis.Addr(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := c.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
		cache, err := evercache.NewCache[string](c, class, evercache.Policy{NegativeTTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return cache
	}
	return open(), open()
}

// gone checks that a key is nowhere: a loader's answer may still be on its way.
func gone(t *testing.T, redis *redistest.Server, key string, caches ...*evercache.Cache[string]) {
	t.Helper()
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if v := redis.Do("GET", class+":"+key); v != nil {
			t.Fatalf("Redis holds %v", v)
		}
	}
	for i, c := range caches {
		if e, err := c.Lookup(t.Context(), key); !errors.Is(err, evercache.ErrNotFound) {
			t.Errorf("cache %d answers %q from %v, coherent %v, %v", i, e.Value, e.Source, e.Coherent, err)
		}
	}
}

// slowLoad begins a read whose loader answers when it is let go.
func slowLoad(t *testing.T, c *evercache.Cache[string], key, value string) (finish func()) {
	t.Helper()
	loading, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, err := c.Get(t.Context(), key, func(context.Context, string) (string, error) {
			close(loading)
			<-release
			return value, nil
		})
		if err != nil {
			t.Errorf("Get: %v", err)
		}
	}()
	<-loading
	return func() { close(release); <-done }
}

func TestADeleteDuringAnotherProcessSlowLoadIsNotUndoneByIt(t *testing.T) {
	redis := redistest.Start(t)
	a, b := pair(t, redis)
	finish := slowLoad(t, a, "k", "old")
	if _, err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	finish()
	gone(t, redis, "k", a, b)
}

func TestADeleteWhereAbsenceIsRememberedIsNotUndoneByAnotherProcessSlowLoad(t *testing.T) {
	redis := redistest.Start(t)
	a, b := pair(t, redis)
	_, err := b.Get(t.Context(), "k", func(context.Context, string) (string, error) { return "", evercache.ErrNotFound })
	if !errors.Is(err, evercache.ErrNotFound) {
		t.Fatal(err)
	}
	finish := slowLoad(t, a, "k", "old")
	if _, err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	finish()
	gone(t, redis, "k", a, b)
}
