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
	of    func(v any) int // for a type that needs no walk
	plans sync.Map        // reflect.Type to *plan, of dynamic types
}

// For makes the Sizer for values of type V.
func For[V any]() *Sizer {
	s := &Sizer{}
	var none V
	switch any(none).(type) {
	case []byte:
		s.of = bytesSize
		return s
	case string:
		s.of = stringSize
		return s
	}
	t := reflect.TypeFor[V]()
	if t.Kind() == reflect.Interface {
		return s
	}
	p := planOf(t)
	if p.flat {
		size := p.boxed()
		s.of = func(any) int { return size }
	}
	s.plans.Store(t, p)
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
	return sliceHeader + allocated(cap(b))
}

func stringSize(v any) int {
	text, _ := v.(string)
	return stringHeader + allocated(len(text))
}

// allocated is about what the allocator takes for n bytes.
func allocated(n int) int {
	step := 8
	switch {
	case n <= 0:
		return 0
	case n > 32<<10:
		step = 8 << 10 // whole pages
	default:
		for step*16 <= n { // eight classes between a power of two and the next
			step *= 2
		}
	}
	return (n + step - 1) / step * step
}
