package heapsize

import (
	"reflect"
	"time"
)

// plan is what there is to know of a type.
type plan struct {
	kind      reflect.Kind
	size      int   // of a value itself
	flat      bool  // it refers to nothing that counts
	key, elem *plan // of a map, slice, array or pointer
	typ       reflect.Type
	fields    []field // of a struct: those that are not flat
}

type field struct {
	index int
	plan  *plan
}

// boxed is what is allocated to have a value in an interface.
func (p *plan) boxed() int {
	switch p.kind {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return 0 // it is in the interface itself
	}
	return Allocated(p.size)
}

func planOf(t reflect.Type) *plan { return planner{}.plan(t) }

// planner has the plans of the types on the way, for types that refer to themselves.
type planner map[reflect.Type]*plan

var timeType = reflect.TypeFor[time.Time]()

func (all planner) plan(t reflect.Type) *plan {
	if p := all[t]; p != nil {
		return p
	}
	p := &plan{kind: t.Kind(), size: int(t.Size()), typ: t}
	all[t] = p
	switch p.kind {
	case reflect.String, reflect.Interface:
	case reflect.Slice, reflect.Pointer:
		p.elem = all.plan(t.Elem())
	case reflect.Array:
		p.elem = all.plan(t.Elem())
		p.flat = p.elem.flat || t.Len() == 0
	case reflect.Map:
		p.key, p.elem = all.plan(t.Key()), all.plan(t.Elem())
	case reflect.Struct:
		p.fields = all.fields(t)
		p.flat = len(p.fields) == 0
	default:
		p.flat = true
	}
	return p
}

// fields are those that are to be looked at. The zone of a time is shared.
func (all planner) fields(t reflect.Type) (fields []field) {
	if t == timeType || guarded(t) {
		return nil
	}
	for i := range t.NumField() {
		if p := all.plan(t.Field(i).Type); !p.flat {
			fields = append(fields, field{i, p})
		}
	}
	return fields
}

// guarded reports whether a struct has a lock or an atomic in itself: what else it
// has may change at any time.
func guarded(t reflect.Type) bool {
	if fromSync(t) {
		return true
	}
	for f := range t.Fields() {
		if fromSync(f.Type) || f.Anonymous && f.Type.Kind() == reflect.Struct && guarded(f.Type) {
			return true
		}
	}
	return false
}

// fromSync reports whether it is a type of sync or sync/atomic, or an array of or a
// pointer to one.
func fromSync(t reflect.Type) bool {
	for t.Kind() == reflect.Array || t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	return t.PkgPath() == "sync" || t.PkgPath() == "sync/atomic"
}
