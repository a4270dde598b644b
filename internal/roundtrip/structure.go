package roundtrip

import (
	"reflect"
	"strings"
)

// structure looks at the fields of a struct as JSON does: those of an embedded
// struct without a name in JSON are its own.
func (in *inspection) structure(path string, t reflect.Type, addressable bool) {
	s := structure{inspection: in, names: map[string]string{}, embedded: map[reflect.Type]bool{}, addressable: addressable}
	s.fields(path, t)
}

type structure struct {
	*inspection
	names       map[string]string // in JSON, and where they are
	embedded    map[reflect.Type]bool
	addressable bool
}

func (s *structure) fields(path string, t reflect.Type) {
	if s.embedded[t] {
		return
	}
	s.embedded[t] = true
	for f := range t.Fields() {
		if f.Type.Size() > 0 && f.Name != "_" { // else it holds nothing
			s.field(join(path, f.Name), f)
		}
	}
}

func (s *structure) field(path string, f reflect.StructField) {
	tag := f.Tag.Get("json")
	name, _, _ := strings.Cut(tag, ",")
	within := f.Type
	if within.Kind() == reflect.Pointer {
		within = within.Elem()
	}
	flat := f.Anonymous && name == "" && within.Kind() == reflect.Struct
	switch {
	case tag == "-": // whoever wrote it wants that
	case !f.IsExported() && f.Anonymous && within.Kind() == reflect.Struct && f.Type.Kind() == reflect.Pointer:
		s.fault(path, "it is an embedded pointer to a type that is not exported, and JSON cannot set it")
	case !f.IsExported() && !(f.Anonymous && within.Kind() == reflect.Struct):
		s.fault(path, "it is not exported, and JSON leaves it out")
	case flat:
		s.fields(path, within)
	default:
		s.named(path, name, f)
	}
}

func (s *structure) named(path, name string, f reflect.StructField) {
	if name == "" {
		name = f.Name
	}
	if other, ok := s.names[name]; ok {
		s.fault(path, "it is called %q in JSON, and so is %s: one of them is left out", name, other)
		return
	}
	s.names[name] = path
	s.value(path, f.Type, s.addressable)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
