// Package heapsize tells how much memory a value takes, with all that it refers to.
//
// It is an estimate for a bound, in bytes, and it is cheap: what has no pointers is
// a constant for its type, and of what is large only a part is looked at. What two
// values share counts for both.
//
// It does not look behind a lock: what a mutex or an atomic guards may change while
// it is looked at. A struct that has one in itself counts with its own size only.
// The same holds for functions, channels and what is behind an unsafe.Pointer.
package heapsize

import (
	"reflect"
	"sync"
)

// Bounds of one estimate. A level is a pointer, slice, map, interface, array or
// struct in another.
const (
	maxLooks    = 1 << 15 // at parts of a value that refer to others
	maxElements = 1 << 10 // of one slice, array or map; the others count like these
	maxLevels   = 1000    // what is deeper does not count
)

// A Sizer estimates values of one type. It is safe for concurrent use.
type Sizer struct {
	of     func(v any) int  // for a type that needs no walk
	beside func(at any) int // the same without the value itself, at a pointer to it
	own    *plan
	plans  sync.Map // reflect.Type to *plan, of dynamic types
}

// For makes the Sizer for values of type V.
func For[V any]() *Sizer {
	s := &Sizer{}
	var none V
	switch any(none).(type) {
	case []byte:
		s.of, s.beside = bytesSize, besideBytes
		return s
	case string:
		s.of, s.beside = stringSize, besideString
		return s
	}
	t := reflect.TypeFor[V]()
	p := planOf(t)
	s.own = p
	if p.flat {
		size := p.boxed()
		s.of, s.beside = func(any) int { return size }, func(any) int { return 0 }
	}
	if t.Kind() != reflect.Interface {
		s.plans.Store(t, p)
	}
	return s
}

// Of is how much memory v takes: what is allocated to have it in an interface, and
// all that it refers to.
func (s *Sizer) Of(v any) int {
	if s.of != nil {
		return s.of(v)
	}
	if v == nil {
		return 0
	}
	w := walk{sizer: s, left: maxLooks}
	return w.interfaceSize(reflect.ValueOf(v), 0)
}

// Beside is how much memory a value refers to, without the value itself. at is a *V.
func (s *Sizer) Beside(at any) int {
	if s.beside != nil {
		return s.beside(at)
	}
	w := walk{sizer: s, left: maxLooks}
	return w.beyond(s.own, reflect.ValueOf(at).Elem(), 0)
}

func (s *Sizer) plan(t reflect.Type) *plan {
	if p, ok := s.plans.Load(t); ok {
		return p.(*plan)
	}
	p, _ := s.plans.LoadOrStore(t, planOf(t))
	return p.(*plan)
}

const (
	stringHeader = 16
	sliceHeader  = 24
)

func bytesSize(v any) int {
	b, _ := v.([]byte)
	return sliceHeader + Allocated(cap(b))
}

func besideBytes(at any) int {
	b, _ := at.(*[]byte)
	return Allocated(cap(*b))
}

func besideString(at any) int {
	text, _ := at.(*string)
	return Allocated(len(*text))
}

func stringSize(v any) int {
	text, _ := v.(string)
	return stringHeader + Allocated(len(text))
}
