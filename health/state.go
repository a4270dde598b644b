package health

import (
	"fmt"
	"time"
)

// State is what the client can do at this moment.
type State uint8

const (
	// Degraded: no usable master; memory answers.
	Degraded State = iota
	// Recovering: a master is back and the outbox is being replayed.
	Recovering
	// Connected: a verified master answers and nothing is left to replay.
	Connected
	// Closed: the client has been closed.
	Closed
)

func (s State) String() string { return name(int(s), "degraded", "recovering", "connected", "closed") }

// MarshalText writes the name, for JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Mode is how Redis is reached.
type Mode uint8

const (
	// ModeStandalone is one server.
	ModeStandalone Mode = iota
	// ModeSentinel is a set watched by Redis Sentinel.
	ModeSentinel
	// ModeCluster is Redis Cluster.
	ModeCluster
	// ModeMemoryOnly is no Redis at all: see Options.MemoryOnly of evercache.
	ModeMemoryOnly
)

func (m Mode) String() string { return name(int(m), "standalone", "sentinel", "cluster", "memory") }

// MarshalText writes the name, for JSON.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func name(i int, names ...string) string {
	if i >= len(names) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return names[i]
}

// Change is one change of the client's state.
type Change struct {
	From, To State
	At       time.Time
	Cause    error // why; nil on the way up
}
