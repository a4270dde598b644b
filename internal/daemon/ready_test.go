package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
)

// refusing refuses the settings at first, is away then, and is reached at last.
type refusing struct {
	began     time.Time
	reachable atomic.Bool
}

func (r *refusing) Health() health.Report {
	code := "redis-auth"
	if time.Since(r.began) > time.Second {
		code = "redis-unreachable"
	}
	return health.Report{Findings: []health.Finding{{Code: code, Severity: health.SeverityError}}}
}

func (r *refusing) WaitConnected(ctx context.Context) error {
	if r.reachable.Load() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// A Redis that has refused the settings and is away when the wait is over has not
// taken them since.
func TestARefusalHoldsReadinessThoughRedisGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Daemon{cfg: config.Config{Server: config.Server{ReadyWait: 3 * time.Second}}, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source := &refusing{began: time.Now()}
		var released atomic.Bool
		go d.awaitRedis(ctx, func() { released.Store(true) }, source)
		time.Sleep(time.Hour)
		if released.Load() {
			t.Error("ready without the settings having been mended")
		}
		source.reachable.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		if !released.Load() {
			t.Error("not ready though Redis has been reached")
		}
	})
}
