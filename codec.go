package evercache

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/evercache/evercache/internal/roundtrip"
)

// Codec turns values into the bytes that are stored in Redis and back. It must
// be safe for concurrent use. What other programs stored is input like any
// other: Decode must not panic on it.
type Codec[V any] interface {
	Encode(v V) ([]byte, error)
	Decode(data []byte) (V, error)
}

// JSON is the codec that stores values as encoding/json makes them. NewCache uses it
// for all but []byte and string, and then refuses types of which JSON loses a part:
// another process would read something else than this one has written. Given with
// WithCodec, it says that the application can do without that part.
func JSON[V any]() Codec[V] { return jsonCodec[V]{} }

// defaultCodec stores []byte and string as they are, everything else as JSON.
func defaultCodec[V any]() Codec[V] {
	var v V
	switch any(v).(type) {
	case []byte:
		return any(bytesCodec{}).(Codec[V])
	case string:
		return any(stringCodec{}).(Codec[V])
	}
	return jsonCodec[V]{whole: true}
}

type bytesCodec struct{}

func (bytesCodec) Encode(v []byte) ([]byte, error)    { return v, nil }
func (bytesCodec) Decode(data []byte) ([]byte, error) { return data, nil }

type stringCodec struct{}

func (stringCodec) Encode(v string) ([]byte, error)    { return []byte(v), nil }
func (stringCodec) Decode(data []byte) (string, error) { return string(data), nil }

// jsonCodec encodes through a pointer: else methods that have a pointer receiver
// would decode, but not encode.
type jsonCodec[V any] struct {
	whole bool // what JSON would change is refused
}

func (c jsonCodec[V]) Encode(v V) ([]byte, error) {
	data, err := json.Marshal(&v)
	if err == nil && c.whole {
		err = roundtrip.Text(data, &v)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

func (jsonCodec[V]) Decode(data []byte) (v V, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}

// codecFault is why the codec cannot be used for V; nil: it can.
func codecFault[V any](c Codec[V]) error {
	if c == nil {
		return errors.New("WithCodec: nil was given; leave the option out for the default")
	}
	if v := reflect.ValueOf(c); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("WithCodec: a nil %v was given", v.Type())
	}
	if j, ok := c.(jsonCodec[V]); !ok || !j.whole {
		return nil
	}
	faults := roundtrip.Faults(reflect.TypeFor[V]())
	if len(faults) == 0 {
		return nil
	}
	var text strings.Builder
	text.WriteString("another process would not read what is written here, since values are stored as JSON:\n")
	for _, f := range faults {
		fmt.Fprintf(&text, "  %v\n", f)
	}
	text.WriteString("give a codec that keeps them (WithCodec), or WithCodec(evercache.JSON[V]()) if that may be lost")
	return errors.New(text.String())
}

// decode shields callers from a codec that panics on foreign bytes.
func decode[V any](c Codec[V], data []byte) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode panicked: %v", p)
		}
	}()
	return c.Decode(data)
}
