package local

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// thing describes an Item for tests.
type thing struct {
	name   string
	weight uint32
	retain time.Duration
}

func (t thing) in(s *Store) *Item {
	it := NewItem(t.name)
	it.Size, it.KeepUntil = t.weight, s.clock.NowNano()+int64(t.retain)
	return it
}

// bubbleClock is the fake time of a synctest bubble.
type bubbleClock struct{ start time.Time }

func (c bubbleClock) NowNano() int64 { return int64(time.Since(c.start)) + 1 }

func open(t *testing.T, b Bound, ev *Evictions) *Store {
	t.Helper()
	s := New(b, bubbleClock{time.Now()}, ev)
	t.Cleanup(s.Close)
	return s
}

func key(k string) Key { return Key{Class: 1, Key: k} }

func light(name string) thing { return thing{name: name, weight: 10, retain: time.Hour} }

// wantHeld lists what the Store holds, as key=name.
func wantHeld(t *testing.T, s *Store, want ...string) {
	t.Helper()
	got := []string{}
	for class := range uint32(3) {
		for k := range s.Keys(class) {
			if it := s.Get(Key{class, k}); it != nil {
				got = append(got, fmt.Sprintf("%d/%s=%s", class, k, Value[string](it)))
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("held: %v, want %v", got, want)
	}
}

// heldBytes is what Bytes should say.
func heldBytes(s *Store) (sum int64) {
	for k := range s.Keys(1) {
		if it := s.Get(key(k)); it != nil {
			sum += int64(weigh(0, it))
		}
	}
	return sum
}

type counts struct{ capacity, expired, invalidated uint64 }

func wantEvicted(t *testing.T, ev *Evictions, want counts) {
	t.Helper()
	if got := (counts{ev.Capacity.Load(), ev.Expired.Load(), ev.Invalidated.Load()}); got != want {
		t.Errorf("evicted %+v, want %+v", got, want)
	}
}

func TestAStoreHoldsWhatItWasGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Entries: 100}, &ev)
		s.Set(key("a"), light("one").in(s))
		s.Set(key("a"), light("two").in(s))
		s.Set(Key{Class: 2, Key: "a"}, light("other class").in(s))
		wantHeld(t, s, "1/a=two", "2/a=other class")
		s.Delete(key("a"))
		s.Delete(key("never there"))
		wantHeld(t, s, "2/a=other class")
		if s.Get(key("a")) != nil {
			t.Error("a deleted key is read")
		}
		wantEvicted(t, &ev, counts{invalidated: 1}) // what was replaced is not counted
		s.Clear()
		wantHeld(t, s)
		if s.Len() != 0 || s.Bytes() != 0 {
			t.Errorf("after Clear: %d entries, %d bytes", s.Len(), s.Bytes())
		}
	})
}

func TestABoundInBytesHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		const bound, sets = 100_000, 2000
		s := open(t, Bound{Bytes: bound}, &ev)
		for i := range sets {
			s.Set(key(fmt.Sprint(i)), thing{weight: uint32(i % 1000), retain: time.Hour}.in(s))
		}
		synctest.Wait() // eviction runs beside the writers
		if s.Bytes() > bound || s.Bytes() < bound/2 {
			t.Errorf("%d bytes are held, bound %d", s.Bytes(), bound)
		}
		if got := heldBytes(s); got != s.Bytes() {
			t.Errorf("Bytes = %d, what is held costs %d", s.Bytes(), got)
		}
		wantEvicted(t, &ev, counts{capacity: uint64(sets - s.Len())})
		if s.CapacityBytes() != bound {
			t.Errorf("CapacityBytes = %d", s.CapacityBytes())
		}
	})
}

func TestABoundInEntriesHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Entries: 50}, &ev)
		for i := range 1000 {
			s.Set(key(fmt.Sprint(i)), thing{weight: 1 << 20, retain: time.Hour}.in(s)) // weight does not count
		}
		synctest.Wait()
		if s.Len() != 50 {
			t.Errorf("%d entries are held, want 50", s.Len())
		}
		if got := heldBytes(s); got != s.Bytes() {
			t.Errorf("Bytes = %d, what is held costs %d", s.Bytes(), got)
		}
		wantEvicted(t, &ev, counts{capacity: 950})
		if s.CapacityBytes() != 0 {
			t.Errorf("CapacityBytes = %d, want 0", s.CapacityBytes())
		}
	})
}

func TestAnItemIsKeptForAsLongAsItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Entries: 100}, &ev)
		s.Set(key("short"), thing{name: "s", weight: 1, retain: time.Minute}.in(s))
		s.Set(key("long"), thing{name: "l", weight: 1, retain: time.Hour}.in(s))
		time.Sleep(time.Minute - time.Nanosecond)
		wantHeld(t, s, "1/long=l", "1/short=s")
		time.Sleep(time.Nanosecond)
		if s.Get(key("short")) != nil {
			t.Error("read at its end")
		}
		time.Sleep(2 * time.Second) // nobody asks: the Store removes it by itself
		synctest.Wait()
		if s.Len() != 1 || s.Bytes() != heldBytes(s) {
			t.Errorf("%d entries, %d bytes, want those of the long one: %d", s.Len(), s.Bytes(), heldBytes(s))
		}
		wantEvicted(t, &ev, counts{expired: 1})
	})
}

func TestRetainCountsFromTheLastWriteNotTheLastRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Entries: 100}, &ev)
		s.Set(key("read"), thing{name: "r", retain: time.Minute}.in(s))
		s.Set(key("written"), thing{name: "w1", retain: time.Minute}.in(s))
		time.Sleep(40 * time.Second)
		s.Get(key("read"))
		s.Set(key("written"), thing{name: "w2", retain: time.Minute}.in(s))
		time.Sleep(40 * time.Second)
		wantHeld(t, s, "1/written=w2")
		s.Set(key("written"), thing{name: "w3", retain: time.Second}.in(s)) // a shorter life counts too
		time.Sleep(2 * time.Second)
		wantHeld(t, s)
	})
}

// An item of no use any more must not push a useful one out, nor stay for ever.
func TestAnItemWithoutARestToLiveIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Entries: 100}, &ev)
		for _, retain := range []time.Duration{0, -time.Hour} {
			k := key(retain.String())
			s.Set(k, light("before").in(s))
			s.Set(k, thing{name: "dead", retain: retain}.in(s))
			time.Sleep(time.Nanosecond)
			if got := s.Get(k); got != nil {
				t.Errorf("with %v left: served %q", retain, Value[string](got))
			}
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s.Len() != 0 || s.Bytes() != 0 {
			t.Errorf("%d entries, %d bytes stay", s.Len(), s.Bytes())
		}
	})
}

func TestWhatIsTooHeavyIsNotKeptAndNeitherIsWhatTheKeyHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Bytes: 10_000}, &ev)
		s.Set(key("a"), light("old").in(s))
		s.Set(key("b"), light("beside it").in(s))
		synctest.Wait()
		s.Set(key("a"), thing{name: "huge", weight: 20_000, retain: time.Hour}.in(s))
		synctest.Wait()
		wantHeld(t, s, "1/b=beside it")
		if got := heldBytes(s); got != s.Bytes() {
			t.Errorf("Bytes = %d, what is held costs %d", s.Bytes(), got)
		}
		s.Set(key("c"), thing{name: "huge", weight: 1 << 30, retain: time.Hour}.in(s))
		synctest.Wait()
		wantHeld(t, s, "1/b=beside it")
		wantEvicted(t, &ev, counts{capacity: 2})
	})
}

func TestTheKeyCountsIntoTheWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Bytes: 1 << 20}, &ev)
		s.Set(key(strings.Repeat("k", 1000)), thing{weight: 5, retain: time.Hour}.in(s))
		if s.Bytes() != 1000+5+overhead {
			t.Errorf("Bytes = %d", s.Bytes())
		}
	})
}

func TestBytesNeverDrift(t *testing.T) {
	for _, bound := range []Bound{{Entries: 64}, {Bytes: 64 * 300}, {Bytes: 1 << 30}} {
		t.Run(fmt.Sprintf("%+v", bound), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ev Evictions
				s := open(t, bound, &ev)
				var wg sync.WaitGroup
				for g := range 4 {
					wg.Go(func() {
						for i := range 2000 {
							k := key(fmt.Sprint((i*7 + g) % 200))
							switch i % 5 {
							case 0:
								s.Delete(k)
							case 1:
								s.Set(k, thing{weight: uint32(i), retain: time.Duration(i) * time.Millisecond}.in(s))
							default:
								s.Set(k, thing{weight: uint32(i % 100), retain: time.Hour}.in(s))
							}
							if i%100 == 0 {
								time.Sleep(10 * time.Millisecond) // let some of it expire
							}
						}
					})
				}
				wg.Wait()
				synctest.Wait()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if got := heldBytes(s); got != s.Bytes() {
					t.Errorf("Bytes = %d, what is held costs %d", s.Bytes(), got)
				}
				for k := range s.Keys(1) {
					s.Delete(key(k))
				}
				if n := s.bytes.Load(); n != 0 {
					t.Errorf("an empty Store says %d bytes", n)
				}
			})
		})
	}
}

func TestStoresMayShareTheirCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		a, b := open(t, Bound{Entries: 10}, &ev), open(t, Bound{Entries: 10}, &ev)
		for _, s := range []*Store{a, b} {
			s.Set(key("x"), light("x").in(s))
			s.Delete(key("x"))
		}
		wantEvicted(t, &ev, counts{invalidated: 2})
	})
}

// The bubble fails the test for a goroutine or a held-up timer that is left.
func TestCloseEndsEverythingThatWasStarted(t *testing.T) {
	tests := []struct {
		name string
		use  func(*Store)
	}{
		{"at once", func(*Store) {}},
		{"twice", func(s *Store) { s.Close() }},
		{"after some use", func(s *Store) {
			for i := range 1000 {
				s.Set(key(fmt.Sprint(i)), light("x").in(s))
			}
			time.Sleep(10 * time.Second)
		}},
		{"with evictions under way", func(s *Store) {
			for i := range 100_000 {
				s.Set(key(fmt.Sprint(i)), light("x").in(s))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ev Evictions
				s := New(Bound{Entries: 100}, bubbleClock{time.Now()}, &ev)
				tt.use(s)
				s.Close()
				synctest.Wait()
				if s.Len() != 0 || s.Bytes() != 0 {
					t.Errorf("%d entries, %d bytes after Close", s.Len(), s.Bytes())
				}
				if s.clock.tickers != nil {
					t.Error("a ticker runs on")
				}
			})
		})
	}
}

func TestALateSetOnAClosedStoreDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := New(Bound{Entries: 10}, bubbleClock{time.Now()}, &ev)
		s.Close()
		for i := range 1000 { // a load that ends after the client's Close
			s.Set(key(fmt.Sprint(i)), light("late").in(s))
		}
		synctest.Wait()
		if s.Len() > 10 {
			t.Errorf("%d entries over the bound of a closed Store", s.Len())
		}
	})
}

// steady is a clock for heaps: nothing ends.
type steady struct{}

func (steady) NowNano() int64 { return 1 }

func TestAnEntryWeighsWhatItTakes(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const n = 4000
	var ev Evictions
	s := New(Bound{Bytes: 1 << 40}, steady{}, &ev)
	defer s.Close()
	before := heap()
	for i := range n {
		s.Set(key(fmt.Sprintf("key-%012d", i)), &Item{Absent: true, KeepUntil: math.MaxInt64 / 2})
	}
	took, weighs := int64(heap()-before), s.Bytes()
	if took < weighs*8/10 || took > weighs*12/10 {
		t.Errorf("%d entries take %d bytes and weigh %d", n, took, weighs)
	}
}
