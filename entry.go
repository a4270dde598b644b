package evercache

import (
	"context"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/shard"
)

// Source says who answered a read.
type Source uint8

const (
	// SourceNone is the zero value: nobody answered.
	SourceNone Source = iota
	// SourceMemory is the memory of this process (L1).
	SourceMemory
	// SourceRedis is the Redis master (L2).
	SourceRedis
	// SourceLoader is the loader that the caller gave.
	SourceLoader
	// SourceReplica is a replica of the Redis master: see Options.ReplicaReads.
	SourceReplica
)

func (s Source) String() string {
	return name(int(s), "none", "memory", "redis", "loader", "replica")
}

// MarshalText writes the name, for JSON.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Entry is a value with what is known about it.
type Entry[V any] struct {
	Value  V
	Source Source
	// Age is how long ago the value was written or loaded, as far as can be
	// told: what Redis holds is dated by the class's TTL, and an entry written
	// with a TTL of its own counts from when this process read it.
	Age time.Duration
	// Behind is for an answer of a replica: whatever the master had acknowledged that
	// long ago, or longer, is in it. It is zero for any other answer.
	Behind time.Duration
	// Fresh is true within the TTL, unless another process may have written the key
	// since. A stale entry is served only where the
	// policy allows it and nothing better can be had.
	Fresh bool
	// Coherent: no master had taken anything newer a second ago. The invalidation
	// feed vouches for what memory holds and for what a replica has answered; what the
	// master has just answered needs no feed, only the proof that it was the only one.
	Coherent bool
	// Cause says why the answer is not the normal one: the outage or the
	// loader's error behind a value from memory. It is nil in normal service.
	Cause error
}

// Durability says where a write is when it is acknowledged, weakest first.
type Durability uint8

const (
	// Memory: in this process only, kept for the next master (see Receipt).
	Memory Durability = iota
	// Journaled: also in a file of this process.
	Journaled
	// Master: acknowledged by the Redis master.
	Master
	// Replicated: acknowledged by the master and a number of replicas.
	Replicated
)

func (d Durability) String() string {
	return name(int(d), "memory", "journaled", "master", "replicated")
}

// MarshalText writes the name, for JSON.
func (d Durability) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the name.
func (d *Durability) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDurability(string(text))
	return err
}

// ParseDurability reads the text form: memory, journaled, master, replicated.
func ParseDurability(s string) (Durability, error) {
	for d := Memory; d <= Replicated; d++ {
		if d.String() == s {
			return d, nil
		}
	}
	return 0, fmt.Errorf("durability %.20q is none of memory, journaled, master, replicated", s)
}

// Receipt says how safely a write is stored at the moment it is acknowledged.
// What is stored as Memory waits in the outbox of this process and is sent to
// the next master before anything else; it is lost if the process dies first.
type Receipt struct {
	Durability Durability
	Replicas   int // replicas that have it; counted at Replicated only
}

// WriteOption changes one write.
type WriteOption func(*writeOptions)

type writeOptions struct {
	ttl      time.Duration
	ttlGiven bool
	min      Receipt
}

// TTL gives this write a time to live of its own instead of the class's.
func TTL(d time.Duration) WriteOption {
	return func(o *writeOptions) { o.ttl, o.ttlGiven = d, true }
}

// MinDurability makes the write fail with a *DurabilityError when it is stored
// less safely than asked. The write stays in force either way. Replicated asks for
// one replica: see MinReplicas.
func MinDurability(d Durability) WriteOption {
	if d == Replicated {
		return MinReplicas(1)
	}
	return func(o *writeOptions) { o.min = Receipt{Durability: d} }
}

// MinReplicas makes the write fail with a *DurabilityError unless the master and so
// many replicas have it within Policy.WriteTimeout. The write stays in force either way.
func MinReplicas(n int) WriteOption {
	return func(o *writeOptions) {
		o.min = Receipt{Durability: Replicated, Replicas: n}
		if n == 0 {
			o.min.Replicas = 1
		}
	}
}

// possible is nil when a write can be asked to reach r. Else it is an ErrDurability.
func (r Receipt) possible() error {
	switch {
	case r.Durability > Replicated:
		return fmt.Errorf("%w: %d; ask for evercache.Memory, Journaled, Master or Replicated", ErrDurability, r.Durability)
	case r.Replicas < 0:
		return fmt.Errorf("%w: %d replicas; ask for 1 or more", ErrDurability, r.Replicas)
	}
	return nil
}

// name returns the i-th of the names, for String methods of small enums.
func name(i int, names ...string) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return names[i]
}

// kept is the receipt of a write that no master has taken. It waits for the disk.
// Without it the write is in force, but stored less safely than the journal promises.
func kept(ctx context.Context, p shard.Pending, limit time.Duration) (Receipt, error) {
	switch journaled, err := p.Wait(ctx, limit); {
	case err != nil:
		return Receipt{Durability: Memory}, &DurabilityError{Asked: Journaled, Got: Memory, Cause: err}
	case journaled:
		return Receipt{Durability: Journaled}, nil
	}
	return Receipt{Durability: Memory}, nil
}
