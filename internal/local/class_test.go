package local

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheKeysOfAClassAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Entries: 1000}, &ev)
		for class := range uint32(3) {
			for i := range 10 * int(class) {
				s.Set(Key{class, fmt.Sprint(i)}, light("x").in(s))
				s.Set(Key{class, fmt.Sprint(i)}, light("again").in(s))
			}
		}
		for class := range uint32(4) {
			want := 10 * int(class)
			if class == 3 {
				want = 0
			}
			if got := slices.Collect(s.Keys(class)); len(got) != want || s.LenOf(class) != want {
				t.Errorf("class %d has %d keys, and %d entries, want %d", class, len(got), s.LenOf(class), want)
			}
		}
		for k := range s.Keys(2) {
			s.Delete(Key{2, k})
		}
		s.Forget(1) // it is not empty
		s.Forget(2)
		s.Forget(9)
		if s.LenOf(1) != 10 || s.LenOf(2) != 0 {
			t.Errorf("%d and %d entries, want 10 and 0", s.LenOf(1), s.LenOf(2))
		}
		if _, ok := s.classes.Load(uint32(2)); ok {
			t.Error("an empty class is not let go")
		}
		s.Set(Key{2, "late"}, light("x").in(s)) // of a call that was under way
		if got := slices.Collect(s.Keys(2)); len(got) != 1 || s.Get(Key{2, "late"}) == nil {
			t.Errorf("a class that was let go has %v", got)
		}
	})
}

// Whoever drops a class must meet each key that was there before, however many others come
// and go beside it.
func TestAKeyThatStaysIsAmongTheKeys(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 1 << 20}, steady{}, &ev)
	defer s.Close()
	const stay = 3000
	others := make([]Key, 6000)
	for i := range max(stay, len(others)) {
		if i < stay {
			s.Set(key(fmt.Sprint("stays-", i)), ends(1<<40))
		}
		others[i] = key(fmt.Sprint("other-", i))
		s.Set(others[i], ends(1<<40)) // between those that stay
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for range 30 {
					if k := others[rand.IntN(len(others))]; rand.IntN(2) == 0 {
						s.Delete(k)
					} else {
						s.Set(k, ends(1<<40))
					}
				}
			}
		})
	}
	for range 30 {
		met := map[string]bool{}
		for k := range s.Keys(1) {
			if k[0] == 's' {
				met[k] = true
				continue
			}
			s.Delete(key(k)) // as whoever drops a class does
			if rand.IntN(2) == 0 {
				s.Set(key(k), ends(1<<40))
			}
		}
		if len(met) != stay {
			t.Errorf("%d of %d keys that are there all the time are met", len(met), stay)
			break
		}
	}
	close(stop)
	wg.Wait()
	wantListed(t, s)
}

// ends is an item that is kept for so long.
func ends(at int64) *Item {
	it := NewItem("v")
	it.Size, it.KeepUntil = 1, at
	return it
}

// wantListed fails unless the classes list what the Store holds, and nothing else, and the
// front has nothing that it does not hold.
func wantListed(t *testing.T, s *Store) {
	t.Helper()
	held, listed := map[*Item]bool{}, 0
	for it := range s.cache.Values() {
		held[it] = true
	}
	s.classes.Range(func(_, c any) bool {
		for i := range c.(*class).parts {
			for at, it := range c.(*class).parts[i].items {
				listed++
				if !held[it] || int(it.place.Load()) != at+1 {
					t.Errorf("%d/%s is listed at %d, its place is %d; held: %v", it.class, it.key, at+1, it.place.Load(), held[it])
					return false
				}
			}
		}
		return true
	})
	if listed != len(held) || int(s.entries.Load()) != listed {
		t.Errorf("%d items are listed and counted as %d, %d are held", listed, s.entries.Load(), len(held))
	}
	f := s.front.Load()
	for i := range f.buckets {
		for j := range f.buckets[i].items {
			if it := f.buckets[i].items[j].Load(); it != nil && !held[it] {
				t.Errorf("%d/%s is in the front, and not held", it.class, it.key)
			}
		}
	}
}

func TestWhatIsListedIsWhatIsHeld(t *testing.T) {
	for _, bound := range []Bound{{Entries: 100}, {Bytes: 100 * 300}, {Bytes: 1 << 30}} {
		t.Run(fmt.Sprintf("%+v", bound), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ev Evictions
				s := open(t, bound, &ev)
				var wg sync.WaitGroup
				for g := range 4 {
					wg.Go(func() {
						var mine *Item
						for i := range 3000 {
							k := Key{uint32(i % 3), fmt.Sprint((i*7 + g) % 300)}
							switch i % 6 {
							case 0:
								s.Delete(k)
							case 1:
								s.Set(k, thing{weight: uint32(i), retain: time.Duration(i) * time.Millisecond}.in(s))
							case 2:
								mine = light("mine").in(s)
								s.Set(Key{1, fmt.Sprint("mine of ", g)}, mine)
								s.Set(Key{1, fmt.Sprint("mine of ", g)}, mine) // twice the same
							case 3:
								s.Set(k, thing{weight: 1 << 29, retain: time.Hour}.in(s)) // too heavy, or not
							default:
								s.Hit(k, int64(i))
							}
							if i%100 == 0 {
								time.Sleep(10 * time.Millisecond)
							}
						}
					})
				}
				wg.Wait()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				wantListed(t, s)
				s.Clear()
				synctest.Wait()
				wantListed(t, s)
			})
		})
	}
}

func TestNotesAreOfWhatIsAddedSince(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 1 << 20}, steady{}, &ev)
	defer s.Close()
	set := func(name string, n int) {
		for i := range n {
			s.Set(key(fmt.Sprint(name, i)), ends(1<<40))
		}
	}
	set("before-", 5000)
	notes := s.Note(1)
	set("since-", 100)
	s.Delete(key("since-0"))
	set("before-", 1)                                    // again
	s.Set(Key{2, "since-in-another-class"}, ends(1<<40)) // and in another class
	got := slices.Sorted(notes.Keys())
	if len(got) != 101 || got[0] != "before-0" || !slices.Contains(got, "since-99") { // since-0 is noted, and has gone
		t.Errorf("noted: %d keys, %.3v", len(got), got)
	}
	other := s.Note(1)
	set("many-", 2*classParts*mostNoted)
	for _, n := range []Notes{notes, other} {
		met := map[string]bool{}
		for k := range n.Keys() {
			met[k] = true
		}
		for i := range 2 * classParts * mostNoted {
			if !met[fmt.Sprint("many-", i)] {
				t.Fatalf("many-%d is not noted", i)
			}
		}
	}
	notes.End()
	for k := range s.Keys(1) {
		s.Delete(key(k))
	}
	s.Forget(1)
	s.Set(key("late"), ends(1<<40))
	if got := slices.Collect(other.Keys()); len(got) != 1 {
		t.Errorf("a class with notes was let go: they are of %v", got)
	}
	other.End()
	for i := range s.class(1).parts {
		if p := &s.class(1).parts[i]; p.added != nil || p.many || p.notes != 0 {
			t.Errorf("part %d still notes", i)
		}
	}
}

// Notes that begin while the class is being let go are of the class that follows.
func TestNotesOfAClassThatIsLetGoAreOfTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ev Evictions
		s := open(t, Bound{Entries: 1000}, &ev)
		gone := s.class(1)
		if !gone.end() {
			t.Fatal("it is not let go")
		}
		forget := func() { s.classes.CompareAndDelete(uint32(1), gone) }
		done := make(chan struct{})
		go func() { defer close(done); runtime.Gosched(); forget() }() // as Forget goes on
		notes := s.Note(1)
		defer notes.End()
		<-done
		s.Set(Key{1, "k"}, light("x").in(s))
		if got := slices.Collect(notes.Keys()); !slices.Equal(got, []string{"k"}) {
			t.Errorf("noted: %v", got)
		}
	})
}
