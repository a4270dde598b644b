package outbox

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// roomy bounds are met by no table here.
var roomy = LedgerBounds{Entries: 100, Bytes: 1 << 20, RingBytes: 1 << 20, RingAge: time.Minute}

func at(since int64, r Record) Record {
	r.Since, r.Lo, r.Hi = since, since, since
	return r
}

// add adds records in epoch 1 at the time of their Since.
func add(t *testing.T, l *Ledger, rs ...Record) {
	t.Helper()
	for _, r := range rs {
		if _, ok := l.Add(r, 1, r.Since); !ok {
			t.Fatalf("Add %s is refused", say(r))
		}
	}
}

func barrier(t *testing.T, l *Ledger) uint64 {
	t.Helper()
	n, ok := l.NextBarrier(l.Epoch())
	if !ok {
		t.Fatal("a barrier of this epoch is refused")
	}
	return n
}

// uncovered lists what Uncover gives: prefixes, then records.
func uncovered(l *Ledger, held uint64) []string {
	all := []string{}
	rs, ps := l.Uncover(held)
	for _, p := range ps {
		all = append(all, fmt.Sprintf("delete %s* of %d", p.Text, p.Since))
	}
	for _, r := range rs {
		all = append(all, say(r))
	}
	return all
}

func TestTheLedgerHoldsWhatTheNextMasterMayLack(t *testing.T) {
	a, b := at(1, set("a", "1")), at(2, set("b", "2"))
	other := Record{Key: "d:z", Class: "d:", Value: []byte("z"), Ends: 1000, Since: 3}
	tests := []struct {
		name   string
		bounds LedgerBounds
		before []Record // barrier 1 comes after these
		after  []Record
		held   uint64
		want   []string
	}{
		{"nothing", roomy, nil, nil, 0, []string{}},
		{"all, where there is no barrier", roomy, []Record{a}, []Record{b}, 0, []string{"set a=1 until 1000", "set b=2 until 1000"}},
		{"what came after the barrier", roomy, []Record{a}, []Record{b}, 1, []string{"set b=2 until 1000"}},
		{"a number that was never given is somebody else's", roomy, []Record{a}, []Record{b}, 2, []string{"set a=1 until 1000", "set b=2 until 1000"}},
		{"the newest of a key", roomy, []Record{a}, []Record{at(3, set("a", "3"))}, 1, []string{"set a=3 until 1000"}},
		{"also of those that come in the wrong order", roomy, nil, []Record{at(3, set("a", "3")), a}, 1, []string{"set a=3 until 1000"}},
		{"in the order they were made", roomy, nil, []Record{b, a}, 0, []string{"set a=1 until 1000", "set b=2 until 1000"}},
		{"a set and its touch", roomy, []Record{a}, []Record{touch("a")}, 1, []string{"set a=1 until 2000"}},
		{"a set and a touch that lets it end sooner", roomy, []Record{a}, []Record{sooner("a")}, 1, []string{"set a=1 until 500"}},
		{"in the wrong order too", roomy, nil, []Record{sooner("a"), a}, 0, []string{"set a=1 until 500"}},
		{"the last touch counts", roomy, nil, []Record{a, at(13, sooner("a")), touch("a")}, 0, []string{"set a=1 until 2000"}},
		{"a touch alone", roomy, nil, []Record{touch("a")}, 0, []string{"touch a until 2000"}},
		{"no touch of a deleted key", roomy, nil, []Record{del("a"), touch("a")}, 0, []string{"delete a"}},
		{"a set after a touch", roomy, nil, []Record{touch("a"), at(20, set("a", "1"))}, 0, []string{"set a=1 until 1000"}},
		{
			"the keys of values without room, oldest first",
			LedgerBounds{100, roomFor(del("a"), b), 0, 0},
			nil,
			[]Record{a, b},
			0,
			[]string{"invalidate a", "set b=2 until 1000"},
		},
		{
			"a delete stays one",
			LedgerBounds{100, roomFor(del("a"), b), 0, 0},
			nil,
			[]Record{at(1, del("a")), b},
			0,
			[]string{"delete a", "set b=2 until 1000"},
		},
		{
			"no touch of a value without room",
			LedgerBounds{100, roomFor(del("a"), b), 0, 0},
			nil,
			[]Record{a, b, touch("a")},
			0,
			[]string{"invalidate a", "set b=2 until 1000"},
		},
		{
			"one delete for the keys of a class without room",
			LedgerBounds{1, 1 << 20, 0, 0},
			nil,
			[]Record{a, at(2, del("b")), other, at(4, set("d", "4"))},
			0,
			[]string{"delete c:* of 2", "delete d:* of 3", "set d=4 until 1000"},
		},
		{
			"no delete where the last of the keys was before the barrier",
			LedgerBounds{1, 1 << 20, 0, 0},
			[]Record{a, b, at(3, set("d", "3"))},
			nil,
			1,
			[]string{},
		},
		{
			"a delete where it was after",
			LedgerBounds{1, 1 << 20, 0, 0},
			[]Record{a},
			[]Record{b, at(3, set("d", "3"))},
			1,
			[]string{"delete c:* of 2", "set d=3 until 1000"},
		},
		{"nothing of a touch without room", LedgerBounds{1, 1 << 20, 0, 0}, nil, []Record{at(1, touch("b")), at(2, set("a", "1"))}, 0, []string{"set a=1 until 1000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := NewLedger(tt.bounds)
			add(t, l, tt.before...)
			if n := barrier(t, l); n != 1 {
				t.Fatalf("the first barrier has number %d", n)
			}
			add(t, l, tt.after...)
			if diff := cmp.Diff(tt.want, uncovered(l, tt.held)); diff != "" {
				t.Errorf("what the next master may lack (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAConfirmedRecordStaysInTheRingForAWhile(t *testing.T) {
	l := NewLedger(LedgerBounds{Entries: 10, Bytes: 1 << 20, RingBytes: roomFor(set("a", "1"), set("b", "2")), RingAge: 60})
	add(t, l, at(1, set("a", "1")), at(2, set("b", "2")))
	n := barrier(t, l)
	if l.Unconfirmed() != 2 {
		t.Errorf("%d unconfirmed", l.Unconfirmed())
	}
	l.Confirm(n, 10)
	if d := l.Depth(); l.Unconfirmed() != 0 || d.Ring != 2 || d.Bytes != 0 || d.RingBytes != roomFor(set("a", "1"), set("b", "2")) {
		t.Errorf("confirmed: %+v", d)
	}
	l.Trim(69)
	if d := l.Depth(); d.Ring != 2 {
		t.Errorf("too early: %+v", d)
	}
	add(t, l, at(20, set("d", "3")))
	l.Confirm(barrier(t, l), 30) // over the bound: what was confirmed first goes
	if d := l.Depth(); d.Ring != 2 || d.RingDropped != 1 {
		t.Errorf("over the bound of the ring: %+v", d)
	}
	l.Trim(70)
	if diff := cmp.Diff([]string{"set d=3 until 1000"}, uncovered(l, 0)); diff != "" {
		t.Errorf("what is left of the ring (-want +got):\n%s", diff)
	}
}

func TestATouchMakesAConfirmedSetUncertainAgain(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, set("a", "1"))
	n := barrier(t, l)
	l.Confirm(n, 20)
	add(t, l, touch("a"))
	if d := l.Depth(); d.Ring != 0 || d.Unconfirmed != 1 {
		t.Errorf("%+v", d)
	}
	if diff := cmp.Diff([]string{"set a=1 until 2000"}, uncovered(l, n)); diff != "" {
		t.Error(diff)
	}
}

// A Set that is told of later than the Touch that came after it gets its end.
func TestASetThatIsToldOfAfterItsTouchGetsItsEnd(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, at(20, touch("a")), at(10, set("a", "1")))
	if diff := cmp.Diff([]string{"set a=1 until 2000"}, uncovered(l, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestAnEndedEpochTakesNothing(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, set("a", "1"))
	old := barrier(t, l)
	l.Uncover(old)
	if _, ok := l.Add(set("b", "2"), 1, 2); ok {
		t.Error("Add took an acknowledgement of the old master")
	}
	if _, ok := l.AddPrefix(Prefix{Text: class, Since: 20}, 1, 20); ok {
		t.Error("AddPrefix took an acknowledgement of the old master")
	}
	if n, ok := l.NextBarrier(1); ok {
		t.Errorf("barrier %d would be written to the old master", n)
	}
	l.Confirm(old, 3)
	if d := l.Depth(); d.Unconfirmed != 1 || d.Ring != 0 {
		t.Errorf("a late confirmation counts: %+v", d)
	}
	l.Confirm(old+1, 3)
	if d := l.Depth(); d.Unconfirmed != 1 {
		t.Errorf("a number that was never given confirms: %+v", d)
	}
	if n := barrier(t, l); n != old+1 {
		t.Errorf("the next barrier is %d after %d", n, old)
	}
	l.Confirm(old+1, 3)
	if d := l.Depth(); d.Unconfirmed != 0 {
		t.Errorf("its confirmation does not count: %+v", d)
	}
}

func TestAPrefixForgetsWhatItHasDeleted(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, at(1, set("ab", "1")), at(2, set("b", "2")), at(9, set("ac", "later")))
	if _, ok := l.AddPrefix(Prefix{Text: class + "a", Since: 5}, 1, 9); !ok {
		t.Fatal("AddPrefix is refused")
	}
	want := []string{"delete c:a* of 5", "set b=2 until 1000", "set ac=later until 1000"}
	if diff := cmp.Diff(want, uncovered(l, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestANewerWriteKnowsWhenTheLastOneWas(t *testing.T) {
	l := NewLedger(roomy)
	if got := l.Forget("c:a"); got != 0 {
		t.Errorf("Forget of nothing = %d", got)
	}
	add(t, l, at(10, set("a", "1")), at(20, set("a", "2")), at(30, set("a", "3")))
	rs, _ := l.Uncover(0)
	if len(rs) != 1 || rs[0].Floor != 20 {
		t.Fatalf("uncovered %+v, want a Floor of 20", rs)
	}
	if _, ok := l.Add(rs[0], 2, 40); !ok {
		t.Fatal("Add is refused")
	}
	if floor, forgot := l.Floor("c:a"), l.Forget("c:a"); floor != 30 || forgot != 30 || l.Unconfirmed() != 0 {
		t.Errorf("Floor = %d, Forget = %d, left %d", floor, forgot, l.Unconfirmed())
	}
}

// The same write again, as a replay that was repeated, is not its own past: or
// another's write of that time would count as older.
func TestAWriteIsNotOlderThanItself(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, at(10, set("a", "1")), at(10, set("a", "1")))
	if rs, _ := l.Uncover(0); len(rs) != 1 || rs[0].Floor != 0 {
		t.Errorf("uncovered %+v, want no Floor", rs)
	}
}

func TestMoreClassesThanPrefixesMayWaitAreJoined(t *testing.T) {
	const most, more = 2000, 500
	l := NewLedger(LedgerBounds{Entries: 0, Bytes: 1 << 30})
	l.prefixes.most = most
	for i := range most + more {
		c := fmt.Sprintf("x:%06d:", i)
		add(t, l, Record{Key: c + "k", Class: c, Since: int64(i + 1)})
	}
	if d := l.Depth(); d.Unconfirmed > most || d.Unconfirmed < joinedTo(most) || l.Unconfirmed() != d.Unconfirmed {
		t.Errorf("%+v", d)
	}
	_, all := l.Uncover(0)
	ps := NewPrefixes(all)
	for i := range most + more {
		key := fmt.Sprintf("x:%06d:k", i)
		deletes := func(p Prefix) bool { return p.Since >= int64(i+1) && strings.HasPrefix(p.Text, "x:") }
		if !slices.ContainsFunc(ps.Over(key), deletes) {
			t.Fatalf("nothing deletes %s", key)
		}
	}
}

func TestPrefixesInALedgerAreBoundedInBytes(t *testing.T) {
	l := NewLedger(LedgerBounds{Entries: 100, Bytes: 1 << 20, RingBytes: 1 << 20, RingAge: time.Hour})
	long := strings.Repeat("x", 1000)
	for i := range 1000 {
		l.AddPrefix(Prefix{Text: fmt.Sprintf("c:%04d", i) + long, Since: int64(i + 1)}, l.Epoch(), 1)
	}
	if got := l.prefixes.all.bytes; got > maxPrefixBytes(1<<20) || l.Unconfirmed() > 1000 {
		t.Errorf("%d bytes of prefixes, %d of them", got, l.Unconfirmed())
	}
}

// Those that a barrier has confirmed go before any two become one.
func TestConfirmedPrefixesMakeRoomFirst(t *testing.T) {
	l := NewLedger(LedgerBounds{Entries: 100, Bytes: 1 << 30, RingBytes: 1 << 20, RingAge: time.Hour})
	const most = 2000
	l.prefixes.most = most
	text := func(i int) string { return fmt.Sprintf("c:%06d:", i) }
	for i := range most {
		l.AddPrefix(Prefix{Text: text(i), Since: int64(i + 1)}, l.Epoch(), 1)
		if i == most/2 {
			n, _ := l.NextBarrier(l.Epoch())
			l.Confirm(n, 2)
		}
	}
	for i := range most / 4 {
		l.AddPrefix(Prefix{Text: text(most + i), Since: int64(most + i)}, l.Epoch(), 3)
	}
	if d := l.Depth(); d.DroppedKeys != 0 || d.RingDropped == 0 || d.Unconfirmed+d.Ring > most {
		t.Errorf("%+v", d)
	}
	_, ps := l.Uncover(1)
	if i := slices.IndexFunc(ps, func(p Prefix) bool { return p.Joined }); i >= 0 {
		t.Errorf("%+v is of several", ps[i])
	}
}

// What is held here and was under none of those that became one is not void.
func TestAValueUnderNoneOfThePrefixesThatBecomeOneSurvives(t *testing.T) {
	l := NewLedger(LedgerBounds{Entries: 100, Bytes: 1 << 20, RingBytes: 1 << 20, RingAge: time.Hour})
	add(t, l, at(1, Record{Key: "c:keep", Class: "c:", Value: []byte("v"), Ends: 1 << 40}))
	long := strings.Repeat("x", 1000)
	for i := range 1000 {
		l.AddPrefix(Prefix{Text: fmt.Sprintf("c:%c%04d", 'a'+i%26, i) + long, Since: int64(i + 2)}, l.Epoch(), 1)
	}
	rs, ps := l.Uncover(0)
	if !slices.ContainsFunc(ps, func(p Prefix) bool { return p.Joined }) {
		t.Fatal("no prefixes became one")
	}
	ps = append(ps, Prefix{Text: "c:", Since: 5000, Joined: true})
	box := New(100, 1<<20)
	put(t, box, at(3, Record{Key: "c:waits", Class: "c:", Value: []byte("v"), Ends: 1 << 40}))
	box.Return(rs, ps)
	for _, key := range []string{"c:keep", "c:waits"} {
		if r, ok := box.Find(key); !ok || r.Kind != Set {
			t.Errorf("%s = %q, %v", key, say(r), ok)
		}
		if _, ready := box.Ready(key); ready {
			t.Errorf("%s does not wait for the prefix", key)
		}
	}
}

// sorted fails the test where numbers fall along a list, or sums are wrong.
func sorted(t *testing.T, l *Ledger) {
	t.Helper()
	var records, bytes int64
	for i := range l.shards {
		s := &l.shards[i]
		for _, list := range []*ledgerList{&s.bare, &s.full, &s.ring} {
			last := uint64(0)
			for e := list.root.next; e != &list.root; e = e.next {
				if e.number < last {
					t.Errorf("number %d after %d", e.number, last)
				}
				last = e.number
				if list != &s.ring {
					records, bytes = records+1, bytes+e.rec.cost()
				}
			}
		}
	}
	if records != l.records.Load() || bytes != l.bytes.Load() {
		t.Errorf("%d records of %d bytes, counted %d of %d", records, bytes, l.records.Load(), l.bytes.Load())
	}
}

func TestNumbersRiseWithBarriersAcrossWriters(t *testing.T) {
	l := NewLedger(LedgerBounds{Entries: 1 << 20, Bytes: 1 << 30})
	var given, added atomic.Uint64 // the last barrier, the highest number of a record
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				last := given.Load()
				n, _ := l.Add(set(fmt.Sprint(w, " ", i), "v"), 1, int64(i))
				if n <= last {
					t.Errorf("number %d for what came after barrier %d", n, last)
				}
				for was := added.Load(); n > was && !added.CompareAndSwap(was, n); was = added.Load() {
				}
			}
		})
	}
	stop := make(chan struct{})
	var barriers sync.WaitGroup
	barriers.Go(func() {
		for !closed(stop) {
			before := added.Load()
			n, _ := l.NextBarrier(1)
			if before > n {
				t.Errorf("barrier %d after a record of number %d", n, before)
			}
			given.Store(n)
		}
	})
	wg.Wait()
	close(stop)
	barriers.Wait()
	sorted(t, l)
}

// Every write that an epoch has taken comes out of the Uncover that ends it, or
// of an earlier master's ring: none enters behind its back.
func TestWritersAndMastersShareALedger(t *testing.T) {
	const writers, each = 6, 1500
	l := NewLedger(LedgerBounds{Entries: 1 << 20, Bytes: 1 << 30, RingBytes: 1 << 30, RingAge: time.Hour})
	type write struct {
		key   string
		epoch uint64
	}
	took := make(chan write, writers*each)
	endedIn := map[string]uint64{} // the epoch that a key came out of
	uncover := func() {
		ends := l.Epoch()
		rs, _ := l.Uncover(0)
		for _, r := range rs {
			endedIn[r.Key] = ends
		}
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				epoch := l.Epoch()
				r := set(fmt.Sprint(w, " ", i), "v")
				if _, ok := l.Add(r, epoch, int64(i)); ok {
					took <- write{r.Key, epoch}
				}
				switch i % 100 {
				case 0:
					l.AddPrefix(Prefix{Text: "d:", Since: int64(i)}, epoch, int64(i))
				case 1:
					l.Forget("d:none")
				}
			}
		})
	}
	stop := make(chan struct{})
	var masters sync.WaitGroup
	masters.Go(func() {
		for !closed(stop) {
			if n, ok := l.NextBarrier(l.Epoch()); ok {
				l.Confirm(n, 1)
			}
			l.Trim(1)
			if d := l.Depth(); d.Bytes < 0 || d.RingBytes < 0 || d.Ring < 0 {
				t.Errorf("depth %+v", d)
			}
			uncover()
		}
	})
	wg.Wait()
	close(stop)
	masters.Wait()
	sorted(t, l)
	uncover()
	close(took)
	for w := range took {
		if endedIn[w.key] != w.epoch {
			t.Fatalf("%q was taken in epoch %d and came out of %d", w.key, w.epoch, endedIn[w.key])
		}
	}
}

func TestWritersOverTheBoundsLeaveThemHeld(t *testing.T) {
	l := NewLedger(LedgerBounds{Entries: 50, Bytes: 40 * overhead, RingBytes: 20 * overhead, RingAge: time.Hour})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				l.Add(set(fmt.Sprint(w, " ", i%200), "value"), 1, int64(i))
				if i%50 == 0 {
					n, _ := l.NextBarrier(1)
					l.Confirm(n, int64(i))
				}
			}
		})
	}
	wg.Wait()
	sorted(t, l)
	if d := l.Depth(); d.Unconfirmed > 51 || d.Bytes > 40*overhead || d.RingBytes > 20*overhead || d.DroppedKeys == 0 {
		t.Errorf("%+v", d)
	}
}

func BenchmarkLedgerAdd(b *testing.B) {
	keys := make([]string, 1<<14)
	for i := range keys {
		keys[i] = fmt.Sprintf("app:class:%d", i)
	}
	r := Record{Class: "app:class:", Value: make([]byte, 100), Ends: 1 << 40}
	bounds := LedgerBounds{Entries: 1 << 17, Bytes: 1 << 30, RingBytes: 1 << 24, RingAge: time.Minute}
	// confirm does now and then what the barrier does
	confirm := func(l *Ledger, i int) {
		if i%5000 == 0 {
			n, _ := l.NextBarrier(1)
			l.Confirm(n, int64(i))
		}
	}
	b.Run("one writer", func(b *testing.B) {
		b.ReportAllocs()
		l := NewLedger(bounds)
		for i := 0; b.Loop(); i++ {
			r.Key, r.Since = keys[i%len(keys)], int64(i)
			l.Add(r, 1, int64(i))
			confirm(l, i)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		l := NewLedger(bounds)
		var starts atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			r := r
			for i := int(starts.Add(4099)); pb.Next(); i++ {
				r.Key, r.Since = keys[i%len(keys)], int64(i)
				l.Add(r, 1, int64(i))
				confirm(l, i)
			}
		})
	})
	b.Run("without room", func(b *testing.B) {
		b.ReportAllocs()
		l := NewLedger(LedgerBounds{Entries: 1000, Bytes: 1 << 18})
		for i := 0; b.Loop(); i++ {
			r.Key, r.Since = keys[i%len(keys)], int64(i)
			l.Add(r, 1, int64(i))
		}
	})
}
