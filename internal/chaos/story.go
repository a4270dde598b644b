package chaos

import (
	"math"
	"slices"
	"sort"
)

// mutation is a write or delete of one key.
type mutation struct {
	Event
	sure bool // acknowledged by a process that could keep its word
	late bool // may take effect later, in the eyes of other processes
	// there: it reached a master that other processes can see, sooner or later.
	there bool
}

// endFor is until when m may take effect, in the eyes of a process: its own
// process sends its next write of the key behind it.
func (m mutation) endFor(proc uint8) int64 {
	if m.late && m.Proc != proc {
		return math.MaxInt64
	}
	return m.End
}

// before reports whether m certainly took effect before o did.
func (m mutation) before(o mutation) bool { return m.endFor(o.Proc) < o.Start }

// near reports whether two mutations overlap, or miss each other by no more
// than gap.
func (m mutation) near(o mutation, gap int64) bool {
	return m.Start <= plus(o.endFor(m.Proc), gap) && o.Start <= plus(m.endFor(o.Proc), gap)
}

func plus(at, gap int64) int64 {
	if at > math.MaxInt64-gap {
		return math.MaxInt64
	}
	return at + gap
}

// story is all that happened to one key.
type story struct {
	key       Key
	mutations []mutation // by start
	reads     []Event
	byValue   map[Value][]int // a value may have been written more than once
	latest    []mutation      // by process, the sure one that began last
	some      bool            // there is a sure one
	own, seen [][]minimum
}

// minimum is the mutation of a process that ended first, of all that began no
// earlier than start.
type minimum struct {
	start int64
	first mutation
}

func newStory(k Key, events []Event, order []int32, prefixes []Event, j *judge) *story {
	s := &story{key: k, byValue: map[Value][]int{}}
	add := func(e Event) {
		if e.Outcome == Unchanged {
			return
		}
		dead := j.died(e) && (e.Outcome == InMemory || e.Outcome == AtMaster && e.End > j.final.Fell-unwritten && e.Start < j.final.Fell)
		sure := e.Outcome.acknowledged() && !dead
		late := !sure || e.Act == RemovePrefix && e.Outcome < AtMaster
		s.mutations = append(s.mutations, mutation{e, sure, late, sure && j.arrives(e)})
	}
	for _, i := range order {
		if e := events[i]; e.Act == Look {
			s.reads = append(s.reads, e)
		} else {
			add(e)
		}
	}
	for _, e := range prefixes {
		add(e)
	}
	slices.SortStableFunc(s.mutations, func(a, b mutation) int { return int(min(1, max(-1, a.Start-b.Start))) })
	for i, m := range s.mutations {
		if m.Act.writes() {
			s.byValue[m.Value] = append(s.byValue[m.Value], i)
		}
		if m.sure {
			s.some = true
			s.latest = grown(s.latest, m.Proc)
			s.latest[m.Proc] = m
		}
	}
	if len(s.reads) > 0 {
		s.own = s.index(func(m mutation) bool { return m.sure })
		s.seen = s.index(func(m mutation) bool { return m.there })
	}
	return s
}

func (j *judge) died(e Event) bool {
	return int(e.Proc) < len(j.final.Died) && e.End < j.final.Died[e.Proc]
}

// grown has a place for the process.
func grown[T any](list []T, proc uint8) []T {
	for len(list) <= int(proc) {
		list = append(list, *new(T))
	}
	return list
}

// arrives reports whether a mutation reached a master: at once, or with the
// replay that ended a time without one.
func (j *judge) arrives(e Event) bool {
	if e.Outcome >= AtMaster {
		return true
	}
	return slices.ContainsFunc(j.away(e.Proc), func(a Span) bool { return a.From-detection <= e.End && e.End <= a.To })
}

func (j *judge) away(proc uint8) []Span {
	if int(proc) < len(j.final.Away) {
		return j.final.Away[proc]
	}
	return nil
}

// index prepares, by process, the question whether a value had been overwritten
// by a mutation that counts.
func (s *story) index(counts func(mutation) bool) (lists [][]minimum) {
	for _, m := range slices.Backward(s.mutations) {
		if !counts(m) {
			continue
		}
		lists = grown(lists, m.Proc)
		list, start := lists[m.Proc], m.Start
		if n := len(list); n > 0 && list[n-1].first.End < m.End {
			m = list[n-1].first
		}
		lists[m.Proc] = append(list, minimum{start, m})
	}
	for _, list := range lists {
		slices.Reverse(list)
	}
	return lists
}

// overwritten is, of the mutations that began after a moment, the one that
// ended first.
func overwritten(list []minimum, after int64) (mutation, bool) {
	i := sort.Search(len(list), func(i int) bool { return list[i].start > after })
	if i == len(list) {
		return mutation{}, false
	}
	return list[i].first, true
}

// follower is a sure mutation that certainly came after m; a delete if there is one.
func (s *story) follower(m mutation) (after mutation, ok bool) {
	for _, o := range slices.Backward(s.mutations) {
		if o.sure && m.before(o) && (!ok || o.Act.deletes() && !after.Act.deletes()) {
			after, ok = o, true
		}
	}
	return after, ok
}

// shown is a read by the process of w that proves that another of its writes,
// which was under way at the same time, came after w: the calls alone do not tell
// the order of the two, but a coherent answer after both does. The master had
// taken both, and nothing else was done to the key.
func (s *story) shown(w mutation) (Event, bool) {
	if w.Outcome < AtMaster || len(s.byValue[w.Value]) > 1 {
		return Event{}, false
	}
	for _, r := range s.reads {
		if r.Proc != w.Proc || r.Outcome != Found || !r.Fresh || !r.Coherent || r.Value == w.Value || r.Start <= w.End || len(s.byValue[r.Value]) != 1 {
			continue
		}
		m := s.mutations[s.byValue[r.Value][0]]
		if m.Proc == w.Proc && m.Outcome >= AtMaster && m.End < r.Start && m.near(w, 0) {
			return r, true
		}
	}
	return Event{}, false
}

// last reports whether m may have been the last to take effect.
func (s *story) last(m mutation) bool {
	return !slices.ContainsFunc(s.latest, func(o mutation) bool { return o.sure && m.before(o) })
}

// around are the mutations that may have been last, for the report.
func (s *story) around() (all []Event) {
	for _, m := range s.mutations {
		if s.last(m) {
			all = append(all, m.Event)
		}
	}
	return all
}
