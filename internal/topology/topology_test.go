package topology

import (
	"strconv"
	"sync"
	"testing"

	"github.com/evercache/evercache/internal/slot"
)

type shard struct{ name string }

func set(first, last uint16) *slot.Set { return slot.SetOf(slot.Range{First: first, Last: last}) }

func TestASingleShardHasAllKeys(t *testing.T) {
	s := &shard{"one"}
	r := Single(s)
	if r.Of("a") != s || r.OfSlot(16383) != s || r.Moving("a") || len(r.Shards()) != 1 {
		t.Error("a key belongs to another shard")
	}
}

func TestEachSlotGoesToItsOwner(t *testing.T) {
	a, b := &shard{"a"}, &shard{"b"}
	own := set(100, 199)
	own.Add(slot.Of("foo")) // 12182
	r, err := New([]Owner[shard]{{a, set(0, 99)}, {b, own}}, *set(5, 5))
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[uint16]*shard{0: a, 99: a, 100: b, 199: b, 200: nil, 16383: nil, 12182: b} {
		if got := r.OfSlot(s); got != want {
			t.Errorf("slot %d belongs to %v", s, got)
		}
	}
	if r.Of("foo") != b || r.Of("x{foo}y") != b || r.Of("bar") != nil {
		t.Error("a key belongs to another shard")
	}
	if !r.Moving("{"+slot.TagFor(5)+"}") || r.Moving("foo") || len(r.Shards()) != 2 {
		t.Error("what moves is wrong")
	}
}

func TestWrongOwnersAreRefused(t *testing.T) {
	a := &shard{}
	for want, owners := range map[string][]Owner[shard]{
		"topology: slot 7 has two owners":            {{a, set(0, 7)}, {a, set(7, 9)}},
		"topology: owner 0 has no shard or no slots": {{nil, set(0, 7)}},
		"topology: owner 1 has no shard or no slots": {{a, set(0, 7)}, {a, nil}},
		"topology: 16385 shards":                     make([]Owner[shard], slot.Count+1),
	} {
		if r, err := New(owners, slot.Set{}); err == nil || err.Error() != want || r != nil {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestRoutesAreSwappedAsAWhole: a reader never sees half of other routes.
func TestRoutesAreSwappedAsAWhole(t *testing.T) {
	var table Table[shard]
	if table.Get() != nil {
		t.Error("routes before the first")
	}
	routes := func(i int) *Routes[shard] {
		s := &shard{strconv.Itoa(i)}
		r, err := New([]Owner[shard]{{s, set(0, 8191)}, {s, set(8192, 16383)}}, slot.Set{})
		if err != nil {
			t.Error(err)
		}
		return r
	}
	table.Set(routes(0))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				r := table.Get()
				if r.OfSlot(0) != r.OfSlot(16383) {
					t.Error("slots of two tables")
				}
			}
		})
	}
	for i := range 100 {
		table.Set(routes(i))
	}
	wg.Wait()
}

// A single shard costs one atomic load more than none; a Cluster a CRC16 besides.
func BenchmarkOf(b *testing.B) {
	s := &shard{}
	r, err := New([]Owner[shard]{{s, set(0, 16383)}}, slot.Set{})
	if err != nil {
		b.Fatal(err)
	}
	for name, routes := range map[string]*Routes[shard]{"single": Single(s), "cluster": r} {
		b.Run(name, func(b *testing.B) {
			var table Table[shard]
			table.Set(routes)
			for b.Loop() {
				if table.Get().Of("app:product:12345678") != s {
					b.Fatal("another shard")
				}
			}
		})
	}
}

func TestRoutingAllocatesNothing(t *testing.T) {
	s := &shard{}
	var table Table[shard]
	r, err := New([]Owner[shard]{{s, set(0, 16383)}}, slot.Set{})
	if err != nil {
		t.Fatal(err)
	}
	for _, routes := range []*Routes[shard]{Single(s), r} {
		table.Set(routes)
		if n := testing.AllocsPerRun(100, func() { table.Get().Of("app:product:{a}1") }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
