package roundtrip

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

type (
	base     struct{ ID int }
	hidden   struct{ ID int }
	Exported struct{ ID int }
	tree     struct {
		Name     string
		Children []*tree
		ByName   map[string]tree
	}
	money     struct{ cents int64 }
	byPointer struct{ cents int64 }
	oneWay    struct{ Cents int64 }
	lenient   int
	dated     struct {
		time.Time
		Note string
	}
	datedOwn struct {
		time.Time
		Note string
	}
	textKey   struct{ A, B string }
	oneWayKey struct{ A string }
	ring      *ring
)

func (m money) MarshalJSON() ([]byte, error)      { return json.Marshal(m.cents) }
func (m *money) UnmarshalJSON(b []byte) error     { return json.Unmarshal(b, &m.cents) }
func (m *byPointer) MarshalJSON() ([]byte, error) { return json.Marshal(m.cents) }
func (m *byPointer) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &m.cents) }
func (oneWay) MarshalJSON() ([]byte, error)       { return []byte(`"1 cent"`), nil }
func (l *lenient) UnmarshalJSON(b []byte) error {
	return json.Unmarshal([]byte(strings.Trim(string(b), `"`)), (*int)(l))
}

func (d datedOwn) MarshalJSON() ([]byte, error)  { return json.Marshal([]any{d.Time, d.Note}) }
func (d *datedOwn) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[]any{&d.Time, &d.Note}) }

func (k textKey) MarshalText() ([]byte, error) { return []byte(k.A + "|" + k.B), nil }
func (k *textKey) UnmarshalText(b []byte) error {
	k.A, k.B, _ = strings.Cut(string(b), "|")
	return nil
}
func (k oneWayKey) MarshalText() ([]byte, error) { return []byte(k.A), nil }

// namedTwice has two fields of one name in JSON. Vet would not let it be written down.
func namedTwice() any {
	v := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"x"`},
		{Name: "B", Type: reflect.TypeFor[string](), Tag: `json:"x"`},
	})).Elem()
	v.Field(0).SetString("a")
	return v.Interface()
}

// back is v after a journey as JSON.
func back(v any) (got any, err error) {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	data, err := json.Marshal(p.Interface())
	if err != nil {
		return nil, err
	}
	to := reflect.New(reflect.TypeOf(v))
	err = json.Unmarshal(data, to.Interface())
	return to.Elem().Interface(), err
}

// Each value is one that JSON loses something of, so that nothing is refused without
// a reason.
func TestWhatJSONLosesIsFound(t *testing.T) {
	tests := []struct {
		name string
		v    any
		at   string // of the first fault
		why  string
	}{
		{"a field that is not exported", struct{ balance int }{7}, "balance", "not exported"},
		{"beside an exported one", struct {
			ID      int
			balance int
		}{1, 7}, "balance", "not exported"},
		{"deep down", []map[string]*struct{ Owner struct{ secret string } }{{"a": {Owner: struct{ secret string }{"x"}}}}, "[][].Owner.secret", "not exported"},
		{"an interface", struct{ Any any }{7}, "Any", "interface"},
		{"a map of anything", map[string]any{"n": 7}, "[]", "interface"},
		{"an error", struct{ Err error }{errors.New("no")}, "Err", "interface"},
		{"an interface with methods of JSON", struct{ M json.Marshaler }{money{7}}, "M", "interface"},
		{"a complex number", 1i, "the value", "complex128"},
		{"a channel", make(chan int), "the value", "chan"},
		{"a function", struct{ F func() }{func() {}}, "F", "func"},
		{"a mutex", struct{ Mu sync.Mutex }{}, "Mu._", ""},
		{"user info in a URL", url.URL{Host: "h", User: url.UserPassword("u", "p")}, "User.username", "not exported"},
		{"one name for two fields", namedTwice(), "B", `called "x"`},
		{"a field that hides an embedded one", struct {
			ID string
			base
		}{"a", base{7}}, "base.ID", `called "ID"`},
		{"an embedded pointer that is not exported", struct{ *hidden }{&hidden{7}}, "hidden", "cannot set it"},
		{"an embedded number that is not exported", struct{ lenient }{7}, "lenient", ""},
		{"methods of an embedded field", dated{time.Unix(1, 0).UTC(), "x"}, "the value", "field Time"},
		{"the same without a name", struct {
			time.Time
			Note string
		}{time.Unix(1, 0).UTC(), "x"}, "the value", "field Time"},
		{"encoded and not decoded", oneWay{7}, "the value", "none to decode"},
		{"a pointer receiver in a map", map[string]byPointer{"a": {7}}, "[]", "pointer receiver"},
		{"keys that are floats", map[float64]int{1: 1}, "the value", "keys of type float64"},
		{"keys that are anything", map[any]int{1: 1}, "the value", "keys are an interface"},
		{"keys that are not decoded", map[oneWayKey]int{{"a"}: 1}, "the value", "none to decode"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			faults := Faults(reflect.TypeOf(tt.v))
			if len(faults) == 0 {
				t.Fatal("nothing is found")
			}
			if f := faults[0]; tt.why != "" && (f.Path != tt.at || !strings.Contains(f.Why, tt.why)) {
				t.Errorf("found %q, want %q because of %q", f.Error(), tt.at, tt.why)
			}
			if got, err := back(tt.v); err == nil && reflect.DeepEqual(got, tt.v) && tt.why != "" {
				t.Errorf("%+v comes back as it was", tt.v)
			}
		})
	}
}

func TestWhatJSONKeepsIsTaken(t *testing.T) {
	day := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, v := range []any{
		7, int8(-7), uint64(1<<64 - 1), int64(-1 << 63), 1.5, float32(0.1), true, "text",
		[]byte{0, 255},
		[3]byte{1, 2, 3},
		[]string{"a"},
		map[string]int{"a": 1},
		map[int]string{1: "a"},
		map[netip.Addr]int{netip.MustParseAddr("::1"): 1},
		map[textKey]int{{"a", "b"}: 1},
		struct{}{},
		struct {
			_ [0]func()
			A int
		}{A: 1},
		Exported{7},
		struct{ Exported }{Exported{7}},
		struct{ *Exported }{&Exported{7}},
		struct{ base }{base{7}},
		&Exported{7},
		struct {
			A int  `json:"a,omitempty"`
			B *int `json:",omitempty"`
			C float64
			D int64 `json:",string"`
		}{1, new(2), 3, 4},
		tree{Name: "a", Children: []*tree{{Name: "b"}}, ByName: map[string]tree{"c": {Name: "d"}}},
		day, &day, time.Hour,
		map[string]time.Time{"a": day},
		struct{ At *time.Time }{&day},
		money{7},
		[]money{{7}},
		map[string]money{"a": {7}},
		byPointer{7},
		[]byPointer{{7}},
		map[string]*byPointer{"a": {7}},
		struct{ P byPointer }{byPointer{7}},
		lenient(7),
		datedOwn{day, "x"},
		json.RawMessage(`{"a":1}`), json.Number("7"), big.NewInt(7), netip.MustParseAddr("10.0.0.1"), ring(nil),
	} {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) {
			if faults := Faults(reflect.TypeOf(v)); len(faults) > 0 {
				t.Errorf("refused: %v", faults)
			}
			if got, err := back(v); err != nil || !reflect.DeepEqual(got, v) {
				t.Errorf("%+v comes back as %+v, %v", v, got, err)
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	fields := make([]reflect.StructField, 500)
	for i := range fields {
		fields[i] = reflect.StructField{Name: fmt.Sprint("F", i), Type: reflect.TypeFor[any]()}
	}
	if n := len(Faults(reflect.StructOf(fields))); n != mostFaults {
		t.Errorf("%d faults are listed, want %d", n, mostFaults)
	}
}

func TestAStringThatJSONWouldChangeIsFound(t *testing.T) {
	type inner struct{ Text string }
	type value struct {
		Text  string
		Inner *inner
		List  []string
		Map   map[string]inner
		Raw   json.RawMessage
		Bytes []byte
		At    time.Time
	}
	tests := []struct {
		name string
		v    value
		want string
	}{
		{"ASCII", value{Text: "a"}, ""},
		{"the replacement itself", value{Text: "\ufffd"}, ""},
		{"its escape as text", value{Text: `\ufffd`}, ""},
		{"its escape in raw JSON", value{Raw: json.RawMessage(`"\ufffd"`)}, ""},
		{"bytes", value{Bytes: []byte{0xff}}, ""},
		{"no UTF-8", value{Text: "a\xff"}, "Text"},
		{"half a character", value{Inner: &inner{"\xe2\x82"}}, "Inner.Text"},
		{"in a list", value{List: []string{"a", "\xff"}}, "List[]"},
		{"in a map", value{Map: map[string]inner{"a": {"\xff"}}}, "Map[].Text"},
		{"as a key", value{Map: map[string]inner{"\xff": {}}}, "Map[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := json.Marshal(&tt.v)
			if err != nil {
				t.Fatal(err)
			}
			err = Text(data, &tt.v)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want+":") {
				t.Errorf("found %v, want it at %q", err, tt.want)
			}
		})
	}
}
