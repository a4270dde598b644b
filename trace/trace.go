// Package trace is how an application, or its tracing library, is told what a call to the
// cache costs beyond memory. It has types only. Package evercacheotel, a module of its
// own, turns them into OpenTelemetry spans.
package trace

import (
	"context"

	"github.com/evercache/evercache/stats"
)

// Tracer is told of each call to Redis and each run of a loader that somebody has asked
// for, when it begins and when it has ended. What memory answers it is not told of, nor of
// what the cache does on its own: heartbeats, replays, questions about the topology.
//
// A Start method returns the context that the matching End method gets. That of LoadStart
// is the loader's too. Every Start has its End. Methods are called side by side, on the
// goroutines of callers, and must be quick and never panic.
type Tracer interface {
	CallStart(ctx context.Context, c Call) context.Context
	CallEnd(ctx context.Context, c Call, e End)
	LoadStart(ctx context.Context, l Load) context.Context
	LoadEnd(ctx context.Context, l Load, e End)
	// Served is told how a read or write of one key, or a delete of a prefix, has gone, with its
	// caller's context.
	// A read that memory has answered without asking anybody is not told.
	Served(ctx context.Context, s Served)
}

// Call is one command to Redis, or one pipeline.
type Call struct {
	// Operation is the command as Redis names it: GET, PIPELINE GET, EVALSHA.
	Operation string
	// Name is what the cache does with it, as in its metrics: get, fill, delete.
	Name string
	// Addr is host:port of the server. Of a Cluster node it is that of the node.
	Addr    string
	DB      int
	Replica bool // it is asked of a replica
	Keys    int  // of a pipeline; else 1
}

// Load is one run of a loader.
type Load struct {
	Class string
	Keys  int // 1, or those of a ManyLoader
}

// End is what came of it. "No such key" is no error.
type End struct {
	Err error // nil: it went well
	// ErrorType is the kind of the error: of a call one of those of the metric
	// evercache_redis_errors_total (timeout, conn, readonly, …), of a load error, panic
	// or timeout.
	ErrorType string
	// Status is the first word of an error reply (READONLY, MASTERDOWN, ERR); "": there is
	// no such reply.
	Status string
}

// Served is how a call of the application has ended.
type Served struct {
	Class  string
	Op     stats.Op
	Tier   stats.Tier   // who has answered: memory, Redis, or neither
	Result stats.Result // hit, stale, miss, ok, error
}
