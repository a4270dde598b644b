package local

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func version(n int) *Item {
	it := NewItem(n)
	it.Size, it.KeepUntil = 1, 1<<60
	return it
}

// A hit that begins after a Set or a Delete has returned finds what that left, or what came
// after it.
func TestAHitFindsNothingThatWasReplacedBefore(t *testing.T) {
	for _, keys := range []int{1, 20, 300} { // 300 share a front for fewer
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			var ev Evictions
			s := New(Bound{Entries: 1000}, steady{}, &ev)
			defer s.Close()
			written := make([]atomic.Int64, keys)
			var readers, writers sync.WaitGroup
			stop := make(chan struct{})
			for w := range 2 {
				writers.Go(func() {
					for n := 1; n < 5000; n++ {
						at := (n*2 + w) % keys
						if keys == 1 {
							at = 0
						}
						if at%2 != w && keys > 1 || keys == 1 && w == 1 {
							continue // each key has one writer
						}
						k := key(fmt.Sprint(at))
						if n%10 == 0 {
							s.Delete(k)
						}
						s.Set(k, version(n))
						written[at].Store(int64(n))
					}
				})
			}
			for r := range 2 {
				readers.Go(func() {
					for i := r; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						at := i % keys
						least := written[at].Load()
						if it := s.Hit(key(fmt.Sprint(at)), int64(i)*7919); it != nil && int64(Value[int](it)) < least {
							t.Errorf("key %d: version %d, after %d was written", at, Value[int](it), least)
							return
						}
					}
				})
			}
			writers.Wait()
			close(stop)
			readers.Wait()
			for at := range keys {
				if n := written[at].Load(); n > 0 {
					for range 30 {
						if it := s.Hit(key(fmt.Sprint(at)), time.Now().UnixNano()); it == nil || int64(Value[int](it)) != n {
							t.Fatalf("key %d: %v, want version %d", at, it, n)
						}
					}
				}
				s.Delete(key(fmt.Sprint(at)))
				if it := s.Hit(key(fmt.Sprint(at)), 1); it != nil {
					t.Fatalf("key %d is found after its Delete", at)
				}
			}
			wantListed(t, s)
		})
	}
}

// What is deleted must not be kept in memory by a reader who has just found it.
func TestTheFrontKeepsNothingThatHasGone(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 1000}, steady{}, &ev)
	defer s.Close()
	for range 300 {
		var wg sync.WaitGroup
		for i := range 8 {
			s.Set(key(fmt.Sprint(i)), version(i))
		}
		for g := range 2 {
			wg.Go(func() {
				for i := range 8 {
					s.Hit(key(fmt.Sprint((i+g)%8)), int64(i))
				}
			})
		}
		wg.Go(func() {
			for i := range 8 {
				s.Delete(key(fmt.Sprint(i)))
			}
		})
		wg.Wait()
		wantListed(t, s)
	}
}

func TestMostHitsAreFoundInFront(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 1 << 20}, steady{}, &ev)
	defer s.Close()
	for n := 100; n <= 10_000; n *= 10 {
		keys := make([]Key, n)
		for i := range keys {
			keys[i] = key(fmt.Sprint(n, "-", i))
			s.Set(keys[i], version(i))
		}
		for round := range 4 {
			for i, k := range keys {
				s.Hit(k, int64(round*n+i))
			}
		}
		f, found := s.front.Load(), 0
		for _, k := range keys {
			if f.find(s.hash(k), k) != nil {
				found++
			}
		}
		if found < n*85/100 {
			t.Errorf("%d of %d are found in front", found, n)
		}
		if most := int(s.entries.Load()); len(f.buckets) > max(fewestBuckets, most) {
			t.Errorf("%d buckets for %d entries", len(f.buckets), most)
		}
	}
	s.Clear()
	if n := len(s.front.Load().buckets); n != fewestBuckets {
		t.Errorf("an empty Store has %d buckets", n)
	}
}

func TestACopyIsTheSameAndInNoStore(t *testing.T) {
	it := NewItem("v")
	fields := reflect.ValueOf(it).Elem()
	for i := range fields.NumField() {
		f := fields.Field(i)
		switch {
		case !f.CanSet():
		case f.CanInt():
			f.SetInt(int64(i) + 1)
		case f.CanUint():
			f.SetUint(uint64(i) + 1)
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.Kind() == reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case f.Type() == reflect.TypeFor[End]():
			it.End = End{1, 2}
		default:
			t.Fatalf("a field of type %v", f.Type())
		}
	}
	it.place.Store(5)
	c := it.Copy()
	for i := range fields.NumField() {
		if f, g := fields.Field(i), reflect.ValueOf(c).Elem().Field(i); f.CanSet() && f.Interface() != g.Interface() {
			t.Errorf("%s: %v, want %v", fields.Type().Field(i).Name, g, f)
		}
	}
	if c == it || c.listed() || Value[string](c) != "v" || At[string](c) == At[string](it) {
		t.Errorf("a copy %+v", c)
	}
	if none := (&Item{Absent: true}).Copy(); !none.Absent || none.holder != nil {
		t.Errorf("a copy of an absent one: %+v", none)
	}
}
