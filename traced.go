package evercache

import (
	"context"
	"log/slog"
	"sync"

	"github.com/evercache/evercache/internal/errsummary"
	"github.com/evercache/evercache/stats"
	"github.com/evercache/evercache/trace"
)

// loadStarts tells the tracer that a loader is about to run for so many keys. It returns
// the loader's context.
func (c *Cache[V]) loadStarts(ctx context.Context, keys int) context.Context {
	if t := c.client.opts.Tracer; t != nil {
		return t.LoadStart(ctx, trace.Load{Class: c.class, Keys: keys})
	}
	return ctx
}

// loadEnds tells the tracer, and of an error the log, that the loader has returned. ctx is
// that of loadStarts. Where the loader had no more time the log may have been told.
func (c *Cache[V]) loadEnds(ctx context.Context, keys int, err error, told *sync.Once) {
	result := loadResult(err)
	failed := result != "ok" && result != "not_found"
	if failed {
		result = loadErrorType(ctx, result)
	}
	if t := c.client.opts.Tracer; t != nil {
		var e trace.End
		if failed {
			e = trace.End{Err: err, ErrorType: result}
		}
		t.LoadEnd(ctx, trace.Load{Class: c.class, Keys: keys}, e)
	}
	if failed && context.Cause(ctx) != ErrClosed {
		told.Do(func() { c.loadFailed(ctx, result, err) })
	}
}

// loadErrorType is timeout where the loader had no more time.
func loadErrorType(ctx context.Context, result string) string {
	if result == "error" && context.Cause(ctx) == errLoadTimeout {
		return "timeout"
	}
	return result
}

// loadFailed tells the log of a loader that failed.
func (c *Cache[V]) loadFailed(ctx context.Context, result string, err error) {
	log := c.client.store.Log
	if !c.client.loadFailures.Add(ctx, result) || !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	log.LogAttrs(ctx, slog.LevelDebug, "a load has failed", slog.String("event", "load.failed"),
		slog.String("class", c.class), slog.String("error_type", result), slog.Any("error", err))
}

func newCallFailures(log *slog.Logger) *errsummary.Summary {
	return errsummary.New(log, "calls to redis have failed", "redis.calls_failed")
}

func newLoadFailures(log *slog.Logger) *errsummary.Summary {
	return errsummary.New(log, "loads have failed", "loads.failed")
}

// tellServed tells the tracer how a call of the application has ended.
func (c *Cache[V]) tellServed(ctx context.Context, op stats.Op, t stats.Tier, r stats.Result) {
	if tracer := c.client.opts.Tracer; tracer != nil {
		tracer.Served(ctx, trace.Served{Class: c.class, Op: op, Tier: t, Result: r})
	}
}
