package evercache

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/evercache/evercache/internal/shard"
)

const (
	// Never switches a Policy duration off where zero means its default.
	Never time.Duration = -1
	// NoLoads lets no loader run in an outage.
	NoLoads = -1
	// UnlimitedLoads lets every loader run in an outage.
	UnlimitedLoads = math.MaxInt32
	// MaxKeyBytes bounds a key.
	MaxKeyBytes = 1024
	// MaxTTL bounds a time to live: a year.
	MaxTTL = shard.MaxTTL
	// MaxRingAge bounds Options.RingAge: half of how long a tombstone lives.
	MaxRingAge = 5 * time.Minute
	// MaxVersion bounds Policy.Version.
	MaxVersion = 1_000_000
	// MaxLoadRetryAfter bounds Policy.LoadRetryAfter.
	MaxLoadRetryAfter = time.Minute
	// MinRefreshAhead and MaxRefreshAhead bound Policy.RefreshAhead.
	MinRefreshAhead = 0.1
	MaxRefreshAhead = 0.95
	// MinMaxStaleness and MaxMaxStaleness bound Policy.MaxStaleness.
	MinMaxStaleness = 200 * time.Millisecond
	MaxMaxStaleness = time.Minute
)

// OutageReads says what a class may answer from memory while Redis is away.
type OutageReads uint8

const (
	// ServeStale answers with a fresh entry, else with a stale one (within
	// Policy.Stale), else asks the loader within OutageLoadRate.
	ServeStale OutageReads = iota
	// ServeFresh answers with a fresh entry, else asks the loader; a stale
	// entry is used only when the loader fails too, or takes longer than
	// Policy.LoadPatience.
	ServeFresh
	// RefuseReads answers nothing that Redis has not confirmed: ErrUnavailable.
	RefuseReads
)

func (r OutageReads) String() string { return name(int(r), "serve-stale", "serve-fresh", "refuse") }

// OutageWrites says what becomes of a write while Redis is away.
type OutageWrites uint8

const (
	// KeepWrites acknowledges the write as Memory, serves it here, and sends it
	// to the next master before anything else.
	KeepWrites OutageWrites = iota
	// RefuseWrites fails the write with ErrUnavailable and changes nothing here.
	// A write that was already on its way when Redis stopped answering may
	// still take effect there.
	RefuseWrites
)

func (w OutageWrites) String() string { return name(int(w), "keep", "refuse") }

// Recovery says how what was written in an outage is put back.
type Recovery uint8

const (
	// Restore writes the value to the next master.
	Restore Recovery = iota
	// Invalidate deletes the key there instead: recommended for classes whose
	// values can be loaded again. An acknowledged write that has to be sent again is
	// then a miss, and no older value comes back.
	Invalidate
)

func (r Recovery) String() string { return name(int(r), "restore", "invalidate") }

// Policy says what happens to the keys of one class in each case. The zero
// value is safe: nothing stale is served, no absence is remembered.
type Policy struct {
	// TTL is how long a key lives, in Redis and as fresh in memory. Default 1 h.
	TTL time.Duration
	// Stale is how long past its TTL an entry is kept in memory, to be served
	// only when nothing better can be had. Default none.
	Stale time.Duration
	// L1TTL is how long an entry is served from memory without asking Redis
	// while Redis answers. Default: as long as it lives, while the invalidation
	// feed covers it (a change made elsewhere drops it), and 5 s while nothing
	// covers it. Never: ask every time.
	L1TTL time.Duration
	// NegativeTTL is how long a loader's ErrNotFound is remembered, in memory
	// only. Default not at all.
	NegativeTTL time.Duration

	// ReplicaReads lets replicas answer reads: see Options.ReplicaReads, which must be
	// on. MaxStaleness is how old the answer of a replica may be while there is a
	// master: whatever the master had acknowledged that long ago is in it. Default 1 s.
	ReplicaReads bool
	MaxStaleness time.Duration

	// ReadTimeout and WriteTimeout bound one question to Redis. Default: those
	// of Options.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
	// LoadTimeout bounds one run of a loader. Default 5 s; at least 1 ms.
	LoadTimeout time.Duration

	// LoadPatience is how long callers wait for a load while memory has a stale value
	// (Stale). It counts from when the load has begun. Then they get that value, and the
	// load goes on for those who come later. Default 100 ms where there is a Stale; Never:
	// they wait to the end. It must not be longer than LoadTimeout.
	LoadPatience time.Duration
	// LoadRetryAfter is how long a loader is not run for a key after it has failed. It
	// doubles with each failure in a row, to 32 times as much, but not to more than a
	// minute, and is up to a quarter less at random. Meanwhile callers get the stale value,
	// else ErrOriginPaused, which wraps the last error. When loads fail for most of the keys
	// that were loaded within 30 s, no loader runs for any key of the class but two at a
	// time at most, after pauses of the same length; others without a stale value get
	// ErrOriginPaused. A key that goes on failing while others succeed does not count.
	// ErrNotFound is no failure. Default 100 ms; Never: no pause. A write or delete of the
	// key ends its pause.
	//
	// The failures of some thousand keys are remembered, and of the last 64 errors all that
	// they refer to. Of the others, and of one whose text is longer than 16 KiB, only
	// (the beginning of) the text is kept: errors.As finds nothing in it, and errors.Is only
	// errors of this package and those of contexts. What is 30 s past its pause is forgotten.
	LoadRetryAfter time.Duration
	// RefreshAhead is the share of its life after which an entry that is read is loaded
	// again in the background, while readers get the one that is there; for each entry up
	// to a quarter less at random. What anybody writes meanwhile stays. 0: no refresh;
	// else from MinRefreshAhead to MaxRefreshAhead. MaxRefreshes is how many such loads the
	// class runs at a time, default 64. While Redis is away OutageLoadRate counts too.
	// Only a read that memory answers starts one, so L1TTL must not be Never, and should not
	// be short.
	RefreshAhead float64
	MaxRefreshes int

	// OutageReads and OutageWrites are the behaviour while Redis is away.
	OutageReads  OutageReads
	OutageWrites OutageWrites
	// OutageLoadRate is how many loaders of this class may start a second while
	// Redis is away, with bursts of as many; what is over it fails at once.
	// Default 100; NoLoads; UnlimitedLoads.
	OutageLoadRate int
	// Recovery says how writes made in an outage are put back.
	Recovery Recovery

	// Version is that of the form in which the class's values are stored; at most
	// MaxVersion. Give it another number when the application can no longer read
	// what its release of before wrote, or would read it as something else (a field
	// has another name or meaning). Each version has keys of its own in Redis,
	// <prefix><class>@<version>:<key>; those of the version before end with their
	// TTL. Two versions share nothing: while both run, neither sees what the other
	// writes or deletes. Default: no version, <prefix><class>:<key>.
	Version int

	// MaxEntries or MaxBytes (not both) give the class a memory of its own.
	// Without them it shares the Client's (Options.MemoryBytes).
	MaxEntries int
	MaxBytes   int64
}

func (p Policy) withDefaults(o Options) Policy {
	p.TTL = or(p.TTL, time.Hour)
	p.LoadTimeout = or(p.LoadTimeout, 5*time.Second)
	p.ReadTimeout = or(p.ReadTimeout, o.ReadTimeout)
	p.WriteTimeout = or(p.WriteTimeout, o.WriteTimeout)
	p.L1TTL = off(or(p.L1TTL, max(0, min(5*time.Second, p.TTL))))
	p.Stale = off(p.Stale)
	if p.Stale > 0 { // with a shorter LoadTimeout nobody waits longer than that
		p.LoadPatience = or(p.LoadPatience, min(100*time.Millisecond, max(p.LoadTimeout, 1)))
	}
	p.LoadPatience = off(p.LoadPatience)
	p.LoadRetryAfter = off(or(p.LoadRetryAfter, 100*time.Millisecond))
	if p.RefreshAhead != 0 && p.MaxRefreshes == 0 {
		p.MaxRefreshes = 64
	}
	p.NegativeTTL = off(p.NegativeTTL)
	if p.ReplicaReads {
		p.MaxStaleness = or(p.MaxStaleness, time.Second)
	}
	if p.OutageLoadRate == 0 {
		p.OutageLoadRate = 100
	}
	return p
}

// validate lists every fault of a policy whose defaults are filled in.
func (p Policy) validate() error {
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	fault(p.TTL < time.Millisecond || p.TTL > MaxTTL, "Policy.TTL %v: want between 1ms and %v", p.TTL, MaxTTL)
	fault(p.Stale < 0 || p.Stale > MaxTTL, "Policy.Stale %v: want between 0 and %v, or Never", p.Stale, MaxTTL)
	fault(p.L1TTL < 0, "Policy.L1TTL %v: want a positive duration, at most the TTL, or Never", p.L1TTL)
	fault(p.L1TTL > p.TTL && p.TTL > 0, "Policy.L1TTL %v: want at most the TTL %v, or Never", p.L1TTL, p.TTL)
	fault(p.NegativeTTL < 0 || p.NegativeTTL > MaxTTL, "Policy.NegativeTTL %v: want between 0 and %v, or Never", p.NegativeTTL, MaxTTL)
	fault(p.ReadTimeout <= 0, "Policy.ReadTimeout %v: want a positive duration", p.ReadTimeout)
	fault(p.WriteTimeout <= 0, "Policy.WriteTimeout %v: want a positive duration", p.WriteTimeout)
	fault(p.LoadTimeout < time.Millisecond, "Policy.LoadTimeout %v: want at least 1ms: no loader answers sooner", p.LoadTimeout)
	fault(p.LoadPatience < 0, "Policy.LoadPatience %v: want a positive duration, or Never", p.LoadPatience)
	fault(p.LoadPatience > 0 && p.Stale == 0, "Policy.LoadPatience %v: there is no stale value to serve; set Stale too", p.LoadPatience)
	fault(p.LoadPatience > p.LoadTimeout && p.LoadTimeout >= time.Millisecond, "Policy.LoadPatience %v: a load ends after LoadTimeout %v; set a shorter one, or Never", p.LoadPatience, p.LoadTimeout)
	fault(p.LoadRetryAfter < 0 || p.LoadRetryAfter > MaxLoadRetryAfter, "Policy.LoadRetryAfter %v: want between 0 and %v, or Never", p.LoadRetryAfter, MaxLoadRetryAfter)
	fault(p.RefreshAhead != 0 && !(p.RefreshAhead >= MinRefreshAhead && p.RefreshAhead <= MaxRefreshAhead), "Policy.RefreshAhead %v: want between %v and %v, or 0 for none", p.RefreshAhead, MinRefreshAhead, MaxRefreshAhead)
	fault(p.MaxRefreshes < 0, "Policy.MaxRefreshes %d: want a positive number", p.MaxRefreshes)
	fault(p.RefreshAhead == 0 && p.MaxRefreshes > 0, "Policy.MaxRefreshes %d: nothing is refreshed; set RefreshAhead too", p.MaxRefreshes)
	fault(!p.ReplicaReads && p.MaxStaleness != 0, "Policy.MaxStaleness %v: it is for reads from replicas; set ReplicaReads too", p.MaxStaleness)
	fault(p.ReplicaReads && (p.MaxStaleness < MinMaxStaleness || p.MaxStaleness > MaxMaxStaleness), "Policy.MaxStaleness %v: want between %v and %v", p.MaxStaleness, MinMaxStaleness, MaxMaxStaleness)
	fault(p.OutageLoadRate < NoLoads, "Policy.OutageLoadRate %d: want loads a second, NoLoads or UnlimitedLoads", p.OutageLoadRate)
	fault(p.OutageReads > RefuseReads, "Policy.OutageReads %v", p.OutageReads)
	fault(p.OutageWrites > RefuseWrites, "Policy.OutageWrites %v", p.OutageWrites)
	fault(p.Recovery > Invalidate, "Policy.Recovery %v", p.Recovery)
	fault(p.Version < 0 || p.Version > MaxVersion, "Policy.Version %d: want between 1 and %d, or 0 for none", p.Version, MaxVersion)
	fault(p.MaxEntries < 0, "Policy.MaxEntries %d: want a positive number", p.MaxEntries)
	fault(p.MaxBytes < 0, "Policy.MaxBytes %d: want a positive number", p.MaxBytes)
	fault(p.MaxEntries > 0 && p.MaxBytes > 0, "Policy.MaxEntries and MaxBytes: give one of them")
	return errors.Join(errs...)
}

// or is d, or def where d is zero.
func or(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// off turns Never into the zero that the code below the options works with.
func off(d time.Duration) time.Duration {
	if d == Never {
		return 0
	}
	return d
}
