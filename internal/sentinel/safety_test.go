package sentinel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// trueMaster is the node that really was the master at t.
func (r *recording) trueMaster(t float64) string {
	master, since := r.head.Master, -1e9
	if r.head.Scenario == "replicaof-by-hand" {
		return master // promoted by nobody who may
	}
	for _, p := range r.truth.Promoted {
		if p.T <= t && p.T > since {
			master, since = p.Node, p.T
		}
	}
	return master
}

// checkSafe holds whatever was heard of a recording and whatever was not: no
// node becomes the master that was not promoted or has been left already; no
// all clear is given for one of them; and in the end the master is the real one.
func (s *story) checkSafe(t *testing.T) {
	t.Helper()
	was := moment{}
	for _, m := range s.moments {
		real := s.r.trueMaster(m.t + 1.5) // the logs have whole milliseconds
		if m.master != was.master && m.master != real {
			t.Errorf("%v adopted when %s was the master", m, real)
		}
		if m.stage == Clear && was.stage != Clear && m.master != real {
			t.Errorf("%v: all clear when %s was the master", m, real)
		}
		if m.gen < was.gen || m.master != was.master && m.gen == was.gen {
			t.Errorf("%v after %v: generation", m, was)
		}
		was = m
	}
	switch final := s.r.truth.Final; {
	case final == "" && was.writes():
		t.Errorf("%v in the end, and nobody is the master", was)
	case final != "" && (was.master != final || !was.writes()):
		t.Errorf("%v in the end, want writes to %s", was, final)
	}
}

// checkFencedInTime: when a node is promoted, no write goes to another any more.
func (s *story) checkFencedInTime(t *testing.T) {
	t.Helper()
	if s.r.head.Scenario == "replicaof-by-hand" {
		return
	}
	for _, p := range s.r.truth.Promoted {
		if m := s.at(p.T); p.T > 0 && m.writes() && m.master != p.Node {
			t.Errorf("%v when %s was promoted at %.0f", m, p.Node, p.T)
		}
	}
}

// checkFenceLength: a master that answers is fenced for two seconds at most.
func (s *story) checkFenceLength(t *testing.T) {
	t.Helper()
	fenced, answered, last := 0.0, false, 0.0
	for _, l := range s.r.lines {
		m := s.at(l.T)
		if l.T < 0 || l.Kind != "probe" || l.Src != m.master {
			continue
		}
		if answered && m.stage == Fenced && s.r.trueMaster(l.T) == m.master {
			fenced += l.T - last
		}
		answered, last = l.Error == "" && l.Info["role"] == "master", l.T
	}
	if fenced > 2100 { // two seconds and the time between two probes
		t.Errorf("a healthy master was fenced for %.0f ms", fenced)
	}
}

// lost makes a sentinel one that cannot be reached from t on.
func lost(r *recording, who string, from float64) *recording {
	c := *r
	c.lines = make([]line, 0, len(r.lines)+1)
	for _, l := range r.lines {
		if l.Src == who && l.T >= from {
			switch l.Kind {
			case "event":
				continue
			case "link":
				l.State, l.parsed = "lost", Link{}
			case "poll":
				l = line{T: l.T, Src: l.Src, Kind: l.Kind, Error: "unreachable", parsed: Poll{Fault: FaultUnreachable}}
			}
		}
		c.lines = append(c.lines, l)
	}
	if from > -1e6 {
		cut := line{T: from, Src: who, Kind: "link", State: "lost", parsed: Link{}}
		if i := slices.IndexFunc(c.lines, func(l line) bool { return l.T >= from }); i >= 0 {
			c.lines = slices.Insert(c.lines, i, cut)
		}
	}
	return &c
}

// variant is a worse view of a recording.
type variant struct {
	name string
	of   func(r *recording) (*recording, view)
}

func variants(seed uint64) []variant {
	keep := func(v view) func(*recording) (*recording, view) {
		return func(r *recording) (*recording, view) { return r, v }
	}
	out := []variant{
		{"no events", keep(view{drop: func(l *line) bool { return l.Kind == "event" }})},
		{"no events, one poll in five", keep(view{drop: func(l *line) bool {
			return l.Kind == "event" || l.Kind == "poll" && int(l.T/200)%5 != 0
		}})},
	}
	for _, s := range []string{"s1", "s2", "s3"} {
		out = append(
			out,
			variant{"no events of " + s, keep(view{drop: func(l *line) bool { return l.Kind == "event" && l.Src == s }})},
			variant{"without " + s, func(r *recording) (*recording, view) { return lost(r, s, -1e9), view{} }},
			variant{s + " lost before the fault", func(r *recording) (*recording, view) { return lost(r, s, -60), view{} }},
		)
	}
	return append(
		out,
		variant{"everything late", keep(lateView(seed))},
		variant{"a quarter lost", keep(lossyView(seed))},
	)
}

// lateView delays whatever a source says by up to 300 ms, and events by up to a
// second. What one source says on one connection stays in order.
func lateView(seed uint64) view {
	rnd := rand.New(rand.NewPCG(seed, 1))
	last := map[string]float64{}
	return view{lag: func(l *line) float64 {
		lag := rnd.Float64() * 300
		if l.Kind == "event" || l.Kind == "link" {
			lag = rnd.Float64() * 1000
		}
		kind := l.Kind
		if kind == "link" {
			kind = "event"
		}
		at := max(l.T+lag, last[l.Src+kind])
		last[l.Src+kind] = at
		return at - l.T
	}}
}

func lossyView(seed uint64) view {
	rnd := rand.New(rand.NewPCG(seed, 2))
	return view{drop: func(l *line) bool { return l.Kind != "link" && rnd.Float64() < 0.25 }}
}

func TestNothingMissedOrLateMakesAWrongMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("some 450 replays")
	}
	for name, r := range recordings(t) {
		for _, v := range variants(uint64(len(r.lines))) { // another seed for each recording, the same each time
			t.Run(name+"/"+v.name, func(t *testing.T) {
				t.Parallel()
				c, how := v.of(r)
				s := replay(t, c, how)
				s.checkSafe(t)
				if t.Failed() {
					for _, m := range s.moments {
						t.Log(m)
					}
				}
			})
		}
	}
}
