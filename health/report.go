package health

import "time"

// Report is a snapshot of what the client knows. Taking it never dials and
// never waits.
type Report struct {
	State         State
	Since         time.Time // when State began
	Mode          Mode
	RequestedMode Mode // what the configuration asked for

	// Connected: a verified master answers; in a Cluster, that of every slot.
	Connected bool
	// Master is the address of the last verified master, or "".
	Master string
	// Cause says why Redis is not used at this moment; nil when it is.
	Cause error

	Findings []Finding

	// Sentinel is nil outside Sentinel mode, Cluster outside Cluster mode.
	Sentinel *Sentinel
	Cluster  *Cluster

	// Writes that wait for a master that takes them.
	OutboxEntries int
	OutboxBytes   int64
	// OutboxOldest is how long the oldest of them has waited.
	OutboxOldest time.Duration

	Feed     Feed
	Recovery Recovery
	Journal  Journal
	Clock    Clock

	// Certificates are the TLS client certificates that are read from files.
	Certificates []Certificate
}

// Certificate is a TLS client certificate in use.
type Certificate struct {
	Peer    string // who is shown it: redis, sentinel
	Expires time.Time
}

// Feed is what the announcements of others' changes (client-side caching) are
// worth.
type Feed struct {
	// On: the master announces what others change. Cause says why not.
	On    bool
	Cause error
	// Coherent: entries that the feed covers may be called coherent now. While Idle:
	// they could be when the master was asked last.
	Coherent bool
	// Idle: nobody has used the cache for some seconds, so the master is asked every
	// five seconds only. The next call has it asked at once.
	Idle bool
	// Lease is how long ago the last proof was that the feed is whole and its
	// master the only one; negative: there is none. Entries are coherent while
	// it is at most a second. While Idle it is up to some ten seconds.
	Lease time.Duration
	// Epoch rises whenever announcements may have been missed.
	Epoch     uint64
	Announced uint64 // changes by others, so far
	Flushes   uint64 // times that everything was gone or another: FLUSHALL (which may count twice), SWAPDB and the like
	Silences  uint64 // epochs that were ended because the feed did not answer
}

// Recovery is what is kept for a master that comes back, or another one, with
// less than we were told is stored, and what became of it.
type Recovery struct {
	// Unconfirmed writes are taken by the master, but not yet known to be held
	// by every replica that could be promoted.
	Unconfirmed       int
	UnconfirmedBytes  int64
	UnconfirmedOldest time.Duration
	// Ring is what is kept of the last minute beyond them.
	Ring      int
	RingBytes int64

	Uncovered     uint64 // writes that a next master did not have: sent again
	Superseded    uint64 // not sent again: another process had written since
	Invalidated   uint64 // deleted, because the order could not be told
	Evicted       uint64 // deleted, because Redis may have evicted what tells the order
	DroppedValues uint64 // unconfirmed writes that kept only their key, for want of room
	DroppedKeys   uint64 // those that kept only their class
	DatasetResets uint64 // times that Redis came back without its data
}

// Journal is the state of the file of Options.JournalDir of evercache.
type Journal struct {
	Enabled bool
	Entries int // that are kept
	Waiting int // those of them that no master has taken
	Bytes   int64
	// LiveBytes are those of the entries, and Limit bounds them. The file is at
	// most three times that, and is written anew when half of it is dead.
	LiveBytes, Limit int64
	// Refused counts writes that the file had no room for, RefusedAt is when the
	// last one was, and Unsaved how many of them wait in memory only.
	Refused   uint64
	RefusedAt time.Time
	Unsaved   int
	Err       error // why nothing can be kept at this moment; nil: it can
}

// Clock compares the clock of the master in use with ours.
type Clock struct {
	// Known: the master has told its time.
	Known bool
	// Ahead is how far its clock is ahead of ours, less than 0: behind. The truth is
	// not further from it than Uncertainty, which is what the way there and back
	// leaves open.
	Ahead, Uncertainty time.Duration
}
