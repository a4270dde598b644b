package remote

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestACallIsBoundedByItsLimitAndByItsCaller(t *testing.T) {
	const limit = 100 * time.Millisecond
	tests := []struct {
		name        string
		caller      func(context.Context) (context.Context, context.CancelFunc)
		after, upTo time.Duration // when the call's context ends
		want        error
	}{
		{"a caller with nothing that ends", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithoutCancel(ctx), func() {}
		}, limit, limit + limit/sharing, context.DeadlineExceeded},
		{"a caller with a later deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		}, limit, limit, context.DeadlineExceeded},
		{"a caller with an earlier deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, limit/2)
		}, limit / 2, limit / 2, context.DeadlineExceeded},
		{"a caller who leaves", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(limit/4, cancel)
			return ctx, cancel
		}, limit / 4, limit / 4, context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d deadlines
				for i := range 30 {
					d.bound(context.WithoutCancel(t.Context()), time.Now(), limit)
					time.Sleep(time.Duration(i) * limit / sharing / 25) // at any time of the life of a shared one, and after
					caller, leave := tt.caller(t.Context())
					start := time.Now()
					bounded, cancel := d.bound(caller, start, limit)
					time.Sleep(tt.after - time.Nanosecond)
					if err := bounded.Err(); err != nil {
						t.Fatalf("it ended too early: %v", err)
					}
					<-bounded.Done()
					if took := time.Since(start); took > tt.upTo || !errors.Is(bounded.Err(), tt.want) {
						t.Fatalf("after %v: %v, want within %v: %v", took, bounded.Err(), tt.upTo, tt.want)
					}
					cancel()
					leave()
					time.Sleep(time.Millisecond)
				}
			})
		})
	}
}

func TestCallsWithDifferentLimitsDoNotShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadlines
		ctx := context.WithoutCancel(t.Context())
		for _, limit := range []time.Duration{100 * time.Millisecond, 108 * time.Millisecond, 4 * time.Millisecond, 100*time.Millisecond + 1} {
			start := time.Now()
			bounded, cancel := d.bound(ctx, start, limit)
			defer cancel()
			end, _ := bounded.Deadline()
			if left := end.Sub(start); left < limit || left > limit+limit/sharing {
				t.Errorf("with a limit of %v: %v", limit, left)
			}
		}
	})
}

// Otherwise a steady load would make a timer for each call after all.
func TestCallsAtTheSameTimeShareADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadlines
		ctx := context.WithoutCancel(t.Context())
		different := map[context.Context]bool{}
		for range 1000 {
			bounded, cancel := d.bound(ctx, time.Now(), 100*time.Millisecond)
			defer cancel()
			different[bounded] = true
			time.Sleep(100 * time.Microsecond)
		}
		if len(different) > 21 {
			t.Errorf("1000 calls in 100 ms have %d deadlines", len(different))
		}
	})
}
