package stats

import "time"

// Denylist is a snapshot of a denylist of package revoke.
type Denylist struct {
	Entries int  // in force in this process
	Ready   bool // a complete list has been read
	// AsOf is up to when everything is known, and Lag how long ago that was. Zero:
	// nothing is.
	AsOf time.Time
	Lag  time.Duration
	// Unconfirmed revocations of this process could still be lost by a failover,
	// and are sent again then; Untaken ones of them no master has taken yet, and
	// Unsaved ones of those no journal holds.
	Unconfirmed, Untaken, Unsaved int

	Revoked   uint64 // calls that brought something into force
	Taken     uint64 // of them, those that a master had in time
	Refused   uint64 // calls for which there was no room
	Snapshots uint64 // of the whole list
	Gaps      uint64 // in the stream
	Lost      uint64 // times that the list in Redis had lost something
	PutBack   uint64 // entries that Redis lacked
	Pruned    uint64 // entries that had expired in Redis
	Garbage   uint64 // things in Redis that are not ours

	// Dormant: the list is opened on demand, and nobody has used it. /health and
	// /metrics do not show it then.
	Dormant bool

	Strict       uint64 // strict checks that had to ask the master
	StrictFailed uint64 // of them, those that it did not answer in time
}
