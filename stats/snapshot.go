package stats

import "time"

// Snapshot is the counters since Open, and the sizes of what is held now. Every
// combination that can occur is present from the start with 0, so that a first
// increase is visible.
type Snapshot struct {
	// Hits and Misses count callers' reads over both levels: a hit was answered
	// from memory or Redis. Sets, Deletes: acknowledged writes. Errors: calls
	// that ended in an error other than ErrNotFound.
	Hits, Misses, Sets, Deletes, Errors uint64

	Requests []RequestCount
	// Durations, by op, are those of requests that memory alone did not answer:
	// reading the clock would double the cost of a hit.
	Durations map[Op]Histogram

	// L1 is memory.
	L1Entries       int
	L1Bytes         int64
	L1CapacityBytes int64
	L1Evictions     map[string]uint64 // by reason: capacity, expired, invalidated

	Loads          map[string]uint64 // by result: ok, not_found, error, panic, timeout
	LoadDurations  Histogram
	LoadsInFlight  int64
	LoadsCoalesced uint64 // callers that waited for another's load
	LoadsShed      uint64 // loads refused by the outage rate
	LoadsPaused    uint64 // loads not run since those before had failed
	LoadsRefreshed uint64 // of all, those that ran ahead of their entries' ends
	LoadsImpatient uint64 // loads that callers did not wait for: they had a stale value

	Inspected      uint64 // coherent entries of memory that were compared with Redis (Cache.Inspect)
	InspectedWrong uint64 // of them, those that were wrong

	DecodeFailures uint64 // stored values that did not decode: each a miss
	EncodeFailures uint64 // values that did not encode, or were loaded and are too long: loaded ones stay here, others are refused

	RedisRequests  map[string]map[string]uint64 // by command, then outcome: ok, error
	RedisErrors    map[string]uint64            // by kind: timeout, conn, readonly, …
	RedisDurations Histogram
	RedisDials     map[string]uint64 // by result: ok, error

	StateTransitions map[Transition]uint64
	Degraded         time.Duration     // total time not connected
	CircuitOpen      bool              // no master is in use, and one was before
	CircuitOpened    map[string]uint64 // by cause: errors, slow

	// Sentinel is nil outside Sentinel mode.
	Sentinel *Sentinel

	// Replicas is nil where replicas are not read from.
	Replicas *Replicas

	OutboxReplayed   uint64
	OutboxExpired    uint64 // kept writes whose TTL ran out: their keys are deleted at the master
	OutboxRejected   uint64 // kept writes that the master will never take: their keys are deleted there
	OutboxOverflowed uint64 // writes kept as deletes, for want of room

	Tombstones Tombstones

	EventsDropped uint64 // callbacks that Options.Events did not take in time
	LogDropped    uint64 // log lines that Options.Logger did not take in time, or at all
}

// Transition is a change of state, by the names of health.State.
type Transition struct{ From, To string }

// Histogram is a snapshot: Counts[i] durations were at most Bounds[i] seconds
// (not cumulative); the last count is for those above every bound.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64 // seconds
}

// Sentinel counts what happened to a Sentinel set.
type Sentinel struct {
	FailoversByCause map[string]uint64 // ended ones: failure, planned, manual
	Blackouts        Histogram         // how long callers had no master in each
	Events           map[string]uint64 // what the sentinels published, by channel
}

// Replicas counts keys that reads have asked replicas for.
type Replicas struct {
	Answered uint64
	// Refused are those for which the master was asked then, by reason: none (no replica
	// can be asked), moving (the key's slot moves), lagging, older_epoch, unknown,
	// own_write, announced, nil, ended, long, useless, forbidden, no_clock, error.
	Refused map[string]uint64
}

// Tombstones are those that this process has left in Redis and that still live
// there. One key that is deleted several times counts as often.
type Tombstones struct {
	Live  int64
	Bytes int64 // about: of Redis' memory
}
