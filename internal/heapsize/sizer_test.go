package heapsize

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type flat struct {
	A, B int
	At   time.Time
	C    [4]float64
}

type node struct {
	Name        string
	Left, Right *node
	up          *node
}

type product struct {
	ID      string
	Price   *float64
	Tags    []string
	Attr    map[string]string
	Parts   []part
	Created time.Time
	index   map[int]*part // not in its JSON
	Blob    []byte        `json:"-"`
}

type part struct {
	Name string
	N    int
}

// real is what n values that make returns take each.
func real(n int, make func(i int) any) int {
	all := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	kept := [1000]any{}
	before := all()
	for i := range n {
		kept[i] = make(i)
	}
	took := int(all()-before) / n
	runtime.KeepAlive(&kept)
	return took
}

func text(i, n int) string { return strings.Repeat(string(rune('a'+i%26)), n) }

func strs(i, n, length int) (all []string) {
	for j := range n {
		all = append(all, text(i+j, length))
	}
	return all
}

func tree(depth int, up *node) *node {
	if depth == 0 {
		return nil
	}
	n := &node{Name: text(depth, 20), up: up}
	n.Left, n.Right = tree(depth-1, n), tree(depth-1, n)
	return n
}

func mapOf(n int) map[string]string {
	m := map[string]string{}
	for j := range n {
		m[fmt.Sprint("key-", j)] = text(j, 30)
	}
	return m
}

func someProduct(i int) product {
	p := product{ID: text(i, 12), Price: new(1.5), Tags: strs(i, 5, 10), Attr: mapOf(6), Created: time.Now(), index: map[int]*part{}, Blob: make([]byte, 1000)}
	for j := range 20 {
		p.Parts = append(p.Parts, part{text(j, 25), j})
		p.index[j] = &p.Parts[j]
	}
	return p
}

func fromJSON(i int) any {
	var v any
	data := fmt.Sprintf(`{"id":%d,"name":"%s","tags":["one","two","three"],"more":{"a":{"b":[1,2,3,4,5]},"ok":true}}`, i, text(i, 40))
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		panic(err)
	}
	return v
}

func TestAnEstimateIsNearTheTruth(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sizer *Sizer
		n     int
		make  func(i int) any
	}{
		{"bytes", For[[]byte](), 1000, func(int) any { return make([]byte, 1000) }},
		{"bytes with room", For[[]byte](), 1000, func(int) any { return make([]byte, 10, 5000) }},
		{"large bytes", For[[]byte](), 50, func(int) any { return make([]byte, 100_000) }},
		{"string", For[string](), 1000, func(i int) any { return text(i, 333) }},
		{"flat", For[flat](), 1000, func(i int) any { return flat{A: i} }},
		{"pointer to flat", For[*flat](), 1000, func(i int) any { return &flat{A: i} }},
		{"strings", For[[]string](), 100, func(i int) any { return strs(i, 50, 40) }},
		{"tree with a way up", For[*node](), 50, func(int) any { return tree(6, nil) }},
		{"small map", For[map[string]string](), 200, func(int) any { return mapOf(5) }},
		{"map", For[map[string]string](), 50, func(int) any { return mapOf(100) }},
		{"large map", For[map[string]string](), 3, func(int) any { return mapOf(3000) }},
		{"map of numbers", For[map[int]int](), 50, func(int) any {
			m := map[int]int{}
			for j := range 1000 {
				m[j] = j
			}
			return m
		}},
		{"map of large values", For[map[int][200]byte](), 50, func(int) any {
			m := map[int][200]byte{}
			for j := range 100 {
				m[j] = [200]byte{}
			}
			return m
		}},
		{"product", For[product](), 50, func(i int) any { return someProduct(i) }},
		{"pointer to product", For[*product](), 50, func(i int) any { return new(someProduct(i)) }},
		{"what JSON makes of no type", For[any](), 200, fromJSON},
		{"slice of pointers", For[[]*flat](), 100, func(int) any {
			all := []*flat{}
			for range 200 {
				all = append(all, &flat{})
			}
			return all
		}},
		{"more than is looked at", For[[][]string](), 2, func(i int) any {
			all := [][]string{}
			for range 2000 {
				all = append(all, strs(i, 20, 30))
			}
			return all
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, want := tt.sizer.Of(tt.make(0)), real(tt.n, tt.make)
			if got < want*8/10 || got > want*14/10 {
				t.Errorf("%d, and it takes %d", got, want)
			}
			t.Logf("%d, and it takes %d", got, want)
		})
	}
}

func TestWhatAValueHasTwiceCountsOnce(t *testing.T) {
	one := &part{Name: text(0, 1000)}
	twice := For[[]*part]().Of([]*part{one, one})
	if once := For[[]*part]().Of([]*part{one, nil}); twice != once {
		t.Errorf("%d, want %d", twice, once)
	}
	ring := &node{Name: text(0, 100)}
	ring.Left, ring.Right = &node{up: ring, Left: ring}, ring
	if n := For[*node]().Of(ring); n > 400 {
		t.Errorf("what leads back to itself: %d", n)
	}
	self := map[string]any{}
	self["self"] = self
	if n := For[any]().Of(self); n > 1000 {
		t.Errorf("a map that has itself: %d", n)
	}
}

type counter struct {
	name string
	_    sync.Mutex
	all  map[string]int // the lock is for it
}

type embedding struct {
	counter
	more []string
}

type message struct { // as generated code has it
	state struct {
		_    [0]sync.Mutex
		info *[]string
	}
	Text string
}

// What a lock guards may change meanwhile, and to look at it would end the process.
func TestWhatALockGuardsIsNotLookedAt(t *testing.T) {
	big := mapOf(1000)
	n := map[string]int{}
	for key := range big {
		n[key] = 1
	}
	if got := For[*counter]().Of(&counter{name: text(0, 10_000), all: n}); got > 100 {
		t.Errorf("a struct with a lock: %d", got)
	}
	if got := For[*embedding]().Of(&embedding{counter{all: n}, strs(0, 100, 100)}); got > 200 {
		t.Errorf("a struct that embeds one: %d", got)
	}
	if got := For[*sync.Map]().Of(new(sync.Map)); got > 200 {
		t.Errorf("a sync.Map: %d", got)
	}
	if got := For[struct{ P *atomic.Pointer[node] }]().Of(struct{ P *atomic.Pointer[node] }{new(atomic.Pointer[node])}); got > 50 {
		t.Errorf("a pointer to an atomic: %d", got)
	}
	m := &message{Text: text(0, 5000)}
	m.state.info = new(strs(0, 1000, 100))
	if got := For[*message]().Of(m); got < 5000 || got > 6000 {
		t.Errorf("a message with a guarded part: %d", got)
	}
}

func TestAnEstimateEnds(t *testing.T) {
	list := &node{}
	for range 50_000 {
		list = &node{Left: list}
	}
	deep := any(1)
	for range 20_000 {
		deep = []any{deep}
	}
	wide := map[string][][]string{}
	for i := range 1500 {
		wide[fmt.Sprint(i)] = [][]string{strs(i, 5, 10), strs(i, 5, 10)}
	}
	for name, n := range map[string]int{
		"list": For[*node]().Of(list), "deep": For[any]().Of(deep), "wide": For[any]().Of(wide),
		"nothing": For[any]().Of(nil), "nil pointer": For[*node]().Of((*node)(nil)), "nil map": For[any]().Of(map[string]int(nil)),
		"another type": For[int]().Of("text"), "channel": For[chan int]().Of(make(chan int, 10)), "function": For[func()]().Of(func() {}),
		"zeros": For[[]struct{}]().Of(make([]struct{}, 1<<40)),
	} {
		if n < 0 {
			t.Errorf("%s: %d", name, n)
		}
	}
}

func TestSizersAreShared(t *testing.T) {
	s := For[any]()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for _, v := range []any{fromJSON(i), someProduct(i), tree(3, nil), i, mapOf(i)} {
				s.Of(v)
			}
		})
	}
	wg.Wait()
}

func BenchmarkOf(b *testing.B) {
	for name, v := range map[string]any{"product": someProduct(0), "JSON": fromJSON(0), "small map": mapOf(5), "tree of 63": tree(6, nil), "flat": flat{}, "bytes": make([]byte, 1000)} {
		s := For[any]()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Of(v)
			}
		})
		b.Run(name+", its JSON", func(b *testing.B) {
			for b.Loop() {
				_, _ = json.Marshal(v)
			}
		})
	}
}
