package chaos

import (
	"fmt"
	"slices"
	"time"
)

// expirySlack covers the machine's delays and Redis' own.
const expirySlack = int64(2 * time.Second)

// key judges what became of a key, and what was read of it.
func (j *judge) key(s *story) {
	j.figures.Keys++
	j.held(s, j.final.Held[s.key])
	for proc, view := range j.final.Views {
		if v, asked := view[s.key]; asked {
			j.view(s, proc, v)
		}
	}
	for _, r := range s.reads {
		if r.Outcome == Found && j.read(s, r) {
			return // one is enough to look at
		}
	}
}

// held judges what the final master holds.
func (j *judge) held(s *story, v Value) {
	if v == Nothing {
		j.nothing(s)
		return
	}
	writes := s.byValue[v]
	if len(writes) == 0 {
		j.violate(Violation{Invented, s.key, fmt.Sprintf("the key holds %v, which nobody wrote to it", v), s.around()})
		return
	}
	var found *Violation
	for _, i := range slices.Backward(writes) { // any write of it may explain it
		if found = j.stands(s, s.mutations[i]); found == nil {
			return
		}
	}
	j.violate(*found)
}

// stands is nil where the key may hold what w wrote.
func (j *judge) stands(s *story, w mutation) *Violation {
	if after, ok := s.follower(w); ok {
		return &Violation{backKind(after), s.key, fmt.Sprintf("the key holds %v; %s", w.Value, cameAfter(after)), append(s.around(), w.Event, after.Event)}
	}
	if r, ok := s.shown(w); ok {
		return &Violation{Lost, s.key, fmt.Sprintf("the key holds %v; a read had shown that %v came after that", w.Value, r.Value), append(s.around(), w.Event, r)}
	}
	if over := plus(w.endFor(w.Proc), int64(j.rules.life(w.Event))+expirySlack); !w.late && j.final.At > over {
		return &Violation{Outlived, s.key, fmt.Sprintf("the key holds %v at %s, longer than %v after it was written", w.Value, clockOf(j.final.At), j.rules.life(w.Event)), []Event{w.Event}}
	}
	return nil
}

// backKind is what it is called when an older value stands though m came after it.
func backKind(m mutation) Kind {
	if m.Act.deletes() {
		return Resurrected
	}
	return Lost
}

func cameAfter(m mutation) string {
	if m.Act.deletes() {
		return "it was deleted after that"
	}
	return fmt.Sprintf("%v was acknowledged after that", m.Value)
}

// nothing judges a key without a value. It is a loss unless a delete may have
// been last, or one of the reasons holds for a write that may have been.
func (j *judge) nothing(s *story) {
	if !s.some {
		return
	}
	why := ""
	for _, m := range s.mutations {
		if !s.last(m) {
			continue
		}
		if m.Act.deletes() {
			return
		}
		if why == "" {
			why = j.excuse(s, m)
		}
	}
	if why != "" {
		j.figures.Excused[why]++
		return
	}
	j.violate(Violation{Lost, s.key, "the key holds nothing; its last write was acknowledged and not deleted", s.around()})
}

// excuse says why nothing is an answer though w may have been last, or "".
func (j *judge) excuse(s *story, w mutation) string {
	switch {
	case j.final.At >= w.Start+int64(j.rules.life(w.Event))-expirySlack/2:
		return "expired"
	case j.rules.Invalidates:
		return "invalidated"
	case j.rules.Evicts:
		return "evicted"
	case j.dropped(w):
		return "overflow"
	}
	for _, m := range s.mutations {
		if m.Proc != w.Proc && m.near(w, int64(j.rules.Ambiguity+j.final.Stolen)) {
			return "order unknown"
		}
	}
	for _, e := range j.prolonged[s.key] { // it gave an older value an end that nobody can date a write by
		if e.Proc != w.Proc && e.Outcome == AtMaster && e.End >= w.Start {
			return "touched by another"
		}
	}
	return ""
}

// dropped reports whether w may have gone with the class that an overflow deletes
// when its process has a master again.
func (j *judge) dropped(w mutation) bool {
	for proc, over := range j.final.Overflowed {
		spans := j.away(uint8(proc))
		if over && (len(spans) == 0 || w.Start <= spans[len(spans)-1].To) {
			return true
		}
	}
	return false
}

// view judges what a process answers when all has settled.
func (j *judge) view(s *story, proc int, v Value) {
	held := j.final.Held[s.key]
	if v == held {
		return
	}
	kind := Diverged
	for _, i := range s.byValue[v] {
		if after, ok := s.follower(s.mutations[i]); ok && after.Act.deletes() {
			kind = Resurrected
		}
	}
	j.violate(Violation{kind, s.key, fmt.Sprintf("process %d answers %v, Redis holds %v", proc, v, held), s.around()})
}

// read judges one answer, and reports whether it broke a promise.
func (j *judge) read(s *story, r Event) bool {
	writes := s.byValue[r.Value]
	if len(writes) == 0 {
		j.violate(Violation{Invented, s.key, "a read answered what nobody wrote to the key", []Event{r}})
		return true
	}
	var found *Violation
	for _, i := range slices.Backward(writes) { // any write of it may explain it
		if found = j.readOf(s, r, s.mutations[i]); found == nil {
			return false
		}
	}
	j.violate(*found)
	return true
}

// readOf is nil where r may have answered what w wrote.
func (j *judge) readOf(s *story, r Event, w mutation) *Violation {
	if r.End < w.Start {
		return &Violation{Invented, s.key, "a read answered what was written later", []Event{r, w.Event}}
	}
	for proc := range s.own {
		list := s.own[proc]
		if uint8(proc) != r.Proc {
			if proc >= len(s.seen) {
				continue
			}
			list = s.seen[proc]
		}
		if m, ok := overwritten(list, w.endFor(uint8(proc))); ok && j.mustSee(r, m) {
			return stale(s, r, w, m)
		}
	}
	return nil
}

func stale(s *story, r Event, w, m mutation) *Violation {
	kind, who := Stale, "by another process, long before"
	if m.Proc == r.Proc {
		who = "by the same process"
		if m.Act.deletes() {
			kind = Resurrected
		}
	}
	text := fmt.Sprintf("a read answered %v; %s, %s", r.Value, cameAfter(m), who)
	return &Violation{kind, s.key, text, []Event{w.Event, m.Event, r}}
}

// mustSee reports whether the answer of r has to respect m: at once in the same
// process; in another one if r calls itself fresh and coherent, and m has been
// at the master for longer than the lag, without a time in which it may have
// been nowhere but in its own process.
func (j *judge) mustSee(r Event, m mutation) bool {
	if r.Proc == m.Proc {
		return m.End < r.Start
	}
	lag := int64(j.rules.Lag)
	if !r.Fresh || !r.Coherent || m.End+lag >= r.Start {
		return false
	}
	return !slices.ContainsFunc(j.away(m.Proc), func(a Span) bool { return a.From-detection <= r.Start && r.Start <= a.To+lag })
}

// detection is how long before it knows it a process may have been without a
// master that will last.
const detection = int64(1500 * time.Millisecond)
