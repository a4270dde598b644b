package soak_test

import (
	"sync/atomic"
	"time"
)

// settles is how long after a master's acknowledgement no other process may call an
// older value coherent, and a little more (see evercache.Entry.Coherent).
const settles = 1300 * time.Millisecond

// deleteEvery: each so manieth version of a row is a delete. A row that is deleted is asked for
// in Redis, so there are to be few.
const deleteEvery = 53

// A row is one key. One worker writes it, so the order of its versions is known: each
// write takes the next number.
type row struct {
	begun atomic.Uint64 // is being written, or was
	told  atomic.Uint64 // was acknowledged
	// settled was acknowledged by a master so long ago that everybody has to know.
	settled atomic.Uint64

	landed   uint64 // waits to become settled; the writer's
	landedAt time.Time
}

func deletes(version uint64) bool { return version%deleteEvery == 0 }

// land notes that a master has acknowledged a version.
func (r *row) land(version uint64, now time.Time) {
	r.settle(now)
	if r.landed == 0 {
		r.landed, r.landedAt = version, now
	}
}

// settle is called by the writer now and then.
func (r *row) settle(now time.Time) {
	if r.landed != 0 && now.Sub(r.landedAt) > settles {
		r.settled.Store(r.landed)
		r.landed = 0
	}
}

// fault is what is wrong with an answer.
type fault string

const (
	fine      fault = ""
	older     fault = "an older version was answered to the process that wrote the newer one"
	stale     fault = "an older version was called coherent more than a second later"
	unwritten fault = "a version was answered that nobody has written"
	undone    fault = "a version was answered that is a delete"
	missing   fault = "a value is missing in the process that wrote it"
)

// answer is what a read has said.
type answer struct {
	found    bool
	version  uint64
	coherent bool
}

// judge compares an answer with the versions that were possible: least was known before
// the read began, most was begun when it ended. own: least was written by the process
// that reads.
func judge(a answer, own bool, least, most uint64) fault {
	switch {
	case !a.found && own && !deletesBetween(least, most):
		return missing
	case !a.found:
		return fine
	case a.version > most || a.version == 0:
		return unwritten
	case deletes(a.version):
		return undone
	case a.version >= least:
		return fine
	case own:
		return older
	case a.coherent:
		return stale
	}
	return fine
}

// deletesBetween reports whether a key may hold nothing: one of the versions is a delete,
// or nothing was written yet.
func deletesBetween(least, most uint64) bool {
	return least == 0 || most/deleteEvery > (least-1)/deleteEvery
}
