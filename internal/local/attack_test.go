package local

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Many who add at the moment at which the front is too small must not each make the next one.
func TestOneMakesTheNextFront(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 1 << 24}, steady{}, &ev)
	defer s.Close()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16))
	s.entries.Store(1 << 20) // as if so many were there
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 64 {
		wg.Go(func() {
			<-start
			s.resize(s.entries.Load())
		})
	}
	close(start)
	wg.Wait()
	runtime.ReadMemStats(&after)
	one := uint64(len(s.front.Load().buckets)) * 64
	if took := after.TotalAlloc - before.TotalAlloc; took > one*3/2 {
		t.Errorf("%d bytes were taken for a front of %d", took, one)
	}
}

// A key that is a part of a large text must not keep all of it in memory.
func TestAKeyKeepsNothingButItself(t *testing.T) {
	var ev Evictions
	s := New(Bound{Bytes: 1 << 30}, steady{}, &ev)
	defer s.Close()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 100 {
		page := strings.Repeat("x", 1<<20) + fmt.Sprint(i)
		s.Set(key(page[1<<20-5:]), ends(1<<40))
	}
	if took := int64(heap() - before); took > 10<<20 {
		t.Errorf("%d short keys keep %d MB", 100, took>>20)
	}
}

// A class is emptied by whoever deletes what he meets.
func TestAllThatIsMetIsAll(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 1 << 20}, steady{}, &ev)
	defer s.Close()
	for i := range 5 * scanStep * classParts {
		s.Set(key(fmt.Sprint(i)), ends(1<<40))
	}
	for k := range s.Keys(1) {
		s.Delete(key(k))
	}
	if n := s.LenOf(1); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// What was taken out is not found, even where a reader is about to put it in front.
func TestWhatHasGoneIsNotFoundInFront(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 100}, steady{}, &ev)
	defer s.Close()
	k, it := key("a"), version(1)
	s.Set(k, it)
	h := s.hash(k)
	s.Delete(k)
	b := s.front.Load().of(h)
	b.items[3].Store(it) // as keep does, before it looks whether the item is listed
	b.tag(3, tagOf(h))
	if s.front.Load().find(h, k) != nil {
		t.Error("an item that has gone is found")
	}
}

func TestAWrongTagIsMendedByTheNextReader(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 100}, steady{}, &ev)
	defer s.Close()
	k, it := key("a"), version(1)
	s.Set(k, it)
	h := s.hash(k)
	f := s.front.Load()
	f.keep(h, it, 0)
	for i := range ways { // of another item, whose reader took the place at the same moment
		if f.of(h).items[i].Load() == it {
			f.of(h).tag(i, tagOf(h)^1)
		}
	}
	f.keep(h, it, 0)
	if f.find(h, k) == nil {
		t.Error("it is never found in front")
	}
}

// Notes of what is added must not keep it in memory beyond the bound.
func TestNotesKeepNoValues(t *testing.T) {
	var ev Evictions
	s := New(Bound{Bytes: 1 << 20}, steady{}, &ev)
	defer s.Close()
	heap := func() uint64 {
		s.cache.CleanUp()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	n := s.Note(1)
	for i := range 1000 {
		it := NewItem(make([]byte, 100_000))
		it.Size, it.KeepUntil = 100_000, 1<<40
		s.Set(key(fmt.Sprint(i)), it)
	}
	took := int64(heap() - before)
	n.End()
	if took > 5<<20 {
		t.Errorf("%d MB are kept, the bound is 1", took>>20)
	}
}

// An item that has gone is put back, by who has stored what he had loaded, while others who
// found it before still look at it.
func TestAnItemThatComesBackIsNotChanged(t *testing.T) {
	var ev Evictions
	s := New(Bound{Entries: 100}, steady{}, &ev)
	defer s.Close()
	k, it := Key{Class: 1, Key: "k"}, NewItem(1)
	s.Set(k, it)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 10_000 {
				if !it.is(k) {
					t.Error("it is of another key")
				}
			}
		})
	}
	for range 1000 {
		s.Delete(k)
		s.Set(k, it)
	}
	wg.Wait()
}
