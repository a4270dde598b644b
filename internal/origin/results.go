package origin

import (
	"slices"
	"time"
)

const (
	// most is of how many keys the last results are kept, and lately how old they may be.
	most   = 256
	lately = 30 * time.Second
	// fewest is of how many keys loads must have failed before the circuit opens: some
	// keys that cannot be loaded say nothing about the others.
	fewest = 8
	// row is after how many keys that fail one after the other, and none that succeeds, it
	// opens whatever was before: an origin that has just gone down is not asked for longer.
	row = 32
)

// results are the last results of keys.
type results struct {
	keys []uint64 // hashes
	last []last   // of each of them
	next int      // the place that the next key takes when there are most
}

type last struct {
	at        int64
	successes uint64 // so far, of all keys
	failed    bool
}

// note takes the result of a key in place of the one before.
func (r *results) note(key uint64, l last) {
	i := slices.Index(r.keys, key)
	switch {
	case i >= 0:
		r.last[i] = l
	case len(r.keys) < most:
		r.keys, r.last = append(r.keys, key), append(r.last, l)
	default:
		r.keys[r.next], r.last[r.next] = key, l
		r.next = (r.next + 1) % most
	}
}

// long is before any time.
const long = -1 << 62

// forget lets a key not count.
func (r *results) forget(key uint64) {
	if i := slices.Index(r.keys, key); i >= 0 {
		r.last[i].at = long
	}
}

// forgetFailed lets those that succeeded last count only.
func (r *results) forgetFailed() {
	for i := range r.last {
		if r.last[i].failed {
			r.last[i].at = long
		}
	}
}

// mostFail reports whether loads fail for most keys, or have for many one after the other.
// successes is how many there were so far.
func (r *results) mostFail(successes uint64, now int64) bool {
	keys, failing, inRow := 0, 0, 0
	for _, l := range r.last {
		if l.at < now-int64(lately) {
			continue
		}
		keys++
		if l.failed {
			failing++
			if l.successes == successes {
				inRow++
			}
		}
	}
	return failing >= fewest && 2*failing > keys || inRow >= row
}
