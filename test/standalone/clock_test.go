package standalone_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

func TestClocksThatDifferAreTold(t *testing.T) {
	t.Parallel()
	clock := redistest.NewClock(t)
	server := redistest.Start(t, redistest.WithClock(clock))
	c, err := evercache.Open(context.Background(), evercache.Options{Addr: server.Addr(), CloseTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	testkit.Until(t, "connected", func() bool { return c.Health().Connected })
	for _, d := range []time.Duration{0, 2 * time.Hour, -2 * time.Hour, 0} {
		clock.Set(d)
		testkit.Until(t, "the difference is known", func() bool {
			h := c.Health().Clock
			return h.Known && (h.Ahead-d).Abs() <= h.Uncertainty+100*time.Millisecond && told(c, "redis-clock") == (d != 0)
		})
	}
}
