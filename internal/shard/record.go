package shard

import (
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// What is written has one form in all layers: another one would be a copy for each
// write. These are the names under which the layer above knows it.
type (
	// Record is one write to one key.
	Record = outbox.Record
	// Kind is what a record wants done.
	Kind = outbox.Kind
	// End is when a key ends by a master's clock.
	End = outbox.End
)

// The kinds of writes that callers ask for.
const (
	KindSet        = outbox.Set
	KindDelete     = outbox.Delete
	KindTouch      = outbox.Touch
	KindInvalidate = outbox.Invalidate // of a write that waits: its value is not known any more
)

// MaxTTL bounds a time to live.
const MaxTTL = outbox.MaxTTL

// ErrTooLarge is why a value was not sent: the server does not take its size.
var ErrTooLarge = remote.ErrTooLarge

// Find finds the write that waits for a key, or the delete of its prefix.
func (st *Store) Find(full string) (Record, bool) {
	if st.Outbox.Empty() {
		return Record{}, false
	}
	return st.Outbox.Find(full)
}

// Waits reports whether a write of a key, or the delete of its prefix, waits.
func (st *Store) Waits(full string) bool {
	_, ok := st.Find(full)
	return ok
}
