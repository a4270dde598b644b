package daemon

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/status"
)

// redisSource is what awaitRedis needs of the client.
type redisSource interface {
	Health() health.Report
	WaitConnected(ctx context.Context) error
}

// awaitRedis holds readiness until Redis has been reached once, where that is asked
// for. An outage holds it for ReadyWait at most, since memory serves then; settings
// that Redis refuses hold it until they are mended, since waiting does not mend them.
// It ends with release.
func (d *Daemon) awaitRedis(ctx context.Context, release func(), c redisSource) {
	wait := d.cfg.Server.ReadyWait
	defer release()
	if wait == 0 {
		return
	}
	d.log.LogAttrs(ctx, slog.LevelInfo, "not ready until Redis has been reached",
		slog.String("event", "server.waits"), slog.Float64("at_most_s", wait.Seconds()))
	refused := false // once: a Redis that is away meanwhile has not mended that
	for deadline := time.Now().Add(wait); ctx.Err() == nil; {
		bounded, cancel := context.WithTimeout(ctx, readyLook)
		err := c.WaitConnected(bounded)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		refused = refused || slices.ContainsFunc(c.Health().Findings, refusesSettings)
		if time.Now().After(deadline) && !refused {
			d.log.LogAttrs(ctx, slog.LevelWarn, "ready without Redis: it was not reached in time",
				slog.String("event", "server.waited"), slog.Float64("waited_s", wait.Seconds()))
			return
		}
	}
}

// hold holds readiness where awaitRedis is to release it.
func (d *Daemon) hold(st *status.Status) (release func()) {
	if d.cfg.Server.ReadyWait == 0 {
		return func() {}
	}
	return st.Hold()
}

const readyLook = 250 * time.Millisecond

// settingsRefused are the findings of settings that no waiting mends.
var settingsRefused = []string{
	health.CodeRedisAuth, health.CodeRedisNoPerm, health.CodeRedisTLS, health.CodeRedisNotRedis, health.CodeRedisIsSentinel, health.CodeRedisDB, health.CodeRedisReplica, health.CodeRedisTwoServers, health.CodeRedisClusterNode,
	health.CodeSentinelAuth, health.CodeSentinelNoPerm, health.CodeSentinelTLS, health.CodeSentinelUnknownMaster, health.CodeSentinelNotSentinel,
	health.CodeClusterAuth, health.CodeClusterNoPerm, health.CodeClusterTLS, health.CodeClusterNotCluster, health.CodeClusterTwoClusters,
}

func refusesSettings(f health.Finding) bool {
	return f.Severity == health.SeverityError && slices.Contains(settingsRefused, f.Code)
}
