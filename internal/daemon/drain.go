package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/revoke"
)

// ending is what there is to end.
type ending struct {
	*Daemon
	api    *api
	client *evercache.Client
	list   *revoke.List // nil: none
	srv    *http.Server
	open   *bounded
}

// lingering is how long connections that are open at the end get to ask once
// more. http.Server.Shutdown cuts off a request that arrives while it runs, even
// one that has been read; a busy connection that hears "Connection: close" with
// an answer is closed by its client and loses nothing.
const lingering = 250 * time.Millisecond

// drain ends the service within the configured time. For the delay, which is
// part of it, all goes on but readiness: who asks it looks elsewhere before the
// listener closes.
func (e *ending) drain(delay time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Server.DrainTimeout)
	defer cancel()
	rest := e.cfg.Server.DrainTimeout - delay
	e.api.drain()
	time.Sleep(delay)
	_ = e.open.Close() // Serve and Shutdown close it too; nobody can do anything about its error
	e.open.waitEmpty(min(lingering, rest/4))
	defer e.open.refusals.Wait() // they began at most refusalTime before
	e.endRequests(ctx, rest/2)
	err := e.endList(ctx)
	if e.memoryWasAll() {
		return e.endMemory()
	}
	err = errors.Join(err, e.client.Shutdown(ctx))
	e.tellJournaled(ctx)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	e.log.LogAttrs(ctx, slog.LevelInfo, "stopped", slog.String("event", "server.stopped"))
	return nil
}

// endList lets revocations get to a master that will not lose them, within half of
// what is left: the outbox waits for the same master.
func (e *ending) endList(ctx context.Context) error {
	if e.list == nil {
		return nil
	}
	end, _ := ctx.Deadline()
	bounded, cancel := context.WithTimeout(ctx, time.Until(end)/2)
	defer cancel()
	return e.list.Shutdown(bounded)
}

// endRequests lets requests have a part of the time only: a caller that trickles
// its body must not cost the outbox its chance.
func (e *ending) endRequests(ctx context.Context, part time.Duration) {
	bounded, cancel := context.WithTimeout(ctx, part)
	defer cancel()
	if e.srv.Shutdown(bounded) != nil {
		e.log.LogAttrs(ctx, slog.LevelWarn, "requests did not finish in time; their connections were closed", slog.String("event", "server.cut_off"))
		_ = e.srv.Close() // what is left of them; nobody can do anything about its error
	}
}

// memoryWasAll reports that no Redis was configured and none was ever there:
// then nobody is left to send the writes to, and their end is no surprise.
func (e *ending) memoryWasAll() bool {
	h := e.client.Health()
	return e.cfg.Redis.RedisOptional && h.Master == "" && !h.Connected
}

// unusedGrace is for the goroutines of a client that has nobody to write to.
const unusedGrace = 250 * time.Millisecond

func (e *ending) endMemory() error {
	ctx, cancel := context.WithTimeout(context.Background(), min(unusedGrace, e.cfg.Server.DrainTimeout))
	defer cancel()
	_ = e.client.Shutdown(ctx) // counts the writes for a Redis that never was
	e.tellJournaled(ctx)
	e.log.LogAttrs(ctx, slog.LevelInfo, "stopped; no Redis was configured, so the values in memory are lost",
		slog.String("event", "server.stopped"))
	return nil
}
