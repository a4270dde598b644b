package evercache

import (
	"encoding/json"
	"fmt"
)

// Codec turns values into the bytes that are stored in Redis and back. It must
// be safe for concurrent use. What other programs stored is input like any
// other: Decode must not panic on it.
type Codec[V any] interface {
	Encode(v V) ([]byte, error)
	Decode(data []byte) (V, error)
}

// defaultCodec stores []byte and string as they are, everything else as JSON.
func defaultCodec[V any]() Codec[V] {
	var v V
	switch any(v).(type) {
	case []byte:
		return any(bytesCodec{}).(Codec[V])
	case string:
		return any(stringCodec{}).(Codec[V])
	}
	return jsonCodec[V]{}
}

type bytesCodec struct{}

func (bytesCodec) Encode(v []byte) ([]byte, error)    { return v, nil }
func (bytesCodec) Decode(data []byte) ([]byte, error) { return data, nil }

type stringCodec struct{}

func (stringCodec) Encode(v string) ([]byte, error)    { return []byte(v), nil }
func (stringCodec) Decode(data []byte) (string, error) { return string(data), nil }

type jsonCodec[V any] struct{}

func (jsonCodec[V]) Encode(v V) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec[V]) Decode(data []byte) (v V, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
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
