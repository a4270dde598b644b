package cluster

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// story is what a machine decided while a recording was replayed to it, and what
// the nodes had said of themselves by then.
type story struct {
	t       testing.TB
	r       *recording
	m       *Machine
	moments []moment

	asked   map[Addr]time.Time // when each was asked last
	now     map[Addr]time.Time // to be asked at once, since when
	claims  map[ID]*slot.Set   // what each node has ever claimed itself
	masters map[generation]ID  // one for each generation of a shard
	late    map[ID]int         // own words of the rightful owner that were not followed
	epochs  [slot.Count]int64  // the highest under which a slot was claimed
	claimer [slot.Count]ID     // by whom
	ids     map[ID]bool        // the nodes of our Cluster: nobody else may be decided for
	last    Decision

	spoke ID // who has just said what is its own
	own   *slot.Set
}

type generation struct {
	number uint32
	n      uint64
}

// moment is what held from t on.
type moment struct {
	t float64
	d Decision
}

// replay feeds a recording to a machine: of each node what the machine asks for, at
// its own pace, and the barriers of the masters it has decided for.
func replay(t testing.TB, r *recording, seeds ...string) *story {
	t.Helper()
	s := &story{
		t: t, r: r, asked: map[Addr]time.Time{}, now: map[Addr]time.Time{}, claims: map[ID]*slot.Set{}, masters: map[generation]ID{},
		late: map[ID]int{}, ids: map[ID]bool{},
	}
	for _, n := range r.head.Nodes {
		id, err := ParseID(n.ID)
		must(t, err)
		s.ids[id] = true
	}
	var at0 []Addr
	for _, name := range seeds {
		at0 = append(at0, r.addr[name])
	}
	s.m = New(at0, Rules{})
	s.note(r.lines[0].T, s.m.Observe(Tick{At: at(r.lines[0].T)}))
	for _, l := range r.lines {
		switch l.Kind {
		case "view":
			if s.wants(r.addr[l.Src], at(l.sent())) {
				s.hear(l)
				s.note(l.T, s.m.Observe(View{Node: r.addr[l.Src], SentAt: at(l.sent()), At: at(l.T), Fault: l.fault, Says: l.says}))
			}
		case "barrier":
			if id := s.masterAt(r.addr[l.Src]); !id.IsZero() {
				s.note(l.T, s.m.Observe(Barrier{Node: id, SentAt: at(l.sent()), At: at(l.T), Fault: l.fault, Acked: l.Acked}))
			}
		}
	}
	return s
}

// wants reports whether the machine asks the node at a in this moment.
func (s *story) wants(a Addr, sent time.Time) bool {
	was, before := s.asked[a]
	if now, ok := s.now[a]; ok && !sent.Before(now) {
		delete(s.now, a)
		s.asked[a] = sent
		return true
	}
	for _, ask := range s.last.Asks {
		if ask.Addr == a && (!before || sent.Sub(was) >= ask.Each-time.Millisecond) {
			s.asked[a] = sent
			return true
		}
	}
	return false
}

// masterAt is the master of the shard that is reached at a.
func (s *story) masterAt(a Addr) ID {
	for _, sh := range s.last.Shards {
		if sh.Master.Addr == a {
			return sh.Master.ID
		}
	}
	return ID{}
}

// hear remembers what a node says of itself.
func (s *story) hear(l line) {
	if l.fault != FaultNone || !l.says.master() {
		return
	}
	id := l.says.Self.ID
	if s.claims[id] == nil {
		s.claims[id] = &slot.Set{}
	}
	s.claims[id].AddSet(l.says.Slots)
	if !s.ids[id] {
		return
	}
	for n := range l.says.Slots.All() {
		if e := l.says.Self.Epoch; e >= s.epochs[n] {
			s.epochs[n], s.claimer[n] = e, id
		}
	}
	s.spoke, s.own = id, l.says.Slots
}

func (s *story) note(t float64, d Decision) {
	s.t.Helper()
	s.last = d
	for _, a := range d.AskNow {
		s.now[a] = at(t)
	}
	s.check(t, d)
	s.checkPrompt(t, d)
	s.moments = append(s.moments, moment{t, d})
}

// check is what must hold in every moment.
func (s *story) check(t float64, d Decision) {
	s.t.Helper()
	all := d.Unowned.Len()
	for _, sh := range d.Shards {
		all += sh.Slots.Len()
		beyond := *sh.Slots
		if own := s.claims[sh.Master.ID]; own != nil {
			beyond.RemoveSet(own)
		}
		if !beyond.Empty() {
			s.t.Fatalf("%.0f: %s owns %s, which it never claimed itself", t, s.nameOf(sh.Master), &beyond)
		}
		g := generation{sh.Number, sh.Generation}
		if was, ok := s.masters[g]; ok && was != sh.Master.ID {
			s.t.Fatalf("%.0f: shard %d has two masters in generation %d", t, sh.Number, sh.Generation)
		}
		s.masters[g] = sh.Master.ID
		if !s.ids[sh.Master.ID] && s.r.head.Scenario != "rebuilt" {
			s.t.Fatalf("%.0f: decided for %s, of another Cluster", t, s.nameOf(sh.Master))
		}
	}
	if all != slot.Count {
		s.t.Fatalf("%.0f: %d slots have an owner or none", t, all)
	}
}

// within is how many own words of a node may pass until it is the owner of what it
// claims under the highest epoch of all: at the start others have to speak first.
const within = 3

// checkPrompt: who says that it owns slots, under a higher epoch than anybody else,
// is believed soon.
func (s *story) checkPrompt(t float64, d Decision) {
	s.t.Helper()
	if s.spoke.IsZero() {
		return
	}
	id := s.spoke
	s.spoke = ID{}
	mine := *s.own
	for n := range s.own.All() {
		if s.claimer[n] != id {
			mine.Remove(n)
		}
	}
	for _, sh := range d.Shards {
		if sh.Master.ID == id {
			mine.RemoveSet(sh.Slots)
		}
	}
	if mine.Empty() {
		s.late[id] = 0
		return
	}
	if s.late[id]++; s.late[id] > within {
		s.t.Fatalf("%.0f: %s is not believed that it has %s", t, id, &mine)
	}
}

func (s *story) nameOf(n Node) string { return s.r.name[n.Addr] }
