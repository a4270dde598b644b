package sentinel

import (
	"fmt"
	"slices"
	"testing"
)

// view is what a client is given of a recording.
type view struct {
	drop func(l *line) bool            // lines it does not get
	lag  func(l *line) (delay float64) // how late it gets the others
}

// moment is a change of the decision.
type moment struct {
	t         float64
	stage     Stage
	master    string
	confirmed bool
	gen       uint64
}

func (m moment) String() string {
	return fmt.Sprintf("%9.1f %-8s %-3s confirmed=%-5v gen=%d", m.t, m.stage, m.master, m.confirmed, m.gen)
}

// story is how a recording was understood.
type story struct {
	r       *recording
	moments []moment
	machine *Machine
}

// replay feeds a recording to a machine: all sentinels, the nodes it asks for,
// and the barriers of the node that was its master when they were sent.
func replay(t testing.TB, r *recording, v view) *story {
	t.Helper()
	var sentinels []Addr
	for _, s := range r.holding {
		sentinels = append(sentinels, r.addr[s])
	}
	m := New(r.head.MasterName, sentinels, Rules{})
	s := &story{r: r, machine: m}
	var asked []Addr
	for _, e := range timeline(r, v) {
		if e.line == nil {
			s.note(e.t, m.Observe(Tick{At: at(e.t)}))
			continue
		}
		src := r.addr[e.line.Src]
		switch e.line.Kind {
		case "probe":
			if !slices.Contains(asked, src) {
				continue
			}
		case "barrier":
			if s.masterAt(e.line.sent()) != e.line.Src {
				continue
			}
		}
		d := m.Observe(r.observation(e.line, e.t-e.line.T))
		asked = d.Probes
		s.note(e.t, d)
		checkBounds(t, m)
	}
	return s
}

// entry is small, since thousands are sorted for each replay.
type entry struct {
	t    float64
	line *line // nil: a tick
}

func timeline(r *recording, v view) []entry {
	out := make([]entry, 0, len(r.lines)+int(r.end-r.lines[0].T)/50+1)
	for i := range r.lines {
		l := &r.lines[i]
		if v.drop != nil && v.drop(l) {
			continue
		}
		e := entry{t: l.T, line: l}
		if v.lag != nil {
			e.t += v.lag(l)
		}
		out = append(out, e)
	}
	for t := r.lines[0].T; t < r.end; t += 50 {
		out = append(out, entry{t: t})
	}
	slices.SortStableFunc(out, func(a, b entry) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		}
		return 0
	})
	return out
}

func (s *story) note(t float64, d Decision) {
	m := moment{t: t, stage: d.Stage, master: s.r.nameOf[d.Master], confirmed: d.Confirmed, gen: d.Generation}
	if n := len(s.moments); n > 0 {
		last := s.moments[n-1]
		last.t = t
		if last == m {
			return
		}
	}
	s.moments = append(s.moments, m)
}

// at is the decision that was in force at t.
func (s *story) at(t float64) moment {
	i := slices.IndexFunc(s.moments, func(m moment) bool { return m.t > t })
	switch i {
	case 0:
		return moment{}
	case -1:
		return s.moments[len(s.moments)-1]
	}
	return s.moments[i-1]
}

func (s *story) masterAt(t float64) string {
	if len(s.moments) == 0 {
		return ""
	}
	return s.at(t).master
}

func checkBounds(t testing.TB, m *Machine) {
	t.Helper()
	if len(m.nodes) > maxNodes || len(m.sentinels) > maxWatched || len(m.history.records) > maxHistory ||
		len(m.cur.ids) > maxIDs || len(m.former) > maxNodes {
		t.Fatal("a bound does not hold")
	}
}
