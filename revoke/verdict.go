package revoke

import "time"

// Status is what is known of a token.
type Status uint8

const (
	// Unknown: nobody here can know. The policy decides.
	Unknown Status = iota
	// NotRevoked: it was not revoked by what was acknowledged before AsOf.
	NotRevoked
	// Revoked: refuse it.
	Revoked
)

func (s Status) String() string {
	switch s {
	case NotRevoked:
		return "notRevoked"
	case Revoked:
		return "revoked"
	}
	return "unknown"
}

// MarshalText writes the name, for JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Verdict is the answer to a check. The zero value refuses.
type Verdict struct {
	Status Status
	// AsOf is the moment of the knowledge, by this process's clock: every revocation
	// that was acknowledged before it is taken into account. Zero: never anything.
	AsOf time.Time
	// Lag is how long ago that was.
	Lag time.Duration

	allowed bool
}

// Allowed is the decision: whether to let the token in.
func (v Verdict) Allowed() bool { return v.allowed }

// judge decides. asOf is when all was known, 0 for never, and now the moment of
// the check, in nanoseconds of a clock that never stands still.
func (p *Policy) judge(held, usable bool, asOf, now int64) (Status, bool) {
	switch {
	case held:
		return Revoked, false
	case !usable: // the caller's mistake, not an outage
		return Unknown, false
	case asOf == 0 || now-asOf > int64(p.MaxLag):
		return Unknown, p.OnUnknown == Allow
	}
	return NotRevoked, true
}
