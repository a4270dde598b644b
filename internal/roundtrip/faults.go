// Package roundtrip tells what encoding/json loses on the way to another process: of
// a type, before any value is stored, and of strings in a value.
package roundtrip

import (
	"fmt"
	"reflect"
)

// Fault is one part of a type that does not come back from JSON as it was.
type Fault struct {
	Path string // from the value: "the value" itself, or a field as Owner.Name, Tags[]
	Why  string
}

func (f Fault) Error() string { return f.Path + ": " + f.Why }

// mostFaults bounds what is listed of one type: the first ones say what to do.
const mostFaults = 8

// Faults lists what encoding/json loses of a value of type t that is encoded through
// a pointer. A type that has methods to encode and to decode itself is trusted. At
// most mostFaults are listed.
func Faults(t reflect.Type) []Fault {
	in := inspection{seen: map[visit]bool{}}
	in.value("", t, true)
	return in.faults
}

type inspection struct {
	seen   map[visit]bool // types may contain themselves
	faults []Fault
}

// visit: a method of the pointer is called where the value has an address only.
type visit struct {
	t           reflect.Type
	addressable bool
}

func (in *inspection) fault(path, why string, a ...any) {
	if path == "" {
		path = "the value"
	}
	if len(in.faults) < mostFaults {
		in.faults = append(in.faults, Fault{path, fmt.Sprintf(why, a...)})
	}
}

func (in *inspection) value(path string, t reflect.Type, addressable bool) {
	switch t.Kind() {
	case reflect.Interface:
		in.fault(path, "it is an interface (%v), and JSON brings back another type, a number as float64", t)
		return
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		if in.seen[visit{t, addressable}] {
			return
		}
		in.seen[visit{t, addressable}] = true
	}
	if in.byMethods(path, t, addressable) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		in.value(path, t.Elem(), true)
	case reflect.Slice:
		in.value(path+"[]", t.Elem(), true)
	case reflect.Array:
		in.value(path+"[]", t.Elem(), addressable)
	case reflect.Map:
		in.mapKey(path, t.Key())
		in.value(path+"[]", t.Elem(), false)
	case reflect.Struct:
		in.structure(path, t, addressable)
	case reflect.Complex64, reflect.Complex128, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		in.fault(path, "JSON has no %v", t.Kind())
	}
}

// byMethods reports whether the type's own methods decide, and finds those that do
// not go together.
func (in *inspection) byMethods(path string, t reflect.Type, addressable bool) (decided bool) {
	encodes, decodes := encodes(t, addressable), decodes(t)
	switch from, promoted := promoted(t); {
	case !encodes && decodes && wouldEncode(t):
		in.fault(path, "the method that encodes it has a pointer receiver, and is not called for the values of a map")
	case !encodes:
		return false // decode may read more than what is encoded
	case promoted:
		in.fault(path, "its JSON is that of its field %s alone, whose methods it has", from)
	case !decodes:
		in.fault(path, "it has a method to encode it as JSON or text, and none to decode that")
	}
	return true
}

// mapKey looks at what JSON makes of a key: a string.
func (in *inspection) mapKey(path string, t reflect.Type) {
	switch t.Kind() {
	case reflect.String:
		return
	case reflect.Interface:
		in.fault(path, "its keys are an interface, and JSON has strings only")
		return
	}
	text := t.Implements(textMarshaler)
	switch {
	case text && !reflect.PointerTo(t).Implements(textUnmarshaler):
		in.fault(path, "its keys (%v) have a method to encode them as text, and none to decode that", t)
	case !text && !(reflect.Int <= t.Kind() && t.Kind() <= reflect.Uintptr):
		in.fault(path, "JSON has no keys of type %v", t)
	}
}
