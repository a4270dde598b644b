package evercache

import "time"

// Severity orders findings.
type Severity string

const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Finding is one thing an operator should know and can act on. Code is stable:
// /health, doctor, alerts and the runbook use the same. It never holds a
// secret, a key or a value.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Detail   string   `json:"detail,omitempty"`
	Fix      string   `json:"fix,omitempty"`
}

// Health is a snapshot of what the client knows. Taking it never dials and
// never waits.
type Health struct {
	State         State
	Since         time.Time // when State began
	Mode          Mode
	RequestedMode Mode
	// Connected: a verified master answers.
	Connected bool
	// Master is the address of the last verified master, or "".
	Master string
	// Cause says why Redis is not used at this moment; nil when it is.
	Cause    error
	Findings []Finding

	// Sentinel is nil outside Sentinel mode.
	Sentinel *SentinelHealth

	OutboxEntries int
	OutboxBytes   int64
	// OutboxOldest is how long the oldest kept write has waited.
	OutboxOldest time.Duration

	Feed     FeedHealth
	Recovery RecoveryHealth
	Journal  JournalHealth
	Clock    ClockHealth
}
