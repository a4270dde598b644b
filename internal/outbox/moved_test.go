package outbox

import (
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// The clock of the first master showed 4000 to 4003 when that of the next one showed 9000
// to 9002.
var first, next = new(Clock), new(Clock)

func moved(r Record, byKey bool) (Record, Kin) {
	r.Carry(&Moved{By: first, At: 1, Low: 4000, High: 4003, ByKey: byKey})
	kin := r.To(next, 9000, 9002, 50, End{8990, 8991})
	return r, kin
}

// TestARecordThatMovesGetsTheTimesOfTheNextClock: what was written at 3900 by the first is
// written at 8897 to 8902 by the next.
func TestARecordThatMovesGetsTheTimesOfTheNextClock(t *testing.T) {
	for name, tt := range map[string]struct {
		record Record
		byKey  bool
		lo, hi int64
		floor  int64
		apart  End
	}{
		"keys by MIGRATE":             {Record{By: first, Lo: 3900, Hi: 3910, Floor: 3800}, true, 8897, 8912, 8797, End{3900, 8912}},
		"slots as a whole":            {Record{By: first, Lo: 3900, Hi: 3910, Floor: 3800}, false, 3900, 8912, 3800, End{3900, 8912}},
		"never sent":                  {Record{}, true, 8990, 8991, 0, End{3988, 8991}},
		"never sent, follows another": {Record{By: first, Floor: 3800}, true, 8990, 8991, 8797, End{3988, 8991}},
	} {
		r, _ := moved(tt.record, tt.byKey)
		if r.Lo != tt.lo || r.Hi != tt.hi || r.Floor != tt.floor || r.Apart != tt.apart || r.By != next || r.Moved != nil || !r.Carried {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestAFloorNeverRises: what is not after it counts as older, and is replaced.
func TestAFloorNeverRises(t *testing.T) {
	r := Record{By: first, Lo: 8999, Hi: 9000, Floor: 8000}
	r.Carry(&Moved{By: first, At: 1, Low: 9000, High: 9002, ByKey: true})
	r.To(next, 4000, 4003, 50, End{})
	if r.Floor != 2998 {
		t.Errorf("the floor is %d of a clock that is 5000 behind", r.Floor)
	}
}

// TestAValueThatHasMovedIsStillKnown: by its end with what the move may have added, and by
// itself.
func TestAValueThatHasMovedIsStillKnown(t *testing.T) {
	older := Record{By: first, Kind: Set, Value: []byte("old"), Lo: 3700, Hi: 3701, Sent: End{103_700, 103_700}, Since: 1}
	r := Record{Kind: Set, Value: []byte("new"), Since: 2, TTL: time.Hour}
	r.learn(&older)
	r, kin := moved(r, true)
	want := End{103_700 + 4997, 103_700 + 5002 + 50}
	if got := r.Earlier(); !slices.Equal(got, []End{want}) {
		t.Errorf("ends %v, want %v", got, want)
	}
	if !slices.Equal(kin.Sums, []string{Sum(older.Value)}) || kin.Ends.From != want.From || kin.Ends.To <= want.To+1000 {
		t.Errorf("%+v", kin)
	}
}

// TestWhatAnotherMayHaveWrittenIsNotOurs: what ends later than a write of ours would have,
// with the same life, is not the one before it only because it may have been long on its way.
func TestWhatAnotherMayHaveWrittenIsNotOurs(t *testing.T) {
	life := 100 * time.Second
	r := Record{By: first, Lo: 3710, Hi: 3711, TTL: life, Prev: End{103_700, 103_700}}
	r, _ = moved(r, true)
	youngest := r.Lo + life.Milliseconds() - 1
	if got := r.Earlier(); len(got) != 1 || got[0].To != youngest {
		t.Errorf("ends %v, want none after %d", got, youngest)
	}
}

// TestAWriteThatIsKeptAfterTheMoveHasMovedToo: it was sent to the first master before.
func TestAWriteThatIsKeptAfterTheMoveHasMovedToo(t *testing.T) {
	b := New(10, 1<<20)
	m := &Moved{By: first, At: 5, Low: 4000, High: 4003, ByKey: true}
	b.Carry(slot.SetOf(slot.Range{First: 7, Last: 7}), m, 5)
	for name, tt := range map[string]struct {
		r       Record
		carried bool
		m       *Moved
	}{
		"sent before":          {Record{By: first, Lo: 1, Hi: 2, Since: 4, Slot: 7}, true, m},
		"sent to the next one": {Record{By: next, Lo: 1, Hi: 2, Since: 4, Slot: 7}, true, nil},
		"never sent":           {Record{Since: 4, Slot: 7}, true, m},
		"made after the move":  {Record{By: next, Since: 6, Slot: 7}, false, nil},
		"of another slot":      {Record{By: first, Since: 4, Slot: 8}, false, nil},
	} {
		tt.r.Key, tt.r.Class = name, "c:"
		if err := b.Put(tt.r); err != nil {
			t.Fatal(err)
		}
		if got, _ := b.Record(name); got.Carried != tt.carried || got.Moved != tt.m {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAFloorOfAnotherClockIsNotTaken: a write knows when the one before it was made only
// by its own clock.
func TestAFloorOfAnotherClockIsNotTaken(t *testing.T) {
	older := Record{By: first, Kind: Set, Value: []byte("old"), Lo: 9000, Hi: 9001, Since: 1}
	r := Record{By: next, Kind: Set, Value: []byte("new"), Lo: 4000, Hi: 4001, Since: 2}
	r.learn(&older)
	if r.Floor != 0 {
		t.Errorf("the floor is %d", r.Floor)
	}
	r = Record{Kind: Set, Value: []byte("new"), Since: 2}
	r.learn(&older)
	if r.Floor != 9001 || r.By != first {
		t.Errorf("one that was never sent: floor %d", r.Floor)
	}
}
