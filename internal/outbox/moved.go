package outbox

import (
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// Clock is that of the masters of one shard of a Cluster. Others are known by other
// pointers.
type Clock struct {
	// Read tells what it shows; nil: nobody knows. It may be called from any goroutine.
	Read func() *Moved
}

// Moved is what the clock of the master that had a slot before has shown: At, of the
// owner's clock, between Low and High, in milliseconds. It is not to be changed.
type Moved struct {
	By            *Clock
	At, Low, High int64
	// ByKey: the keys moved one by one, so that each has kept the rest of its life, and
	// its end is by the next master's clock. Otherwise it may have kept its end too.
	ByKey bool
}

// Carry notes that the slot of r has another master. m is the clock of the one before, nil
// where it is not known.
func (r *Record) Carry(m *Moved) {
	r.Carried = true
	if r.Moved == nil && m != nil && (r.By == nil || r.By == m.By) {
		r.Moved = m
	}
}

// To gives the times of a record by the clock of the master that is to get it, which
// showed between low and high at the moment of r.Moved. made is when it was made, by that
// clock: the time of a record that was never sent. allowed is how much later, in
// milliseconds, a value that has moved seems to have been written. What it returns is known
// of values that are older than r and have moved.
//
// Values are dated by their ends. Where keys moved one by one these are of the new clock.
// Where they may have kept their ends, the time of the record is between both. A delete
// keeps its time anyway: see Apart.
func (r *Record) To(by *Clock, low, high, allowed int64, made End) Kin {
	m := r.Moved
	least, most := low-m.High, high-m.Low
	was, is := End{made.From - most, made.To - least}, made
	if r.Hi != 0 {
		was, is = End{r.Lo, r.Hi}, End{r.Lo + least, r.Hi + most}
	}
	r.Apart = r.Apart.with(was).with(is)
	if r.Hi != 0 && !m.ByKey {
		is = is.with(was)
	}
	r.Lo, r.Hi = is.From, is.To
	if r.Floor != 0 { // too low only makes an order harder to tell
		r.Floor += least
		if !m.ByKey {
			r.Floor = min(r.Floor, r.Floor-least)
		}
	}
	r.Prolonged = 0 // it is of the other clock
	r.Moved, r.By, r.Carried = nil, by, true
	return r.kin(m, least, most, allowed)
}

// Kin is what values that are older than a record and have moved are known by: one of
// Sums, and an end between two times.
type Kin struct {
	Ends End
	Sums []string
}

// slowest bounds how long a key may have been on its way to another master.
const slowest = time.Minute

// kin lets the ends that r knows be by the other clock. A value with the life of r that
// ends so late only by what is allowed for the move may be of another process, and younger.
func (r *Record) kin(m *Moved, least, most, allowed int64) (k Kin) {
	youngest := r.Lo + r.TTL.Milliseconds() - 1
	var moved []End
	for _, e := range r.Earlier() {
		there := End{e.From + least, e.To + most + allowed}
		k.Ends = k.Ends.with(End{there.From, e.To + most + r.onItsWay(e, m)})
		if there.From <= youngest {
			there.To = min(there.To, youngest)
		}
		moved = append(moved, there)
	}
	k.Sums = r.Sums
	if m.ByKey {
		r.Prev, r.Priors = End{}, nil
	}
	r.Priors = ends(r.Priors, moved)
	return k
}

// onItsWay is for how long a value that was to end at e may have been on its way to the
// other master at most: it was there when the slot was seen to have moved. With another
// life than that of r it may have been written at any time before.
func (r *Record) onItsWay(e End, m *Moved) int64 {
	written := e.To - r.TTL.Milliseconds()
	if written > m.High {
		return slowest.Milliseconds()
	}
	return min(m.High-written, slowest.Milliseconds())
}

// with is between all that either of them is.
func (e End) with(f End) End {
	switch {
	case e == (End{}):
		return f
	case f == (End{}):
		return e
	}
	return End{min(e.From, f.From), max(e.To, f.To)}
}

const (
	maxSums = 3       // values of a key that are known by themselves
	summed  = 1 << 20 // the longest of them
)

// Sum is what a value is known by: its SHA-1 in hexadecimal digits, as a script of Redis
// makes it.
func Sum(value []byte) string {
	sum := sha1.Sum(value)
	return hex.EncodeToString(sum[:])
}

// know remembers older, an earlier write of the key in a Cluster, by its value: when that
// moves it gets an end that nobody knows.
func (r *Record) know(older *Record) {
	sums := slices.Concat(older.Sums, r.Sums)
	if older.By != nil && older.Hi != 0 && older.Kind == Set && len(older.Value) <= summed {
		sums = append(sums, Sum(older.Value))
	}
	r.Sums = slices.Clip(sums[max(0, len(sums)-maxSums):])
}

// sameClock reports whether the times of both are of one clock. Those of a record without
// times are.
func (r *Record) sameClock(other *Record) bool { return r.By == other.By || r.Hi == 0 && r.By == nil }

// arrival is when a slot got another master, and what the clock of the one before showed.
type arrival struct {
	at int64
	m  *Moved
}

// Carry notes that the slots have another master since now, whose clock is not that by
// which what waits there was dated, or is still to be kept.
func (b *Box) Carry(slots *slot.Set, m *Moved, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arrived == nil {
		b.arrived = map[uint16]arrival{}
	}
	for s := range slots.All() {
		b.arrived[s] = arrival{now, m}
	}
	for _, e := range b.byKey {
		r := e.Value.(*Record)
		if !slots.Has(r.Slot) {
			continue
		}
		moved := *r // who has the record reads it without the lock
		moved.Carry(m)
		e.Value = &moved
	}
}

// carryLate is Carry for a record that is kept only after the move.
func (b *Box) carryLate(r *Record) {
	if a, ok := b.arrived[r.Slot]; ok && r.Since < a.at {
		r.Carry(a.m)
	}
}
