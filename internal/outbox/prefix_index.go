package outbox

import (
	"container/list"
	"iter"
	"slices"
	"strings"
)

// prefixIndex holds one thing for each of many prefixes, in an order of its own. To
// find what a key is under costs a look-up for each length that a prefix has.
type prefixIndex[T any] struct {
	byText  map[string]*list.Element
	order   *list.List  // of *prefixEntry[T]
	sorted  []string    // the texts
	lengths map[int]int // how many texts have this length
	used    []int       // the lengths, shortest first
	bytes   int64       // what all cost
}

type prefixEntry[T any] struct {
	text string
	of   T
}

// prefixOverhead is what a prefix costs beside its text.
const prefixOverhead = 240

func prefixCost(text string) int64 { return int64(len(text)) + prefixOverhead }

func newPrefixIndex[T any]() *prefixIndex[T] {
	return &prefixIndex[T]{byText: map[string]*list.Element{}, order: list.New(), lengths: map[int]int{}}
}

func (x *prefixIndex[T]) len() int { return len(x.byText) }

// get returns what is held for this prefix, nil for nothing.
func (x *prefixIndex[T]) get(text string) *T {
	if e := x.byText[text]; e != nil {
		return &e.Value.(*prefixEntry[T]).of
	}
	return nil
}

// put holds of for the prefix, in place of what is held for it: first of all or
// last.
func (x *prefixIndex[T]) put(text string, of T, first bool) {
	x.remove(text)
	e := &prefixEntry[T]{text, of}
	if first {
		x.byText[text] = x.order.PushFront(e)
	} else {
		x.byText[text] = x.order.PushBack(e)
	}
	at, _ := slices.BinarySearch(x.sorted, text)
	x.sorted = slices.Insert(x.sorted, at, text)
	x.bytes += prefixCost(text)
	x.lengths[len(text)]++
	if x.lengths[len(text)] == 1 {
		at, _ := slices.BinarySearch(x.used, len(text))
		x.used = slices.Insert(x.used, at, len(text))
	}
}

func (x *prefixIndex[T]) remove(text string) {
	e := x.byText[text]
	if e == nil {
		return
	}
	x.order.Remove(e)
	delete(x.byText, text)
	at, _ := slices.BinarySearch(x.sorted, text)
	x.sorted = slices.Delete(x.sorted, at, at+1)
	x.bytes -= prefixCost(text)
	x.lengths[len(text)]--
	if x.lengths[len(text)] == 0 {
		delete(x.lengths, len(text))
		at, _ := slices.BinarySearch(x.used, len(text))
		x.used = slices.Delete(x.used, at, at+1)
	}
}

// over are those that key begins with, the shortest first.
func (x *prefixIndex[T]) over(key string) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, n := range x.used {
			if n > len(key) {
				return
			}
			if of := x.get(key[:n]); of != nil && !yield(of) {
				return
			}
		}
	}
}

// under are the texts that begin with text.
func (x *prefixIndex[T]) under(text string) []string {
	from, _ := slices.BinarySearch(x.sorted, text)
	to := from
	for to < len(x.sorted) && strings.HasPrefix(x.sorted[to], text) {
		to++
	}
	return slices.Clone(x.sorted[from:to])
}

// all goes over them in their order. The one that it stands at may be removed.
func (x *prefixIndex[T]) all() iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		for e := x.order.Front(); e != nil; {
			next, entry := e.Next(), e.Value.(*prefixEntry[T])
			if !yield(entry.text, &entry.of) {
				return
			}
			e = next
		}
	}
}

// closest are groups of texts to make one of each, so that n fewer are left or
// one: those that begin with the most in common.
func (x *prefixIndex[T]) closest(n int) (groups [][]string) {
	n = min(n, len(x.sorted)-1)
	if n <= 0 {
		return nil
	}
	places := make([]int, len(x.sorted)-1) // of the first of two neighbours
	alike := make([]int, len(places))
	for i := range places {
		places[i], alike[i] = i, common(x.sorted[i], x.sorted[i+1])
	}
	slices.SortStableFunc(places, func(i, j int) int { return alike[j] - alike[i] })
	places = places[:n]
	slices.Sort(places)
	for i, at := range places {
		if i == 0 || places[i-1] != at-1 {
			groups = append(groups, []string{x.sorted[at]})
		}
		last := &groups[len(groups)-1]
		*last = append(*last, x.sorted[at+1])
	}
	return groups
}

// Prefixes finds the prefixes that a key is under.
type Prefixes struct{ index *prefixIndex[[]Prefix] }

// NewPrefixes is about these.
func NewPrefixes(ps []Prefix) Prefixes {
	index := newPrefixIndex[[]Prefix]()
	for _, p := range ps {
		if same := index.get(p.Text); same != nil {
			*same = append(*same, p)
		} else {
			index.put(p.Text, []Prefix{p}, false)
		}
	}
	return Prefixes{index}
}

// Over are those that the key begins with.
func (ps Prefixes) Over(key string) (over []Prefix) {
	for same := range ps.index.over(key) {
		over = append(over, *same...)
	}
	return over
}

// undo reports whether one of them makes r void.
func (ps Prefixes) undo(r *Record) bool {
	return slices.ContainsFunc(ps.Over(r.Key), func(p Prefix) bool { return p.covers(r) })
}

// Cover reports whether the key begins with one of them.
func (ps Prefixes) Cover(key string) bool {
	for range ps.index.over(key) {
		return true
	}
	return false
}

// Common is what all of them begin with.
func (ps Prefixes) Common() string {
	all := ps.index.sorted
	if len(all) == 0 {
		return ""
	}
	return all[0][:common(all[0], all[len(all)-1])]
}
