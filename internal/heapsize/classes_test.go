package heapsize

import (
	"reflect"
	"testing"
)

func TestAllocatedIsWhatTheAllocatorTakes(t *testing.T) {
	for n := 1; n < 70_000; n += 1 + n/500 {
		if got, want := Allocated(n), cap(append([]byte(nil), make([]byte, n)...)); got != want {
			t.Fatalf("for %d bytes: %d, the allocator takes %d", n, got, want)
		}
	}
	if Allocated(0) != 0 {
		t.Error("nothing takes something")
	}
}

// Beside and the value itself are what Of says.
func TestBesideAValueIsTheRest(t *testing.T) {
	for i := range 3 {
		p, b, s, m := someProduct(i), make([]byte, 100*i, 1000), text(i, 50*i), mapOf(7*i)
		var a any = p
		for name, got := range map[string]int{
			"struct": For[product]().Of(p) - For[product]().Beside(&p) - planOf(reflect.TypeFor[product]()).boxed(),
			"bytes":  For[[]byte]().Of(b) - For[[]byte]().Beside(&b) - sliceHeader,
			"string": For[string]().Of(s) - For[string]().Beside(&s) - stringHeader,
			"map":    For[map[string]string]().Of(m) - For[map[string]string]().Beside(&m),
			"any":    For[any]().Of(a) - For[any]().Beside(&a),
			"flat":   For[flat]().Of(flat{}) - For[flat]().Beside(new(flat)) - planOf(reflect.TypeFor[flat]()).boxed(),
		} {
			if got != 0 {
				t.Errorf("%s %d: Of is %d more than Beside and the value", name, i, got)
			}
		}
	}
}
