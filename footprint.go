package evercache

import "reflect"

// footprint is about what a value takes in memory. It is for one that has no encoded
// form to be measured by. What has too many parts to be counted, or contains itself,
// has the size of what no memory keeps.
func footprint(v any) int {
	f := measure{left: mostParts}
	f.all(reflect.ValueOf(&v).Elem())
	if f.left < 0 {
		return tooLarge
	}
	return min(f.bytes, tooLarge)
}

const (
	mostParts = 10_000
	tooLarge  = 1 << 30 // see newItem
)

type measure struct{ bytes, left int }

// all adds a value and what it refers to.
func (m *measure) all(v reflect.Value) {
	m.bytes += int(v.Type().Size())
	m.beyond(v)
}

// beyond adds what a value refers to.
func (m *measure) beyond(v reflect.Value) {
	if m.left--; m.left < 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		m.bytes += v.Len()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			m.all(v.Elem())
		}
	case reflect.Slice:
		m.bytes += v.Len() * int(v.Type().Elem().Size())
		m.elements(v)
	case reflect.Array:
		m.elements(v)
	case reflect.Map:
		for it := v.MapRange(); m.left >= 0 && it.Next(); {
			m.all(it.Key())
			m.all(it.Value())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			m.beyond(field)
		}
	}
}

func (m *measure) elements(v reflect.Value) {
	if k := v.Type().Elem().Kind(); reflect.Bool <= k && k <= reflect.Complex128 {
		return // they refer to nothing
	}
	for i := 0; i < v.Len() && m.left >= 0; i++ {
		m.beyond(v.Index(i))
	}
}
