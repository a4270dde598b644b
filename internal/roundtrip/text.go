package roundtrip

import (
	"bytes"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// replaced is what encoding/json writes for a byte that is no UTF-8. It writes the
// character itself where a string has that.
var replaced = []byte(`\ufffd`)

// Text returns an error when v has a string that is no UTF-8: JSON, which v has been
// encoded as, has replaced a part of it. To look for that costs little where there
// is none.
func Text(encoded []byte, v any) error {
	if !bytes.Contains(encoded, replaced) {
		return nil
	}
	return text("", reflect.ValueOf(v))
}

// text goes over a value that JSON has gone over, so it does not contain itself.
func text(path string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return below(path, v.Elem())
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			if path == "" {
				path = "the value"
			}
			return fmt.Errorf("%s: a string that is no UTF-8, of which JSON would store something else", path)
		}
	case reflect.Slice, reflect.Array:
		return elements(path+"[]", v)
	case reflect.Map:
		return entries(path+"[]", v)
	case reflect.Struct:
		return fields(path, v)
	}
	return nil
}

func elements(path string, v reflect.Value) error {
	switch v.Type().Elem().Kind() {
	case reflect.String, reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
	default:
		return nil
	}
	for i := range v.Len() {
		if err := below(path, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func entries(path string, v reflect.Value) error {
	for it := v.MapRange(); it.Next(); {
		if err := text(path, it.Key()); err != nil && it.Key().Kind() == reflect.String {
			return err
		}
		if err := below(path, it.Value()); err != nil {
			return err
		}
	}
	return nil
}

func fields(path string, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if err := below(join(path, f.Name), v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// below is text for a part, which may encode itself.
func below(path string, v reflect.Value) error {
	if encodes(v.Type(), v.CanAddr()) {
		return nil
	}
	return text(path, v)
}
