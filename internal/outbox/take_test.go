package outbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/internal/slot"
)

func in(s uint16, r Record) Record {
	r.Slot = s
	return r
}

func only(slots ...uint16) *slot.Set {
	s := &slot.Set{}
	for _, n := range slots {
		s.Add(n)
	}
	return s
}

func TestTakeLeavesNothingOfItsSlots(t *testing.T) {
	t.Parallel()
	l := NewLedger(roomy)
	add(t, l, in(7, at(1, set("ring", "1"))), in(8, at(2, set("stays in the ring", "1"))))
	l.AddPrefix(Prefix{Text: "d:", Since: 3}, 1, 3)
	l.Confirm(barrier(t, l), 4)
	l.AddPrefix(Prefix{Text: "e:", Since: 5}, 1, 5)
	l.bounds.Bytes = roomFor(del("bare"), set("full", "1"), set("b", "1"))
	add(t, l, in(7, at(6, set("bare", "without room"))), in(7, at(8, set("full", "1"))), in(8, at(9, set("b", "1"))))
	rs, ps := l.Take(only(7, 9), 0)
	got := []string{}
	for _, r := range rs {
		got = append(got, fmt.Sprint(say(r), " verify ", r.Verify))
	}
	for _, p := range ps {
		got = append(got, fmt.Sprint(p.Text, " in ", p.Slots, " verify ", p.Verify))
	}
	want := []string{
		"set ring=1 until 1000 verify true", "invalidate bare verify false", "set full=1 until 1000 verify false",
		"d: in 7 9 verify true", "e: in 7 9 verify false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"delete d:* of 3", "delete e:* of 5", "set stays in the ring=1 until 1000", "set b=1 until 1000"}, uncovered(l, 0)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if d := l.Depth(); d.Unconfirmed != 0 || d.Ring != 0 || d.Bytes != 0 || d.RingBytes != 0 {
		t.Errorf("the sums are wrong: %+v", d)
	}
}

func TestAnAcknowledgementOfASlotThatHasLeftIsRefused(t *testing.T) {
	t.Parallel()
	l := NewLedger(roomy)
	before := l.Generation()
	taken := func(s uint16, generation uint32) bool {
		_, ok := l.AddIn(in(s, set("a", "1")), 1, generation, 1)
		return ok
	}
	if l.Give(only(7)); !taken(7, before) {
		t.Error("a slot that never left is refused")
	}
	l.Take(only(7), 0)
	if taken(7, before) || taken(7, l.Generation()) || !taken(8, before) {
		t.Error("after Take the slot must be refused, and no other")
	}
	l.Give(only(7, 8))
	if _, ok := l.Add(in(7, set("a", "1")), 1, 1); ok || taken(7, before) {
		t.Error("what was sent before the slot left is taken up after it has come back")
	}
	if !taken(7, l.Generation()) || !taken(8, before) {
		t.Error("what was sent since is refused")
	}
	there := l.Generation()
	l.Take(only(9), 0)
	if !taken(7, there) {
		t.Error("another slot that leaves refuses it")
	}
}

func TestAPrefixKnowsWhichSlotsLeftWhileItWasDeleted(t *testing.T) {
	t.Parallel()
	l := NewLedger(roomy)
	began := l.Generation()
	l.Take(only(7), 0)
	l.Take(only(8), 0)
	l.Give(only(8))
	_, left, ok := l.AddPrefixesIn([]Prefix{{Text: class, Since: 1}}, 1, began, 1)
	if !ok || left == nil || *left != *only(7, 8) {
		t.Errorf("left: %v, %v", left, ok)
	}
	_, left, _ = l.AddPrefixesIn([]Prefix{{Text: class, Since: 1}}, 1, l.Generation(), 1)
	if left != nil {
		t.Errorf("nothing has left since, but %v", left)
	}
}

// What the next owner has taken already is not hidden by what the last one had.
func TestWhatTheNextOwnerHasOvertakesWhatComesBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		held []Record
		back Record
		want []string
	}{
		{"nothing", nil, at(5, set("a", "5")), []string{"set a=5 until 1000"}},
		{"an older write", []Record{at(4, set("a", "4"))}, at(5, set("a", "5")), []string{"set a=5 until 1000"}},
		{"a newer write", []Record{at(6, set("a", "6"))}, at(5, set("a", "5")), []string{}},
		{"the same", []Record{at(5, set("a", "5"))}, at(5, set("a", "5")), []string{}},
		{"a newer delete", []Record{at(6, del("a"))}, at(5, set("a", "5")), []string{}},
		{"a touch", []Record{at(6, touch("a"))}, at(5, set("a", "5")), []string{"set a=5 until 2000"}},
		{"a newer touch of a touch", []Record{at(6, touch("a"))}, at(5, touch("a")), []string{}},
	} {
		l, box := NewLedger(roomy), New(9, 9999)
		add(t, l, tt.held...)
		tt.back.Sent = End{7, 7}
		box.ReturnTo([]Record{tt.back}, nil, l.Overtakes)
		if diff := cmp.Diff(tt.want, append([]string{}, waiting(box)...)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if r, ok := l.Record(class + "a"); ok && r.Since > 5 && r.Kind != Touch && !slices.Contains(r.Known(), End{7, 7}) {
			t.Errorf("%s: what is held does not know the value that came back: %+v", tt.name, r)
		}
	}
	l, box := NewLedger(roomy), New(9, 9999)
	l.AddPrefix(Prefix{Text: class, Since: 6}, 1, 6)
	box.ReturnTo([]Record{at(5, set("a", "5")), at(5, touch("b")), at(7, set("d", "7"))}, nil, l.Overtakes)
	if diff := cmp.Diff([]string{"invalidate a", "set d=7 until 1000"}, waiting(box)); diff != "" {
		t.Error(diff)
	}
}

// A writer that finds the Box empty tells it nothing. So it must not be empty while it
// asks the ledger.
func TestAWriteBesideReturnToIsSeenByOneOfThem(t *testing.T) {
	t.Parallel()
	l, box, done := NewLedger(roomy), New(9, 9999), make(chan struct{})
	box.ReturnTo([]Record{at(5, set("a", "5"))}, nil, func(r *Record) bool {
		void := l.Overtakes(r)
		newer := at(6, set("a", "6"))
		add(t, l, newer)
		go func() {
			defer close(done)
			box.Taken(newer)
		}()
		if box.Empty() {
			t.Error("nobody would tell the box")
		}
		return void
	})
	<-done
	if got := waiting(box); len(got) != 0 {
		t.Errorf("an older write hides a newer one: %v", got)
	}
}

func verify(r Record) Record {
	r.Verify = true
	return r
}

func TestWhatIsToBeVerifiedTakesNoRoom(t *testing.T) {
	t.Parallel()
	a, b := at(1, set("a", "1")), at(2, set("b", "2"))
	box := New(9, roomFor(a, b))
	put(t, box, at(9, set("x", "9")))
	box.Return([]Record{verify(a), verify(b)}, nil)
	d := box.Depth()
	if diff := cmp.Diff([]string{"set b=2 until 1000", "set x=9 until 1000"}, waiting(box)); diff != "" || d.Unverified != 1 || d.Overflowed != 0 || d.Verify != 1 {
		t.Errorf("%+v: %s", d, diff)
	}
	put(t, box, at(10, set("y", "9"))) // has the room of b
	if diff := cmp.Diff([]string{"set b=2 until 1000", "set x=9 until 1000", "set y=9 until 1000"}, waiting(box)); diff != "" {
		t.Error(diff)
	}
	put(t, box, at(11, touch("b"))) // has no room, and the value is not deleted for it
	if r, _ := box.Record(class + "b"); r.Kind != Set || r.Ends != 1000 || box.Depth().Overflowed != 1 {
		t.Errorf("after a touch: %+v", r)
	}
	box.Done(class+"y", box.seq)
	put(t, box, at(12, touch("b")))
	if r, _ := box.Record(class + "b"); r.Verify || r.Ends != 2000 || box.Depth().Verify != 0 {
		t.Errorf("no master has this end, but it is to be verified: %+v", r)
	}
	for _, key := range []string{"b", "x"} {
		box.Done(class+key, box.seq)
	}
	if d := box.Depth(); box.verify.entries != 0 || box.verify.bytes != 0 || d.Bytes != 0 {
		t.Errorf("the sums are wrong: %+v %+v", box.verify, d)
	}
}

func TestOlderWritesDoNotComeAfterWhatHadNoRoomToBeVerified(t *testing.T) {
	t.Parallel()
	box := New(9, roomFor(set("a", "1")))
	put(t, box, at(1, set("a", "1")))
	box.Return([]Record{verify(at(5, set("a", "a longer one")))}, nil)
	if got := waiting(box); len(got) != 0 {
		t.Errorf("%v waits", got)
	}
	box.most = 0
	put(t, box, at(1, set("a", "1")))
	box.Return([]Record{at(2, set("b", "1"))}, []Prefix{{Text: class, Since: 5, Verify: true}})
	if d := box.Depth(); d.Entries != 0 || d.Unverified != 2 || d.Overflowed != 0 {
		t.Errorf("%v waits: %+v", waiting(box), d)
	}
}

func TestWhatIsUncertainOnceMoreIsNotMerelyVerified(t *testing.T) {
	t.Parallel()
	box := New(9, 9999)
	a := at(1, set("a", "1"))
	box.Return([]Record{verify(a)}, nil)
	box.Return([]Record{a}, nil)
	if r, _ := box.Record(a.Key); r.Verify {
		t.Error("a master has lost it since")
	}
	l := NewLedger(roomy)
	add(t, l, verify(a))
	if r, _ := l.Record(a.Key); r.Verify {
		t.Error("the next master may lose it")
	}
}

// keyIn is a key of the class in another slot than those.
func keyIn(not ...uint16) string {
	for i := 0; ; i++ {
		if key := fmt.Sprint(class, i); !slices.Contains(not, slot.Of(key)) {
			return key
		}
	}
}

func TestAPrefixOfSomeSlotsConcernsOnlyTheirKeys(t *testing.T) {
	t.Parallel()
	mine := keyIn()
	other := keyIn(slot.Of(mine))
	record := func(key string, since int64) Record {
		return Record{Key: key, Class: class, Value: []byte("v"), Ends: 1000, Since: since, Slot: slot.Of(key)}
	}
	box := New(9, 9999)
	put(t, box, record(mine, 1), record(other, 1))
	box.Return(nil, []Prefix{{Text: class, Since: 5, Slots: only(slot.Of(mine))}})
	if _, ready := box.Ready(other); !ready || !box.Covered(mine) || box.Covered(other) {
		t.Error("it counts in other slots too, or not in its own")
	}
	if r, _ := box.Find(mine); r.Kind != Delete {
		t.Errorf("what it deletes still waits: %+v", r)
	}
	put(t, box, Record{Kind: Touch, Key: mine, Class: class, Since: 9, Ends: 2000, Slot: slot.Of(mine)})
	if r, ok := box.Record(mine); !ok || r.Kind != Touch {
		t.Error("a touch of what may have been written since is lost")
	}
	if r, _ := box.Find(mine); r.Kind != Delete {
		t.Errorf("a touch hides the delete: %+v", r)
	}
	put(t, box, record(mine, 12))
	box.Return(nil, []Prefix{{Text: class, Since: 11, Slots: only(slot.Of(other))}})
	if r, ok := box.Record(mine); !ok || r.Kind != Set {
		t.Error("a younger delete has taken a newer value")
	}
	if p := box.Prefixes()[0]; p.Joined || p.Since != 11 || !p.Slots.Has(slot.Of(mine)) || !p.Slots.Has(slot.Of(other)) {
		t.Errorf("%+v", p)
	}
	putPrefix(t, box, class)
	if p := box.Prefixes()[0]; p.Slots != nil || p.Joined {
		t.Errorf("the delete in all slots is not the only one: %+v", p)
	}
}

// TestDeletesOfOnePrefixInSomeSlotsStayDeletes: whoever asks for the later one asks for all
// that the earlier deletes. What it deleted must not be sent again, whatever came together
// with it.
func TestDeletesOfOnePrefixInSomeSlotsStayDeletes(t *testing.T) {
	t.Parallel()
	a, b := keyIn(), keyIn(slot.Of(keyIn()))
	inA, inB := only(slot.Of(a)), only(slot.Of(b))
	both := *inA
	both.AddSet(inB)
	record := func(key string, since int64) Record {
		return Record{Key: key, Class: class, Value: []byte("v"), Ends: 1000, Since: since, Slot: slot.Of(key)}
	}
	for name, tt := range map[string]struct{ waits, comes Prefix }{
		"an older one of another slot comes":   {Prefix{Text: class, Since: 9, Slots: inA}, Prefix{Text: class, Since: 5, Slots: inB}},
		"a younger one of another slot comes":  {Prefix{Text: class, Since: 5, Slots: inB}, Prefix{Text: class, Since: 9, Slots: inA}},
		"an older one of more slots comes":     {Prefix{Text: class, Since: 9, Slots: inA}, Prefix{Text: class, Since: 5, Slots: &both}},
		"an older one comes that was joined":   {Prefix{Text: class, Since: 9, Slots: inA}, Prefix{Text: class, Since: 5, Slots: inB, Joined: true}},
		"one that was joined waits everywhere": {Prefix{Text: class, Since: 5, Joined: true}, Prefix{Text: class, Since: 9}},
	} {
		box, l := New(9, 9999), NewLedger(roomy)
		box.Return(nil, []Prefix{tt.waits})
		l.AddPrefixes([]Prefix{tt.waits}, l.Epoch(), 1)
		box.Return([]Record{record(a, 8), record(b, 12)}, []Prefix{tt.comes})
		l.AddPrefixes([]Prefix{tt.comes}, l.Epoch(), 1)
		if r, ok := box.Record(a); ok {
			t.Errorf("%s: a deleted value is to be sent again: %+v", name, r)
		}
		if _, ok := box.Record(b); !ok {
			t.Errorf("%s: what was written later is dropped", name)
		}
		if ps := box.Prefixes(); len(ps) != 1 || ps[0].Joined || ps[0].Since != 9 || !ps[0].Reaches(a) {
			t.Errorf("%s: %+v", name, ps)
		}
		if p := l.heldPrefix(class); p == nil || p.Joined || p.Since != 9 {
			t.Errorf("%s: the ledger holds %+v", name, p)
		}
	}
}

// TestAnOldPrefixDoesNotGoWithSlotsForever: each move would begin its time anew, and outlive
// what was written right after it.
func TestAnOldPrefixDoesNotGoWithSlotsForever(t *testing.T) {
	t.Parallel()
	age := int64(roomy.RingAge)
	for name, tt := range map[string]struct {
		now       int64
		confirmed bool
		want      int
	}{"young": {age, true, 1}, "old": {age + 11, true, 0}, "old and not confirmed": {age + 11, false, 1}} {
		l := NewLedger(roomy)
		l.AddPrefix(Prefix{Text: class, Since: 10}, l.Epoch(), tt.now)
		if n := barrier(t, l); tt.confirmed {
			l.Confirm(n, tt.now)
		}
		if _, ps := l.Take(only(7), tt.now); len(ps) != tt.want {
			t.Errorf("%s: %+v go with the slots", name, ps)
		}
	}
}

func TestPrefixesReferToFewSetsOfSlots(t *testing.T) {
	t.Parallel()
	box, l := New(1000, 1<<20), NewLedger(roomy)
	for i := range uint16(500) {
		ps := []Prefix{{Text: fmt.Sprint(class, i), Since: 5, Slots: only(i)}, {Text: "same", Since: 5, Slots: only(i)}}
		box.Return(nil, ps)
		l.AddPrefixes(ps, 1, 1)
	}
	sets, held := map[*slot.Set]bool{}, map[*slot.Set]bool{}
	for p := range box.eachPrefix {
		sets[p.Slots] = true
	}
	for p := range l.eachPrefix {
		held[p.Slots] = true
	}
	if len(sets) > maxSlotSets+1 || len(held) > maxSlotSets+1 {
		t.Errorf("%d sets in the box, %d in the ledger", len(sets), len(held))
	}
	for i := range uint16(500) {
		key := fmt.Sprint(class, i)
		p := box.prefixes.get(key)
		if p == nil || !p.Slots.Has(i) {
			t.Fatalf("%s does not count in its slot any more", key)
		}
		if p.Joined {
			t.Fatalf("%s makes no record void any more", key)
		}
	}
}

// naiveTake is Take and Give of a naiveLedger; since is the tenure of each slot.
type naiveTake struct {
	*naiveLedger
	generation uint32
	since      map[uint16]uint32
	away       map[uint16]bool
}

func (n *naiveTake) Take(s uint16) (rs []Record) {
	n.generation++
	n.since[s], n.away[s] = n.generation, true
	n.all = slices.DeleteFunc(n.all, func(e noted) bool {
		if e.Rec.Slot == s {
			r := e.Rec
			r.Verify = e.Ring
			rs = append(rs, r)
		}
		return e.Rec.Slot == s
	})
	return inOrder(slices.SortedFunc(slices.Values(rs), func(a, b Record) int { return cmpInt(a.Since, b.Since) }))
}

func TestTakeDoesWhatANaiveOneDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 6))
		bounds := LedgerBounds{1 + r.IntN(16), r.Int64N(14 * (overhead + 40)), r.Int64N(10 * overhead), time.Duration(1 + r.IntN(100))}
		l := NewLedger(bounds)
		n := &naiveTake{&naiveLedger{bounds: bounds, epoch: 1, next: 1, base: 1, shard: func(key string) int { return shardIndex(l, key) }}, 0, map[uint16]uint32{}, map[uint16]bool{}}
		for now := int64(100); now <= 400; now++ {
			key := pick(r, allKeys)
			s := slot.Of(key)
			switch r.IntN(8) {
			case 0:
				got, _ := l.Take(only(s), 0)
				if want := n.Take(s); !slices.EqualFunc(want, inOrder(got), sameRecord) {
					t.Fatalf("seed %d, at %d: Take(%d) = %+v, want %+v", seed, now, s, got, want)
				}
			case 1:
				l.Give(only(s))
				if n.away[s] {
					n.since[s] = n.generation
				}
				n.away[s] = false
			case 2, 3, 4, 5:
				rec := randomRecord(r, now)
				rec.Slot = slot.Of(rec.Key)
				sent := uint32(r.IntN(int(n.generation) + 1))
				_, ok := l.AddIn(rec, n.epoch, sent, now)
				want := !n.away[rec.Slot] && sent >= n.since[rec.Slot]
				if ok != want {
					t.Fatalf("seed %d, at %d: AddIn in %d = %v", seed, now, sent, ok)
				}
				if ok {
					n.Add(rec, n.epoch, now)
				}
			case 6:
				l.NextBarrier(n.epoch)
				n.NextBarrier(n.epoch)
			default:
				l.Confirm(n.next-1, now)
				n.Confirm(n.next-1, now)
			}
			if diff := compareLedgers(l, n.naiveLedger); diff != "" {
				t.Fatalf("seed %d, at %d (-want +got):\n%s", seed, now, diff)
			}
		}
	}
}

// Every write that is taken up before a Take comes out of it, though writers do not stop.
func TestNothingEntersBehindTheBackOfTake(t *testing.T) {
	t.Parallel()
	l := NewLedger(LedgerBounds{Entries: 1 << 20, Bytes: 1 << 30})
	const writers, each = 4, 1000
	took := make(chan string, writers*each)
	ended := make(chan struct{})
	for w := range writers {
		go func() {
			for i := range each {
				r := in(uint16(i%3), set(fmt.Sprint(w, " ", i), "v"))
				if _, ok := l.AddIn(r, 1, l.Generation(), int64(i)); ok {
					took <- r.Key
				}
			}
			ended <- struct{}{}
		}()
	}
	out := map[string]bool{}
	takeAll := func() {
		rs, _ := l.Take(only(0, 1, 2), 0)
		for _, r := range rs {
			out[r.Key] = true
		}
		for i := range l.shards {
			l.shards[i].mu.Lock()
			if n := len(l.shards[i].entries); n > 0 {
				t.Errorf("%d records entered after their slots were gone", n)
			}
			l.shards[i].mu.Unlock()
		}
		l.Give(only(0, 1, 2))
	}
	for left := writers; left > 0; {
		select {
		case <-ended:
			left--
		default:
			takeAll()
		}
	}
	takeAll()
	close(took)
	for key := range took {
		if !out[key] {
			t.Fatalf("%q was taken up and came out of no Take", key)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	const n = 100_000
	for _, slots := range []int{1, 100, slot.Count} {
		b.Run(fmt.Sprint(slots, " slots of 100000 records"), func(b *testing.B) {
			l := NewLedger(LedgerBounds{Entries: 1 << 20, Bytes: 1 << 30, RingBytes: 1 << 30, RingAge: time.Hour})
			set := slot.SetOf(slot.Range{First: 0, Last: uint16(slots - 1)})
			fill := func() {
				for i := range n {
					key := fmt.Sprintf("app:class:%d", i)
					l.AddIn(Record{Key: key, Class: "app:class:", Value: noValues, Ends: 1 << 40, Since: int64(i), Slot: slot.Of(key)}, 1, l.Generation(), 1)
				}
			}
			for b.Loop() {
				b.StopTimer()
				l.Give(set)
				fill()
				b.StartTimer()
				l.Take(set, 0)
			}
		})
	}
}

// A delete of a prefix in some slots, beside an earlier one in others, becomes one that makes
// no record void. But it was carried out, and what it has deleted must not come back.
func TestADeleteInSomeSlotsForgetsWhatItHasDeleted(t *testing.T) {
	l := NewLedger(LedgerBounds{Entries: 10, Bytes: 1 << 20, RingBytes: 1 << 20, RingAge: time.Minute})
	one, other := slot.SetOf(slot.Range{First: 1, Last: 1}), slot.SetOf(slot.Range{First: 2, Last: 2})
	l.AddPrefixes([]Prefix{{Text: "c:", Since: 1, Slots: one}}, 1, 1)
	l.Add(Record{Key: "c:k", Class: "c:", Slot: 2, Since: 5, Value: []byte("v")}, 1, 1)
	l.AddPrefixes([]Prefix{{Text: "c:", Since: 9, Slots: other}}, 1, 1)
	if r, held := l.Record("c:k"); held {
		t.Errorf("%+v is held", r)
	}
}

// Likewise what waits in the Box.
func TestAReturnedDeleteInSomeSlotsDropsWhatIsOlder(t *testing.T) {
	b := New(10, 1<<20)
	one, other := slot.SetOf(slot.Range{First: 1, Last: 1}), slot.SetOf(slot.Range{First: 2, Last: 2})
	b.Return(nil, []Prefix{{Text: "c:", Since: 1, Slots: one}})
	b.Return([]Record{{Key: "c:k", Class: "c:", Slot: 2, Since: 5, Value: []byte("v")}}, nil)
	b.Return(nil, []Prefix{{Text: "c:", Since: 9, Slots: other}})
	if r, waits := b.Record("c:k"); waits {
		t.Errorf("%+v waits", r)
	}
}
