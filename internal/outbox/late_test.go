package outbox

import (
	"slices"
	"testing"
)

// A write that had no turn is kept while an older one of its key is on its way;
// the older one is given up only then. When that was says nothing about what another
// process wrote meanwhile: the newer one had been acknowledged before.
func TestAnOlderWriteThatIsGivenUpLaterLeavesTheNewer(t *testing.T) {
	b := New(10, 1<<20)
	newer, older := set("a", "newer"), set("a", "older")
	newer.Since, older.Since, older.Hi, older.Late, older.Sent = 20, 10, 99, true, End{7, 7}
	put(t, b, newer, older)
	got, ok := b.Record(newer.Key)
	if !ok || string(got.Value) != "newer" || got.Floor != 0 || !got.Late || len(got.Priors) != 1 {
		t.Errorf("what waits: %+v", got)
	}
}

// An older write is answered, given up or uncovered only after a newer one of its key was
// acknowledged at 12. What another process wrote between 12 and 20 came after that
// acknowledgement: no floor of the newer one may reach it, on whatever way it learns of
// the older one. But the older one's value is known, since it is ours.
func TestNoFloorIsTakenFromAWriteThatEndedAfterANewerWasAcknowledged(t *testing.T) {
	newer, older := set("a", "newer"), set("a", "older")
	newer.Since, newer.Lo, newer.Hi, newer.Prev = 20, 11, 12, End{3, 3}
	older.Since, older.Lo, older.Hi, older.Floor, older.Sent = 10, 5, 20, 4, End{7, 7}
	inBox := func(learn func(*Box)) func() Record {
		return func() Record {
			b := New(10, 1<<20)
			put(t, b, newer)
			learn(b)
			r, _ := b.Record(newer.Key)
			return r
		}
	}
	for name, learn := range map[string]func() Record{
		"taken late":    inBox(func(b *Box) { b.Taken(older) }),
		"given up late": inBox(func(b *Box) { put(t, b, older) }),
		"put back":      inBox(func(b *Box) { b.Return([]Record{older}, nil) }),
		"taken, then the newer one is replayed": func() Record {
			l := NewLedger(roomy)
			add(t, l, older, newer)
			rs, _ := l.Uncover(0)
			return rs[0]
		},
	} {
		r := learn()
		if string(r.Value) != "newer" || r.Floor != 4 || !slices.Contains(r.Known(), older.Sent) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Without the time of the newer one no floor is known to be before its acknowledgement.
func TestAWriteThatNoMasterHasSeenTakesNoFloorAfterwards(t *testing.T) {
	b := New(10, 1<<20)
	newer, older := set("a", "newer"), set("a", "older")
	newer.Since, older.Since, older.Hi, older.Floor = 20, 10, 20, 4
	put(t, b, newer)
	b.Taken(older)
	if r, _ := b.Record(newer.Key); r.Floor != 0 {
		t.Errorf("what waits: %+v", r)
	}
}

func TestAWriteThatMayBeExecutedLateIsRememberedByThoseAfterIt(t *testing.T) {
	late := set("a", "late")
	late.Since, late.Late, late.Sent = 1, true, End{1, 1}
	for name, put := range map[string]func(*Box, Record){
		"put in its place": func(b *Box, r Record) { _ = b.Put(late); _ = b.Put(r) },
		"put back under":   func(b *Box, r Record) { _ = b.Put(r); b.Return([]Record{late}, nil) },
	} {
		b := New(10, 1<<20)
		r := set("a", "newer")
		r.Since = 5
		put(b, r)
		if got, _ := b.Record(r.Key); !got.Late || len(got.Priors) != 1 || string(got.Value) != "newer" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	b := New(10, 1<<20)
	for i := range 3 * maxPriors {
		r := set("a", string(rune('a'+i)))
		r.Since, r.Late, r.Sent = int64(i+1), true, End{int64(i + 1), int64(i + 1)}
		put(t, b, r)
	}
	got, _ := b.Record(late.Key)
	if len(got.Priors) != maxPriors || slices.Contains(got.Priors, End{}) {
		t.Errorf("%d earlier writes are remembered", len(got.Priors))
	}
}
