package evercache

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNotFound means that the key has no value, and that somebody who can
	// know has said so: Redis, or an entry in memory that is still good. A
	// loader returns it (or wraps it) to say the same of the origin.
	ErrNotFound = errors.New("evercache: not found")
	// ErrUnavailable means that nobody can know: Redis does not answer, memory
	// holds nothing that the policy lets it serve, and no loader could be run.
	ErrUnavailable = errors.New("evercache: unavailable")
	// ErrOriginPaused means that the loader was not run, since the origin has just
	// failed: the load of this key, or the loads of most keys of the class. Do not ask the
	// origin in its place. Where this key's load has failed, the error wraps what the
	// loader said. See Policy.LoadRetryAfter.
	ErrOriginPaused = errors.New("evercache: the loader is paused after failures")
	// ErrLoadCycle means that a loader reads, through the cache, what cannot be
	// answered before it has ended: the key that it loads, or one whose loader waits
	// for that. Read it from the origin instead. The loader's context tells: a loader
	// that reads with another one is noticed only by Policy.LoadTimeout.
	ErrLoadCycle = errors.New("evercache: a loader reads through the cache what it is to load itself, or what waits for that: read the origin there")
	// ErrClosed means that the Client has been closed.
	ErrClosed = errors.New("evercache: client is closed")
	// ErrKey means that a key is empty or longer than MaxKeyBytes.
	ErrKey = errors.New("evercache: bad key")
	// ErrValue means that an encoded value is longer than Options.MaxValueBytes, or
	// than the Redis server takes (proto-max-bulk-len).
	ErrValue = errors.New("evercache: value too long")
	// ErrTTL means that a time to live is not positive or longer than MaxTTL.
	ErrTTL = errors.New("evercache: bad ttl")
	// ErrNotModified is what a Loader returns when the value is the one that Load.Previous
	// has given: it is kept for another TTL. Where that has given none, it is a failure.
	ErrNotModified = errors.New("evercache: not modified")
	// ErrDurability means that MinDurability or MinReplicas asks for what does not
	// exist. Nothing was written.
	ErrDurability = errors.New("evercache: bad durability")
)

// DurabilityError says that a write is stored less safely than the caller
// asked with MinDurability. The write is in force in this process and may yet
// reach Redis: repeating it is safe.
type DurabilityError struct {
	Asked Durability
	Got   Durability
	// Replicas asked for and reached; they matter at Replicated only.
	AskedReplicas int
	GotReplicas   int
	Cause         error // why it is not stored better; may be nil
}

func (e *DurabilityError) Error() string {
	s := fmt.Sprintf("evercache: write is stored as %s, %s was asked", level(e.Got, e.GotReplicas), level(e.Asked, e.AskedReplicas))
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *DurabilityError) Unwrap() error { return e.Cause }

func level(d Durability, replicas int) string {
	if d == Replicated {
		return fmt.Sprintf("replicated(%d)", replicas)
	}
	return d.String()
}

// UnsavedError is what Close returns when acknowledged writes were still only
// in this process: they are lost with it.
type UnsavedError struct {
	Writes int // that no master has taken
	// AtRisk are those that a master had taken which is gone, before it was known
	// that another one has them.
	AtRisk int
}

func (e *UnsavedError) Error() string {
	text := fmt.Sprintf("evercache: closed with %d writes that no Redis master has taken", e.Writes)
	if e.AtRisk > 0 {
		text += fmt.Sprintf(" and %d that only one had which is gone", e.AtRisk)
	}
	return text
}

// LoadPanicError is what the callers of a load get when its loader panicked or
// ended its goroutine. The process lives on; Stack is for the log.
type LoadPanicError struct {
	Value any
	Stack []byte
}

func (e *LoadPanicError) Error() string {
	return fmt.Sprintf("evercache: loader panicked: %v", e.Value)
}

// ownErrors are those that errors.Is finds also in an error that is remembered for long.
var ownErrors = [...]error{
	ErrUnavailable, ErrOriginPaused, ErrLoadCycle, ErrClosed, ErrKey, ErrValue, ErrTTL, ErrNotModified, ErrDurability,
}

// IsUnavailable reports whether err says that nobody could know the answer, since Redis
// does not answer (as opposed to: there is none). A caller may fall back to its own source.
// ErrOriginPaused is no such error: there the source has failed.
func IsUnavailable(err error) bool { return errors.Is(err, ErrUnavailable) }

// IsRetryable reports whether the same call may succeed a little later: the
// outage may be over by then, the write may be stored more safely. Wrong
// arguments, a closed client and the caller's own ended context are not.
func IsRetryable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		return false
	}
	_, below := errors.AsType[*DurabilityError](err)
	return below || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrOriginPaused) || errors.Is(err, context.DeadlineExceeded)
}
