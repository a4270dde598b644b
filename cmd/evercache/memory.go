package main

import (
	"context"
	"io/fs"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/memlimit"
)

// memory is what this process may have.
type memory struct {
	group   int64 // limit of the control group; 0: none
	runtime int64 // what the Go runtime keeps to; 0: no limit
	chosen  bool  // the operator has set GOMEMLIMIT
}

// limitMemory lets the Go runtime keep to the limit of the control group, unless
// the operator has said what it is to keep to. Without that it would let garbage
// grow past the limit, and the kernel would end the process.
func limitMemory(environ []string, root fs.FS) memory {
	m := memory{group: memlimit.Of(root), chosen: setsMemoryLimit(environ)}
	if m.group > 0 && !m.chosen {
		debug.SetMemoryLimit(memlimit.Soft(m.group))
	}
	if n := debug.SetMemoryLimit(-1); n < math.MaxInt64 {
		m.runtime = n
	}
	return m
}

func setsMemoryLimit(environ []string) bool {
	return slices.ContainsFunc(environ, func(entry string) bool {
		value, ok := strings.CutPrefix(entry, "GOMEMLIMIT=")
		return ok && value != ""
	})
}

// most is the limit that settings have to fit; 0: none.
func (m memory) most() int64 {
	switch {
	case !m.chosen:
		return m.group
	case m.group == 0:
		return m.runtime
	case m.runtime == 0:
		return m.group
	}
	return min(m.group, m.runtime)
}

// log says what the bounds are, and which limit they have to fit.
func (m memory) log(log *slog.Logger, cfg config.Config) {
	r := cfg.Redis
	log.LogAttrs(context.Background(), slog.LevelInfo, "memory", slog.String("event", "server.memory"),
		slog.Int64("limit_bytes", m.group), slog.Int64("runtime_limit_bytes", m.runtime),
		slog.Int64("values_bytes", r.MemoryBytes), slog.Int64("outbox_bytes", r.OutboxBytes), slog.Int64("ring_bytes", r.RingBytes))
}
