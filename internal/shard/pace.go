package shard

import (
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/remote"
)

// All barriers together are to take no more than a fiftieth of a master. A process does not
// know the others, but the master says how many connections it has and how many commands
// it executes: those of so many processes at most are at work.

const (
	// barrierCost is what a barrier takes of the master where many are sent, with what it
	// sends to the replicas and hears of them.
	barrierCost = 15 * time.Microsecond
	// barrierShare is the part of the master's time that barriers may take, one in so many.
	barrierShare = 50
	// stretchedMost bounds the pace: the lease of memory is a second, and each barrier has
	// to be answered within the one of the last.
	stretchedMost = 800 * time.Millisecond
	// processCommands is less than a process at work has a master execute in a second.
	processCommands = 10
)

// crowd is how many processes share a master at most, as far as that counts: those that
// rest cost it little. With connections each has.
func crowd(e remote.Evictions, connections uint64) uint64 {
	return min(e.Clients/connections, e.Rate/processCommands)
}

// connections are those of a process to a master.
func connections(m health.Mode) uint64 {
	if m == health.ModeStandalone {
		return 2
	}
	return 3 // it is asked what it is as well
}

// shared is a pace among so many processes.
func shared(pace time.Duration, processes uint64) time.Duration {
	return max(pace, min(time.Duration(min(processes, 1<<20))*barrierCost*barrierShare, stretchedMost))
}

// hearPace is how soon the feed is asked again. The question before the last is what
// proves something, and it must not be older than the lease.
func hearPace(processes uint64) time.Duration {
	return max(HearEach, min(shared(0, processes), 2*HearEach))
}

// atOnce is how soon after a barrier one may follow that a caller waits for.
func atOnce(processes uint64) time.Duration {
	if processes <= few {
		return 0
	}
	return min(time.Duration(min(processes, 1<<20))*barrierCost, heartbeatWaited)
}

// few processes do not get in each other's way.
const few = 16
