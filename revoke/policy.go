package revoke

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/evercache/evercache"
)

// Decision is what becomes of a token that nobody can know about.
type Decision uint8

const (
	// Deny refuses it.
	Deny Decision = iota
	// Allow lets it in: for tokens whose abuse costs less than an outage.
	Allow
)

func (d Decision) String() string {
	if d == Allow {
		return "allow"
	}
	return "deny"
}

// Policy says what a List promises. The zero value is safe.
type Policy struct {
	// Namespace separates lists that share a Redis; a-z, 0-9, _ and -. Default
	// "tokens". The keys begin with the client's prefix and "~r:", where no Cache
	// can reach them.
	Namespace string
	// Key, when given, goes into the hash of every id, and must be the same in
	// all processes of a list, for ever (a process with another one knows
	// nothing, and says so). Without it the ids in Redis cannot be read back
	// either, but somebody who reads Redis can test whether an id that he can
	// guess, such as the number of a subject, is in the list. With it he cannot.
	// Give it 16 random bytes or more.
	Key evercache.Secret

	// Durability is what Revoke asks for: Journaled, Master or Replicated. Default
	// Master. Below it the revocation is in force here and queued, and Revoke
	// returns a *evercache.DurabilityError.
	Durability evercache.Durability
	// Replicas is how many, at Replicated. Default 1.
	Replicas int
	// AckTimeout bounds the wait for that. Default 1 s.
	AckTimeout time.Duration

	// MaxLag is how old the knowledge behind NotRevoked may be. Default 15 s. It
	// is reached in an outage only; see the guide for how to choose it.
	MaxLag time.Duration
	// OnUnknown decides what has no answer. Default Deny.
	OnUnknown Decision
	// MaxLife is the longest life of a token. An expiry further away is an error.
	// Default 31 days.
	MaxLife time.Duration
	// ClockSkew is how much longer than its expiry an entry is kept: at least the
	// largest difference between two clocks, plus the leeway with which tokens are
	// judged. Default 5 minutes.
	ClockSkew time.Duration
	// MaxEntries bounds the set. Beyond it Revoke returns ErrFull, and a set in
	// Redis that does not fit is not known. Default 10 million.
	MaxEntries int

	// NoFirstUse: a set without a marker is never believed, until somebody calls
	// Init (evercache revoke init), or MaxLife has been watched. Otherwise it is
	// believed, with a warning, when no marker has appeared for five seconds, and no
	// living process has come back in that time to put back what was lost.
	NoFirstUse bool

	// OnDemand: the list does nothing, and leaves nothing in Redis, until it is used:
	// by a check, a revocation, WaitReady, or what an earlier process has left in the
	// journal. What is not revoked here is Unknown from then on, until a complete set
	// has been read. Until then this process holds nothing that Redis could lose.
	OnDemand bool
}

const (
	// MaxIDBytes bounds an id and a subject. See RawID for what is longer.
	MaxIDBytes = 4096
	maxSpan    = 10 * 365 * 24 * time.Hour
)

var (
	// ErrID means that an id or subject is empty, longer than MaxIDBytes, or not UTF-8.
	ErrID = errors.New("revoke: bad id")
	// ErrExpiry means that an expiry is zero, over for longer than the clock skew,
	// or further away than the longest life of a token; or that a cut-off is ahead,
	// or so long ago that every token of then has expired.
	ErrExpiry = errors.New("revoke: bad expiry")
	// ErrFull means that the list holds as much as Policy.MaxEntries allows: this
	// revocation is not in force.
	ErrFull = errors.New("revoke: the list is full")
)

func (p Policy) withDefaults() Policy {
	p.Namespace = cmp.Or(p.Namespace, "tokens")
	p.Durability = cmp.Or(p.Durability, evercache.Master)
	if p.Durability == evercache.Replicated {
		p.Replicas = cmp.Or(p.Replicas, 1)
	}
	p.AckTimeout = cmp.Or(p.AckTimeout, time.Second)
	p.MaxLag = cmp.Or(p.MaxLag, 15*time.Second)
	p.MaxLife = cmp.Or(p.MaxLife, 31*24*time.Hour)
	p.ClockSkew = cmp.Or(p.ClockSkew, 5*time.Minute)
	p.MaxEntries = cmp.Or(p.MaxEntries, 10_000_000)
	return p
}

var namespaces = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (p Policy) validate() error {
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	fault(!namespaces.MatchString(p.Namespace), "Namespace %.80q: want 1 to 64 of a-z, 0-9, _ and -", p.Namespace)
	fault(p.Durability > evercache.Replicated, "Durability %d is unknown", p.Durability)
	fault(p.Replicas < 0, "Replicas %d: want 1 or more", p.Replicas)
	fault(p.Replicas > 0 && p.Durability != evercache.Replicated, "Replicas without Durability Replicated")
	fault(p.OnUnknown > Allow, "OnUnknown %d is unknown", p.OnUnknown)
	fault(p.MaxEntries < 0, "MaxEntries %d: want a positive number", p.MaxEntries)
	for _, d := range []struct {
		name        string
		d, min, max time.Duration
	}{
		{"AckTimeout", p.AckTimeout, time.Millisecond, time.Minute},
		{"MaxLag", p.MaxLag, 2 * time.Second, maxSpan},
		{"MaxLife", p.MaxLife, time.Second, maxSpan},
		{"ClockSkew", p.ClockSkew, 0, 24 * time.Hour},
	} {
		fault(d.d < d.min || d.d > d.max, "%s %v: want %v to %v", d.name, d.d, d.min, d.max)
	}
	return errors.Join(errs...)
}
