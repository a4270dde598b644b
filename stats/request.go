package stats

import "fmt"

// Op is the call that a request counter counts.
type Op uint8

const (
	OpGet          Op = iota // Get, GetEntry; one for each key of GetMany
	OpLookup                 // Lookup
	OpSet                    // Set; one for each key of SetMany
	OpAdd                    // Add
	OpDelete                 // Delete
	OpDeletePrefix           // DeletePrefix
	OpTouch                  // Touch
)

func (o Op) String() string {
	return name(int(o), "get", "lookup", "set", "add", "delete", "delete_prefix", "touch")
}

// MarshalText writes the name, for JSON.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Tier is the level that answered a request.
type Tier uint8

const (
	TierNone Tier = iota // nobody, or the loader
	TierL1               // memory
	TierL2               // Redis
)

func (t Tier) String() string { return name(int(t), "none", "l1", "l2") }

// MarshalText writes the name, for JSON.
func (t Tier) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Result is how a request ended.
type Result uint8

const (
	ResultHit      Result = iota // found
	ResultStale                  // a hit past its TTL
	ResultMiss                   // not found, or loaded
	ResultOK                     // a write acknowledged
	ResultError                  // the caller got an error
	ResultRejected               // refused by policy or by its arguments
)

func (r Result) String() string {
	return name(int(r), "hit", "stale", "miss", "ok", "error", "rejected")
}

// MarshalText writes the name, for JSON.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// RequestCount is one row of the request counters.
type RequestCount struct {
	Op     Op
	Tier   Tier
	Result Result
	Count  uint64
}

func name(i int, names ...string) string {
	if i >= len(names) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return names[i]
}
