package evercache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type testKey struct{}

// inLoad runs a test in a loader, with its context.
func inLoad(t *testing.T, caller func(context.Context) context.Context, test func(t *testing.T, client *Client, ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := openMemory(t)
		c := cacheOf[string](t, client, "c", Policy{LoadTimeout: time.Second})
		done := make(chan struct{})
		_, _ = c.Get(caller(t.Context()), "k", func(ctx context.Context, _ string) (string, error) {
			defer close(done)
			test(t, client, ctx)
			return "v", nil
		})
		<-done
	})
}

func TestTheContextOfALoaderHasTheValuesOfItsCaller(t *testing.T) {
	for name, caller := range map[string]func(context.Context) context.Context{
		"one that ends": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithTimeout(context.WithValue(ctx, testKey{}, "v"), time.Minute)
			t.Cleanup(cancel)
			return ctx
		},
		"one that does not": func(context.Context) context.Context {
			return context.WithValue(context.Background(), testKey{}, "v")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLoad(t, caller, func(t *testing.T, _ *Client, ctx context.Context) {
				for range 2 { // before and after somebody has asked for its end
					if v := ctx.Value(testKey{}); v != "v" {
						t.Errorf("the value is %v", v)
					}
					if ctx.Value(struct{ none int }{}) != nil {
						t.Error("it has a value that nobody has given")
					}
					if LoadOf[string](ctx).cache == nil {
						t.Error("it has no Load")
					}
					_ = ctx.Done()
				}
			})
		})
	}
}

func TestTheContextOfALoaderEndsWhenTheLoadHasNoMoreTime(t *testing.T) {
	background := func(context.Context) context.Context { return context.Background() }
	began := func(ctx context.Context, asked bool) {
		if asked {
			_ = ctx.Done()
		}
	}
	for _, asked := range []bool{false, true} {
		inLoad(t, background, func(t *testing.T, _ *Client, ctx context.Context) {
			began(ctx, asked)
			end, ok := ctx.Deadline()
			if !ok || time.Until(end) != time.Second || ctx.Err() != nil || context.Cause(ctx) != nil {
				t.Errorf("it ends in %v, %v: %v, %v", time.Until(end), ok, ctx.Err(), context.Cause(ctx))
			}
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			time.Sleep(time.Second)
			synctest.Wait()
			select {
			case <-ctx.Done():
			default:
				t.Error("it has not ended")
			}
			<-child.Done()
			for _, c := range []context.Context{ctx, child} {
				if c.Err() != context.DeadlineExceeded || context.Cause(c) != errLoadTimeout {
					t.Errorf("it has ended by %v, %v", c.Err(), context.Cause(c))
				}
			}
		})
		inLoad(t, background, func(t *testing.T, client *Client, ctx context.Context) {
			began(ctx, asked)
			client.store.End(ErrClosed)
			if ctx.Err() != context.Canceled || !errors.Is(context.Cause(ctx), ErrClosed) {
				t.Errorf("the client is closed: %v, %v", ctx.Err(), context.Cause(ctx))
			}
			<-ctx.Done()
		})
	}
}

// What a loader has left running ends with the load.
func TestTheContextOfALoaderEndsWithTheLoad(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := cacheOf[string](t, openMemory(t), "c", Policy{})
			var kept context.Context
			_, err := c.Get(context.Background(), "k", func(ctx context.Context, _ string) (string, error) {
				if kept = ctx; asked {
					_ = ctx.Done()
				}
				return "v", nil
			})
			wantErr(t, err, nil)
			synctest.Wait()
			<-kept.Done()
			if kept.Err() != context.Canceled {
				t.Errorf("it has ended by %v", kept.Err())
			}
		})
	}
}

// The time of each load is its own, though one timer serves all.
func TestEachLoadIsGivenUpAtItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{LoadTimeout: time.Second, LoadRetryAfter: Never})
		hang := func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			time.Sleep(time.Hour) // and it does not heed it
			return "", nil
		}
		began := time.Now()
		ends := make(chan time.Duration, 10)
		for i := range 10 {
			go func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				called := time.Now()
				load := hang
				if i%3 == 2 { // it ends in between
					load = func(context.Context, string) (string, error) { time.Sleep(time.Second / 2); return "v", nil }
				}
				_, err := c.Get(context.Background(), string(rune('a'+i)), load)
				if i%3 != 2 && !errors.Is(err, errLoadTimeout) {
					t.Errorf("%d: %v", i, err)
				}
				ends <- time.Since(called)
			}()
		}
		for range 10 {
			if d := <-ends; d != time.Second && d != time.Second/2 {
				t.Errorf("it took %v", d)
			}
		}
		if took := time.Since(began); took != 1900*time.Millisecond {
			t.Errorf("all took %v", took)
		}
		if !c.running.idle() {
			t.Error("a load that was given up is still listed")
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestTheEndOfTheClientEndsAllLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := openMemory(t)
		c := cacheOf[string](t, client, "c", Policy{LoadTimeout: time.Hour})
		const n = 20
		errs := make(chan error, n)
		for i := range n {
			go func() {
				_, err := c.Get(context.Background(), string(rune('a'+i)), func(ctx context.Context, _ string) (string, error) {
					<-ctx.Done()
					return "", context.Cause(ctx)
				})
				errs <- err
			}()
		}
		synctest.Wait()
		_ = client.Close()
		for range n {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("a load ended by %v", err)
			}
		}
		if _, err := c.Get(context.Background(), "late", constant("v")); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}
