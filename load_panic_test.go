package evercache

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func wantNoFlights[V any](t *testing.T, c *Cache[V]) {
	t.Helper()
	if flights, fills := c.flights.Len(); flights+fills != 0 {
		t.Errorf("%d flights and %d fills are left", flights, fills)
	}
}

// The caller's own functions run where others wait.
func TestAPanicInTheCallersFunctionsHoldsNobodyUp(t *testing.T) {
	panics := func(string) string { panic("clone") }
	tests := []struct {
		name string
		read func(context.Context, *Cache[string]) error
	}{
		{"get", func(ctx context.Context, c *Cache[string]) error {
			_, err := c.Get(ctx, "a", constant("v"))
			return err
		}},
		{"get many", func(ctx context.Context, c *Cache[string]) error {
			_, err := c.GetMany(ctx, []string{"a", "b"}, func(context.Context, []string) (map[string]string, error) {
				return map[string]string{"a": "1", "b": "2"}, nil
			})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name+", in a load", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cacheOf(t, openMemory(t), "c", Policy{}, WithClone(panics))
				err := tt.read(t.Context(), c)
				if e, ok := errors.AsType[*LoadPanicError](err); !ok || e.Value != "clone" || len(e.Stack) == 0 {
					t.Errorf("error = %v", err)
				}
				wantNoFlights(t, c)
			})
		})
		t.Run(tt.name+", in the caller who leads", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := false
				c := cacheOf(t, open(t, Options{Addr: noRedis}), "c", Policy{TTL: time.Minute, Stale: time.Hour}, WithClone(func(v string) string {
					if broken {
						panic("clone")
					}
					return v
				}))
				_, _ = c.SetMany(t.Context(), map[string]string{"a": "1", "b": "2"})
				time.Sleep(2 * time.Minute) // both are stale: the outage's answer
				broken = true
				func() {
					defer func() {
						if p := recover(); p != "clone" {
							t.Errorf("recovered %v, want the panic of the clone", p)
						}
					}()
					_ = tt.read(t.Context(), c)
				}()
				wantNoFlights(t, c)
				broken = false
				if err := tt.read(t.Context(), c); err != nil {
					t.Errorf("the next read: %v", err)
				}
			})
		})
	}
}

func TestAPanicAtTheEndOfALoadTimeoutIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		c := cacheOf(t, openMemory(t), "c", Policy{TTL: time.Minute, Stale: time.Hour, LoadTimeout: time.Second}, WithClone(func(v string) string {
			if broken {
				panic("clone")
			}
			return v
		}))
		_, _ = c.Set(t.Context(), "a", "v")
		time.Sleep(2 * time.Minute)
		broken = true
		_, err := c.Get(t.Context(), "a", func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			return "", ctx.Err()
		})
		if _, ok := errors.AsType[*LoadPanicError](err); !ok {
			t.Errorf("error = %v", err)
		}
	})
}

func TestALoadThatEndsItsGoroutineIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		_, err := c.Get(t.Context(), "a", func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil })
		if _, ok := errors.AsType[*LoadPanicError](err); !ok {
			t.Errorf("error = %v", err)
		}
		wantNoFlights(t, c)
	})
}
