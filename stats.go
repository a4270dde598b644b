package evercache

import "time"

// Op is the call that a request counter counts.
type Op uint8

const (
	OpGet Op = iota // Get, GetEntry; one for each key of GetMany
	OpLookup
	OpSet // Set; one for each key of SetMany
	OpAdd
	OpDelete
	OpDeletePrefix
	OpTouch
	opCount
)

func (o Op) String() string {
	return name(int(o), "get", "lookup", "set", "add", "delete", "delete_prefix", "touch")
}

// Tier is the level that answered a request.
type Tier uint8

const (
	TierNone Tier = iota // nobody, or the loader
	TierL1
	TierL2
	tierCount
)

func (t Tier) String() string { return name(int(t), "none", "l1", "l2") }

// Result is how a request ended.
type Result uint8

const (
	ResultHit      Result = iota
	ResultStale           // a hit past its TTL
	ResultMiss            // not found, or loaded
	ResultOK              // a write acknowledged
	ResultError           // the caller got an error
	ResultRejected        // refused by policy or by its arguments
	resultCount
)

func (r Result) String() string {
	return name(int(r), "hit", "stale", "miss", "ok", "error", "rejected")
}

// RequestCount is one row of the request counters.
type RequestCount struct {
	Op     Op
	Tier   Tier
	Result Result
	Count  uint64
}

// Histogram is a snapshot: Counts[i] durations were at most Bounds[i] seconds
// (not cumulative); the last count is for those above every bound.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64 // seconds
}

// Stats is a snapshot of the counters since Open. Every combination that can
// occur is present from the start with 0, so that a first increase is visible.
type Stats struct {
	// Hits and Misses count callers' reads over both levels: a hit was answered
	// from memory or Redis. Sets, Deletes: acknowledged writes. Errors: calls
	// that ended in an error other than ErrNotFound.
	Hits, Misses, Sets, Deletes, Errors uint64

	Requests []RequestCount
	// Durations, by op, are those of requests that memory alone did not answer:
	// reading the clock would double the cost of a hit.
	Durations map[Op]Histogram

	L1Entries       int
	L1Bytes         int64
	L1CapacityBytes int64
	L1Evictions     map[string]uint64 // by reason: capacity, expired, invalidated, flush

	Loads          map[string]uint64 // by result: ok, not_found, error, panic, timeout
	LoadDurations  Histogram
	LoadsInFlight  int64
	LoadsCoalesced uint64 // callers that waited for another's load
	LoadsShed      uint64 // loads refused by the outage rate
	DecodeFailures uint64 // stored values that did not decode: each a miss
	EncodeFailures uint64 // values that did not encode: loaded ones stay here, others are refused

	RedisRequests  map[string]map[string]uint64 // by command, then outcome: ok, error
	RedisErrors    map[string]uint64            // by kind: timeout, conn, readonly, …
	RedisDurations Histogram
	RedisDials     map[string]uint64 // by result: ok, error

	State            State
	StateTransitions map[[2]State]uint64
	Degraded         time.Duration // total time not Connected
	Mode             Mode
	RequestedMode    Mode
	RedisUp          bool
	CircuitOpen      bool
	CircuitOpened    map[string]uint64 // by cause: errors, slow

	// Sentinel is nil outside Sentinel mode.
	Sentinel *SentinelStats

	OutboxEntries    int
	OutboxBytes      int64
	OutboxReplayed   uint64
	OutboxExpired    uint64 // kept writes whose TTL ran out: their keys are deleted at the master
	OutboxRejected   uint64 // kept writes that the master will never take: their keys are deleted there
	OutboxOverflowed uint64 // writes kept as deletes, for want of room

	Tombstones TombstoneStats

	Journal JournalHealth

	Feed     FeedHealth
	Recovery RecoveryHealth
	Clock    ClockHealth

	EventsDropped uint64
	LogDropped    uint64 // log lines that Options.Logger did not take in time, or at all
}

// SentinelStats counts what happened to a Sentinel set.
type SentinelStats struct {
	SentinelHealth
	FailoversByCause map[string]uint64 // ended ones: failure, planned, manual
	Blackouts        Histogram         // how long callers had no master in each
	Events           map[string]uint64 // what the sentinels published, by channel
}
