package machine

import (
	"context"
	"time"
)

// Pause waits for d, or returns early with the reason ctx ended.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
