package outbox

import (
	"slices"
	"time"
)

// MaxTTL bounds a time to live: a year.
const MaxTTL = 365 * 24 * time.Hour

// Kind is what a record wants done.
type Kind uint8

const (
	Set    Kind = iota // write Value, to live until Ends
	Delete             // remove the key: its owner said so
	Touch              // let the key end at Ends, sooner or later than it would
	// Invalidate: the key was written, and its value is not known any more. What
	// is older goes; it is nobody's delete and leaves no tombstone.
	Invalidate
)

// Record is one write to one key.
type Record struct {
	Kind Kind
	// Verify: every server that could become master had it, so it is most likely
	// there. Equal: nothing is to be done. Absent: it is put back. Anything else: the
	// usual rule. It is not counted as lost, and nothing is deleted for want of room
	// for it.
	Verify bool
	Slot   uint16 // of the key in a Cluster, given by who makes the record; 0 in other modes
	Undone uint8  // how often it was put back because something older stood in its place

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
	// Carried: its slot has another master than when it was made. What had been
	// written before has moved there too, and seems younger than it is.
	Carried bool

	// Lo and Hi are between when a master executed it, in milliseconds of its
	// clock; for one that was never sent, both are when it was made. Floor is the
	// Hi of this process' previous write of the key, 0 where none is known: one
	// that is too low only makes an order harder to tell.
	Lo, Hi, Floor int64
	// Prolonged is the Hi of a Touch that was merged into it, 0: none. What others had
	// written by then is older than the owner's next write, but not than this one.
	Prolonged int64
	// By is the clock that they are of; nil: there is one only, or they are not known.
	// Moved is what that clock showed when the slot of the record got another master;
	// nil: it has none, or that was not seen. See Record.To.
	By    *Clock
	Moved *Moved
	// Apart are the times by all clocks by which others may have dated their deletes;
	// zero: By is the only one.
	Apart End
	// Late: it was sent and not answered, or an earlier write of the key was, so
	// that a master may execute it at any time.
	Late bool
	// Sent is the end that the value got when it was sent: with it the value is
	// known again in Redis. Prev and Priors are those of values that are older
	// than this write: of the owner's earlier ones, and of what it knew to be there.
	Sent   End
	Prev   End
	Priors []End
	// Sums are of those values themselves, as far as they are known: see Sum.
	Sums []string
	// TTL is the life that was asked for last: by a Touch, where one was merged into
	// a Set. Mixed: the owner has written the class with several, so the end of a key
	// alone tells little, and Priors are kept.
	TTL   time.Duration
	Mixed bool

	// Evictions is the owner's generation of what servers had evicted when it was
	// made, 0: not known.
	Evictions uint64

	// Seq orders records and prefixes in a Box, which gives it.
	Seq uint64
}

// overhead is what a record costs beside its key and value.
const overhead = 320

func (r *Record) cost() int64 { return int64(len(r.Key)+len(r.Value)) + overhead }

// keyOnly is what is left of a record when its value has no room.
func (r Record) keyOnly() Record {
	r.Kind, r.Value, r.Ends, r.Invalidate = Invalidate, nil, 0, false
	return r
}

// removes reports whether the key is gone once it is carried out.
func (r *Record) removes() bool { return r.Kind == Delete || r.Kind == Invalidate }

// End is when a key ends by a master's clock, in milliseconds, as between the
// two. Two writes of a key have the same only if they came in the same
// millisecond, or their lives differ by just what their times do. Zero: unknown.
type End struct{ From, To int64 }

// maxPriors bounds the earlier writes that are remembered. More of them only
// make an order harder to tell.
const maxPriors = 8

// learn is for a write that is kept, and came after older.
func (r *Record) learn(older *Record) {
	if r.sameClock(older) {
		r.Floor = max(r.Floor, older.floor())
	}
	r.heed(older)
	r.know(older)
}

// heed remembers older, an earlier write of the key: Redis may hold its value,
// or come to hold it only now.
func (r *Record) heed(older *Record) {
	if r.By == nil && older.By != nil && r.Hi == 0 { // what it learns is of that clock
		r.By, r.Moved = older.By, older.Moved
	}
	was := older.Sent
	if was == (End{}) {
		was = older.Prev
	}
	if r.Prev == (End{}) {
		r.Prev = was
	}
	if !older.Late && len(older.Priors) == 0 && !r.Mixed {
		return
	}
	r.Late = r.Late || older.Late
	r.Priors = ends(older.Priors, []End{older.Prev, older.Sent}, r.Priors)
}

// SendAgain notes that the write gets another end: the one that it had may be
// given by a master that executes it late.
func (r *Record) SendAgain(end End) {
	if r.Sent != end && r.Sent != (End{}) {
		r.Priors = ends(r.Priors, []End{r.Sent})
	}
	r.Sent = end
}

// MaxKnown bounds Known.
const MaxKnown = maxPriors

// Known are the ends of values that are not newer than the write: earlier ones of
// its key, and its own.
func (r *Record) Known() []End {
	return ends(r.Priors, []End{r.Prev, r.Sent})
}

// Earlier is Known without the end that it was sent with last: that of a value which is
// not the one of this write tells that another process wrote in the same millisecond.
func (r *Record) Earlier() []End {
	return ends(r.Priors, []End{r.Prev})
}

// KnownIn is Known in the caller's room where that is enough.
func (r *Record) KnownIn(room []End) []End {
	if len(r.Priors) > 0 {
		return r.Known()
	}
	for _, e := range [...]End{r.Prev, r.Sent} {
		if e != (End{}) && !slices.Contains(room, e) {
			room = append(room, e)
		}
	}
	return room
}

// ends puts lists together, each end once, the last ones where they are too many.
func ends(lists ...[]End) (all []End) {
	for _, e := range slices.Concat(lists...) {
		if e != (End{}) && !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all[max(0, len(all)-maxPriors):]
}

// floor is the Floor of a newer write of the key that is still to be acknowledged: what
// others have written up to now came before that acknowledgement.
func (r *Record) floor() int64 { return max(r.Hi, r.Floor, r.Prolonged) }

// yielded is what a write learns of an older one of its key after it may have been
// acknowledged itself: that one was answered or given up only then. What another process
// wrote meanwhile may be the newest of all. So a time counts as a floor only where it is
// not later than the write's own Hi, at which it was not acknowledged yet. A write that
// no master has seen has none. The value that the older one has left is known by its end.
func (r *Record) yielded(older *Record) {
	for _, at := range [...]int64{older.Hi, older.Floor, older.Prolonged} {
		if at <= r.Hi && r.sameClock(older) {
			r.Floor = max(r.Floor, at)
		}
	}
	r.heed(older)
	if older.Hi > r.Hi && r.Prev != older.Sent {
		r.Priors = ends(r.Priors, []End{older.Sent})
	}
}

// follow makes of r what its key has to hold after w too, which came later but
// need not be newer, and reports whether anything has changed. A Touch gives a
// Set another end and leaves it as old as it is; it does nothing to a key that
// is to be gone.
func (r *Record) follow(w *Record) (changed bool) {
	switch {
	case w.Since < r.Since && r.Kind != Touch:
		return true
	case w.Since < r.Since && w.Kind == Touch:
		return true
	case w.Since < r.Since: // r has touched what w wrote
		touch := *r
		*r = *w
		r.TakeEnd(&touch)
		return true
	case w.Kind == Touch && r.removes():
		return false
	case w.Kind == Touch && r.Kind == Set:
		r.TakeEnd(w)
		return true
	}
	older := *r
	*r = *w
	if w.Since == older.Since { // the same write once more: it is not older than itself
		r.Floor, r.Prolonged = max(r.Floor, older.Floor), max(r.Prolonged, older.Prolonged)
		r.Verify = r.Verify && older.Verify
	} else {
		r.yielded(&older) // a replay sends what was acknowledged long ago
	}
	return true
}

// TakeEnd gives a Set the end of a Touch that came later. Its end does not tell
// any more when it was written.
func (r *Record) TakeEnd(touch *Record) {
	if !r.removes() {
		r.Ends, r.TTL, r.Mixed = touch.Ends, touch.TTL, true
		r.Verify = r.Verify && touch.Verify
		if r.sameClock(touch) {
			r.Prolonged = max(r.Prolonged, touch.Hi, touch.Prolonged)
		}
	}
}

// Touched reports whether the end tells no more when the value was written: it is
// that of a Touch.
func (r *Record) Touched() bool {
	return r.Kind == Touch || r.Kind == Set && r.Ends-r.Since != int64(r.TTL)
}
