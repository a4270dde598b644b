package chaos

import (
	"context"

	"github.com/evercache/evercache"
)

// Store is the cache or client under test. It is called from many goroutines.
type Store interface {
	// Set writes a key. The Ack says what an answer without an error means.
	Set(ctx context.Context, key, value string) (Ack, error)
	// Get reads a key that was written before; that it is not there is an error.
	Get(ctx context.Context, key string) (value string, err error)
}

// Ack is what a write was answered.
type Ack uint8

const (
	// Failed: an error, and the write may or may not have happened.
	Failed Ack = iota
	// Refused: an error that says that the write was not taken.
	Refused
	// Kept: acknowledged, though no master has it yet.
	Kept
	// Landed: acknowledged by a master.
	Landed
)

// Acknowledged reports whether the caller was told that the write is stored.
func (a Ack) Acknowledged() bool { return a >= Kept }

// AckOf is what a write of evercache was answered.
func AckOf(r evercache.Receipt, err error) (Ack, error) {
	switch {
	case evercache.IsUnavailable(err):
		return Refused, err
	case err != nil:
		return Failed, err
	case r.Durability >= evercache.Master:
		return Landed, nil
	}
	return Kept, nil
}
