package evercache

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// In a bubble nothing takes time but waiting.
func TestALoaderThatWaitsForItselfFailsAtOnce(t *testing.T) {
	type loaders struct {
		one  Loader[string]
		many ManyLoader[string]
	}
	for name, of := range map[string]func(c, other *Cache[string], l *loaders){
		"its own key": func(c, _ *Cache[string], l *loaders) {
			l.one = func(ctx context.Context, key string) (string, error) { return c.Get(ctx, key, l.one) }
		},
		"its own key, with another loader": func(c, _ *Cache[string], l *loaders) {
			l.one = func(ctx context.Context, key string) (string, error) { return c.Get(ctx, key, constant("v")) }
		},
		"a key whose loader reads it": func(c, _ *Cache[string], l *loaders) {
			turn := map[string]string{"a": "b", "b": "c", "c": "a"}
			l.one = func(ctx context.Context, key string) (string, error) { return c.Get(ctx, turn[key], l.one) }
		},
		"by another class": func(c, other *Cache[string], l *loaders) {
			l.one = func(ctx context.Context, key string) (string, error) {
				return other.Get(ctx, key, func(ctx context.Context, key string) (string, error) { return c.Get(ctx, key, l.one) })
			}
		},
		"with GetMany": func(c, _ *Cache[string], l *loaders) {
			l.one = func(ctx context.Context, key string) (string, error) {
				got, err := c.GetMany(ctx, []string{"x", key}, l.many)
				return got[key], err
			}
			l.many = func(context.Context, []string) (map[string]string, error) { return map[string]string{"x": "v"}, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := openMemory(t)
				c, other := cacheOf[string](t, client, "c", Policy{}), cacheOf[string](t, client, "other", Policy{})
				var l loaders
				of(c, other, &l)
				began := time.Now()
				_, err := c.Get(t.Context(), "a", l.one)
				if took := time.Since(began); took > 0 {
					t.Errorf("it took %v", took)
				}
				wantErr(t, err, ErrLoadCycle)
			})
		})
	}
}

func TestAManyLoaderThatWaitsForItselfFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		var load ManyLoader[string]
		load = func(ctx context.Context, keys []string) (map[string]string, error) { return c.GetMany(ctx, keys, load) }
		began := time.Now()
		_, err := c.GetMany(t.Context(), []string{"a", "b"}, load)
		if took := time.Since(began); took > 0 || !errors.Is(err, ErrLoadCycle) {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestTwoLoadsThatWaitForEachOtherFailAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		var load Loader[string]
		load = func(ctx context.Context, key string) (string, error) {
			time.Sleep(time.Millisecond) // both have begun
			return c.Get(ctx, strings.Trim("ab", key), load)
		}
		errs := make(chan error, 2)
		began := time.Now()
		for _, key := range []string{"a", "b"} {
			go func() { _, err := c.Get(t.Context(), key, load); errs <- err }()
		}
		wantErr(t, <-errs, ErrLoadCycle)
		wantErr(t, <-errs, ErrLoadCycle)
		if took := time.Since(began); took > time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// What waits for each other in no circle goes on.
func TestLoadersMayReadOtherKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		slow := func(context.Context, string) (string, error) { time.Sleep(time.Second); return "v", nil }
		load := func(ctx context.Context, key string) (string, error) { return c.Get(ctx, "shared", slow) }
		errs := make(chan error, 2)
		for _, key := range []string{"a", "b"} {
			go func() { _, err := c.Get(t.Context(), key, load); errs <- err }()
		}
		wantErr(t, <-errs, nil)
		wantErr(t, <-errs, nil)
		got, err := c.GetMany(t.Context(), []string{"d", "e"}, func(ctx context.Context, keys []string) (map[string]string, error) {
			v, err := c.Get(ctx, "f", load)
			return map[string]string{"d": v, "e": v}, err
		})
		if err != nil || len(got) != 2 {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := c.Lookup(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})
}
