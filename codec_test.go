package evercache

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

type product struct {
	Name  string            `json:"name"`
	Price int               `json:"price,omitempty"`
	Tags  []string          `json:"tags,omitempty"`
	Extra map[string]string `json:"extra,omitempty"`
}

type label string // a type of its own is a value like any other

func encoded[V any](v V) (string, error) {
	data, err := defaultCodec[V]().Encode(v)
	return string(data), err
}

func TestBytesAndStringsAreStoredAsTheyAreAndTheRestAsJSON(t *testing.T) {
	tests := []struct {
		name string
		got  func() (string, error)
		want string
	}{
		{"string", func() (string, error) { return encoded("a\"b\x00\xff") }, "a\"b\x00\xff"},
		{"empty string", func() (string, error) { return encoded("") }, ""},
		{"bytes", func() (string, error) { return encoded([]byte{0, 255, '"'}) }, "\x00\xff\""},
		{"no bytes", func() (string, error) { return encoded([]byte(nil)) }, ""},
		{"number", func() (string, error) { return encoded(42) }, "42"},
		{"struct", func() (string, error) { return encoded(product{Name: "lamp"}) }, `{"name":"lamp"}`},
		{"pointer", func() (string, error) { return encoded(&product{Name: "lamp", Price: 3}) }, `{"name":"lamp","price":3}`},
		{"nil pointer", func() (string, error) { return encoded((*product)(nil)) }, "null"},
		{"a string type of its own", func() (string, error) { return encoded(label("x")) }, `"x"`},
		{"raw JSON", func() (string, error) { return encoded(json.RawMessage(`{"a":1}`)) }, `{"a":1}`},
		{"an interface", func() (string, error) { return encoded[any]("x") }, `"x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := tt.got(); got != tt.want || err != nil {
				t.Errorf("stored as %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	if got, err := encoded(math.NaN()); err == nil {
		t.Errorf("what JSON cannot say is stored as %q", got)
	}
}

func TestForeignBytesAreAnErrorAtMost(t *testing.T) {
	for _, data := range []string{"", "{", "null", "[]", `{"name":1}`, "\xff", `{"name":"lamp"} and more`, strings.Repeat("[", 100_000)} {
		if v, err := decode(defaultCodec[product](), []byte(data)); err == nil && v.Name != "" {
			t.Errorf("%.20q is read as %+v", data, v)
		}
		if v, err := decode(defaultCodec[string](), []byte(data)); err != nil || v != data {
			t.Errorf("%.20q as a string: %.20q, %v", data, v, err)
		}
	}
}

// panicking is a codec that trusts what it reads and writes.
type panicking struct{ encodes bool }

func (c panicking) Encode(v string) ([]byte, error) {
	if c.encodes {
		return []byte(v), nil
	}
	panic("encode")
}

func (panicking) Decode(data []byte) (string, error) {
	return string(data[len(data)]), nil // an index out of range
}

func TestACodecThatPanicsOnWhatItReadsMakesAMiss(t *testing.T) {
	v, err := decode(panicking{}, []byte("abc"))
	if err == nil || v != "" {
		t.Errorf("decoded %q, %v", v, err)
	}
	synctest.Test(t, func(t *testing.T) {
		client := open(t, Options{Addr: noRedis})
		c := cacheOf(t, client, "c", Policy{}, WithCodec(panicking{encodes: true}))
		_, _ = c.Set(t.Context(), "a", "v") // kept for the next master, encoded
		client.memory.Clear()
		got, err := c.Get(t.Context(), "a", constant("loaded"))
		if err != nil && !IsUnavailable(err) || err == nil && got != "loaded" {
			t.Errorf("read %q, %v", got, err)
		}
		if n := client.Stats().DecodeFailures; n != 1 {
			t.Errorf("%d failures are counted, want 1", n)
		}
	})
}

func TestACodecThatPanicsOnWhatWasLoadedDoesNotEndTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(t, openMemory(t), "c", Policy{}, WithCodec(panicking{}))
		_, err := c.Get(t.Context(), "a", constant("v"))
		if e, ok := errors.AsType[*LoadPanicError](err); !ok || e.Value != "encode" {
			t.Errorf("error = %v", err)
		}
	})
}

// With a clone nothing is shared with the caller, nor is what waits for Redis.
func TestWithCloneWhatWaitsForRedisIsTheClonesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := open(t, Options{Addr: noRedis})
		c := cacheOf(t, client, "c", Policy{}, WithClone(bytes.Clone))
		mine := []byte("as it was")
		_, _ = c.Set(t.Context(), "a", mine)
		copy(mine, "XXXXXXXXX")
		if r, _ := client.one().Find("c:a"); string(r.Value) != "as it was" {
			t.Errorf("%q waits for Redis", r.Value)
		}
		got, err := c.Get(t.Context(), "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		copy(got, "YYYYYYYYY")
		if r, _ := client.one().Find("c:a"); string(r.Value) != "as it was" {
			t.Errorf("after a caller changed what he read, %q waits for Redis", r.Value)
		}
	})
}

func TestWithWeightDecidesWhatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := open(t, Options{MemoryOnly: true, MemoryBytes: 10_000})
		c := cacheOf(t, client, "c", Policy{TTL: time.Hour}, WithWeight(func(v string) int {
			switch v {
			case "heavy":
				return 20_000
			case "wrong":
				return -5
			}
			return 10
		}))
		for v, fits := range map[string]bool{"heavy": false, "light": true, "wrong": true} {
			_, err := c.Set(t.Context(), v, v)
			synctest.Wait()
			_, lookup := c.Lookup(t.Context(), v)
			if err != nil || (lookup == nil) != fits {
				t.Errorf("%s: Set = %v, Lookup = %v", v, err, lookup)
			}
		}
	})
}

func FuzzCodecs(f *testing.F) {
	for _, s := range []string{"", "a", `{"name":"lamp","tags":["a"],"extra":{"k":"v"}}`, `{"name":"\ud800"}`, "null", "[[", "\x00\xff", `{"price":1e400}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := defaultCodec[[]byte]().Decode(data); err != nil || !bytes.Equal(got, data) {
			t.Errorf("bytes: %q, %v", got, err)
		}
		stored, err := defaultCodec[string]().Encode(string(data))
		if err != nil || !bytes.Equal(stored, data) {
			t.Errorf("a string is stored as %q, %v", stored, err)
		}
		// garbage never panics, and what was read once is read again
		if v, err := defaultCodec[product]().Decode(data); err == nil {
			again(t, v)
		}
		if v, err := defaultCodec[any]().Decode(data); err == nil {
			again(t, v)
		}
		if s := string(data); utf8.ValidString(s) {
			again(t, product{Name: s, Tags: []string{s}, Extra: map[string]string{s: s}})
		}
	})
}

func again[V any](t *testing.T, v V) {
	t.Helper()
	codec := defaultCodec[V]()
	stored, err := codec.Encode(v)
	if err != nil {
		t.Fatalf("%+v cannot be stored: %v", v, err)
	}
	got, err := codec.Decode(stored)
	if err != nil {
		t.Fatalf("%s cannot be read: %v", stored, err)
	}
	// an empty list and none are the same to omitempty
	twice, err := codec.Encode(got)
	if err != nil || !bytes.Equal(stored, twice) {
		t.Errorf("%+v came back as %+v: %s", v, got, cmp.Diff(string(stored), string(twice)))
	}
}
