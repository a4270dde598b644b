package evercache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitingForAConnectionEndsWithItsContextAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := open(t, Options{Addr: noRedis})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.WaitConnected(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitConnected = %v", err)
		}
		_ = client.Close()
		wantErr(t, client.WaitConnected(t.Context()), ErrClosed)
	})
}
