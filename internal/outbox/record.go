package outbox

import (
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"time"
)

// Kind is what a record wants done.
type Kind uint8

const (
	Set    Kind = iota // write Value, to live until Ends
	Delete             // remove the key: its owner said so
	Touch              // let the key live until Ends
	// Invalidate: the key was written, and its value is not known any more. What
	// is older goes; it is nobody's delete and leaves no tombstone.
	Invalidate
)

// Record is one write to one key.
type Record struct {
	Kind  Kind
	Key   string // as it is in Redis
	Class string // the prefix of its class in Redis: what is deleted when nothing else fits
	Value []byte
	// Ends is when the value expires, and Since when it was written, in
	// nanoseconds of the owner's clock. Of two writes of a key the one with the
	// later Since is newer.
	Ends  int64
	Since int64
	// Invalidate: put back as a delete (the value serves reads meanwhile).
	Invalidate bool

	// Lo and Hi are between when a master executed it, in milliseconds of its
	// clock; for one that was never sent, both are when it was made. Floor is the
	// Hi of this process' previous write of the key, 0 where none is known: one
	// that is too low only makes an order harder to tell.
	Lo, Hi, Floor int64
	// Late: it was sent and not answered, or an earlier write of the key was, so
	// that a master may execute it at any time. Priors are sums of values of the
	// key that are older than this write: of those earlier ones, and of what the
	// owner knew to be there.
	Late   bool
	Priors []string
	// TTL is the life that was asked for. Certain: the order against other
	// writers can be told from when keys expire.
	TTL     time.Duration
	Certain bool

	// Seq orders records and prefixes in a Box, which gives it.
	Seq uint64
}

// overhead is what a record costs beside its key and value.
const overhead = 200

func (r *Record) cost() int64 { return int64(len(r.Key)+len(r.Value)) + overhead }

// keyOnly is what is left of a record when its value has no room.
func (r Record) keyOnly() Record {
	r.Kind, r.Value, r.Ends, r.Invalidate = Invalidate, nil, 0, false
	return r
}

// removes reports whether the key is gone once it is carried out.
func (r *Record) removes() bool { return r.Kind == Delete || r.Kind == Invalidate }

// maxPriors bounds the earlier writes that are remembered. More of them only
// make an order harder to tell.
const maxPriors = 8

// heed notes that older, an earlier write of the key, may be executed still.
func (r *Record) heed(older *Record) {
	if !older.Late && len(older.Priors) == 0 {
		return
	}
	r.Late = r.Late || older.Late
	sums := slices.Clone(older.Priors)
	if older.Kind == Set && len(older.Value) > 0 {
		sums = append(sums, Sum(older.Value))
	}
	for _, sum := range r.Priors {
		if !slices.Contains(sums, sum) {
			sums = append(sums, sum)
		}
	}
	r.Priors = sums[max(0, len(sums)-maxPriors):]
}

// Sum is how a value is known again.
func Sum(value []byte) string {
	sum := sha1.Sum(value)
	return hex.EncodeToString(sum[:])
}

// floor is the Floor of a newer write of the key.
func (r *Record) floor() int64 { return max(r.Hi, r.Floor) }

// follow makes of r what its key has to hold after w too, which came later but
// need not be newer, and reports whether anything has changed. A Touch makes a
// Set live longer and leaves it as old as it is; it does nothing to a key that
// is to be gone.
func (r *Record) follow(w *Record) (changed bool) {
	switch {
	case w.Since < r.Since && r.Kind != Touch:
		return true
	case w.Since < r.Since: // r has touched what w wrote
		ends := r.Ends
		*r = *w
		r.prolong(ends)
		return true
	case w.Kind == Touch && r.removes():
		return false
	case w.Kind == Touch && r.Kind == Set:
		r.prolong(w.Ends)
		return true
	}
	older := *r
	floor, ends, touched := r.floor(), r.Ends, r.Kind == Touch && w.Kind == Touch
	if w.Since == r.Since { // the same write once more: it is not older than itself
		floor = r.Floor
	}
	*r = *w
	r.Floor = max(r.Floor, floor)
	if older.Since < r.Since {
		r.heed(&older)
	}
	if touched {
		r.prolong(ends)
	}
	return true
}

// prolong lets what the key holds live until ends at least.
func (r *Record) prolong(ends int64) {
	if !r.removes() {
		r.Ends = max(r.Ends, ends)
	}
}
