package cluster

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evercache/evercache/internal/slot"
)

// expectation is what must be concluded from a recording, beside what holds for all.
// Where there is a fault, no write is sent to the shard from down (milliseconds) until
// its next master was promoted, or took writes again, and writes are soon after.
type expectation struct {
	shard    uint16   // a slot of the shard that it is about
	masters  []string // of that slot, one after the other
	down     float64  // 0: writes are sent throughout
	after    float64  // how late a promotion may be noticed, in milliseconds; 0: 60
	until    float64  // until then it is well; 0: to the end
	calm     bool     // no shard is in trouble at any time after the start
	others   bool     // the other shards take writes throughout
	moved    string   // slots that went to another shard
	returned int      // shards whose slots may have gone away and come back
	restarts int      // generations without another master, returned ones apart
	troubles []Trouble
	unwell   bool // it ends before all is well again
}

var expectations = map[string]expectation{
	"kill":                  {masters: []string{"n0", "n3"}, down: 60, troubles: []Trouble{TroubleSilent}},
	"kill-partial-coverage": {masters: []string{"n0", "n3"}, down: 60, others: true, troubles: []Trouble{TroubleSilent}},
	"stop":                  {masters: []string{"n0", "n3"}, down: 300, troubles: []Trouble{TroubleSilent}},
	"stop-cont":             {masters: []string{"n0", "n3"}, down: 300, troubles: []Trouble{TroubleSilent}},
	"stop-brief":            {masters: []string{"n0"}, down: 300, others: true, troubles: []Trouble{TroubleSilent}},

	// Nothing is wrong with the master: it is asked when the next heartbeat fails.
	"planned":  {masters: []string{"n0", "n3"}, others: true, after: 150},
	"takeover": {masters: []string{"n0", "n3"}, others: true, after: 150},

	"restart-quick": {masters: []string{"n0"}, down: 60, others: true, restarts: 1, troubles: []Trouble{TroubleSilent, TroubleDown}},
	"restart-empty": {masters: []string{"n0"}, down: 60, others: true, restarts: 1, troubles: []Trouble{TroubleSilent, TroubleDown}},
	"lost-and-back": {masters: []string{"n0"}, down: 1700, restarts: 1, troubles: []Trouble{TroubleSilent, TroubleDown}},
	"three-masters": {masters: []string{"n0", "n3"}, down: 60, until: 3000, troubles: []Trouble{TroubleSilent, TroubleDown}},

	"replica-lost-and-back": {masters: []string{"n0"}, others: true, troubles: []Trouble{TroubleReplica}},

	"reshard-classic":       {shard: 100, masters: []string{"n0"}, others: true, moved: "0-19", returned: 1},
	"reshard-interrupted":   {shard: 100, masters: []string{"n0"}, others: true, moved: "0-4", returned: 1},
	"reshard-source-killed": {masters: []string{"n0", "n3"}, down: 150, troubles: []Trouble{TroubleSilent}},
	"reshard-target-killed": {shard: 6000, masters: []string{"n1", "n4"}, down: 150, moved: "0", troubles: []Trouble{TroubleSilent}},
	"reshard-atomic":        {shard: 100, masters: []string{"n0"}, others: true, moved: "0-19", returned: 1},
	"stolen-slot":           {masters: []string{"n0", "n1"}, others: true, moved: "0", returned: 1},
	"there-and-back":        {masters: []string{"n0"}, others: true, returned: 2},

	"fresh-idle":   {masters: []string{"n0"}, calm: true},
	"two-clusters": {masters: []string{"n0"}, calm: true},

	"foreign-node":         {masters: []string{"n0", "n3"}, down: 60, troubles: []Trouble{TroubleSilent}},
	"foreign-node-at-once": {masters: []string{"n0"}, down: 150, others: true, unwell: true, troubles: []Trouble{TroubleElsewhere}},
	"replaced":             {masters: []string{"n0"}, down: 150, others: true, unwell: true, troubles: []Trouble{TroubleElsewhere}},
	"rebuilt":              {masters: []string{"n0"}, down: 300, moved: "0-16383", troubles: []Trouble{TroubleElsewhere, TroubleDown}},
}

// started is when every machine knows the Cluster, in milliseconds before the fault.
const started = -600

func TestEpisodesAreDecidedRightly(t *testing.T) {
	for _, path := range recordings(t) {
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".jsonl")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, ok := expectations[name]
			if !ok {
				t.Fatal("say what must be concluded from it")
			}
			r := loadRecording(t, path)
			s := replay(t, r, "n0", "n1", "n2")
			s.checkOwners(e)
			s.checkPromotions(cmp.Or(e.after, 60))
			s.checkStages(e)
			s.checkChanges(e)
		})
	}
}

// checkOwners: in the end every slot is where the truth says, strangers apart.
func (s *story) checkOwners(e expectation) {
	s.t.Helper()
	for node, ranges := range s.r.truth.Owners {
		if slices.Contains(s.r.truth.Strangers, node) || node[0] == 'o' {
			continue
		}
		for _, text := range ranges {
			rg, err := slot.ParseRange(text)
			must(s.t, err)
			for n := int(rg.First); n <= int(rg.Last); n++ {
				if sh, _ := s.last.Owner(uint16(n)); s.nameOf(sh.Master) != node {
					s.t.Fatalf("slot %d: %q at the end, want %s", n, s.nameOf(sh.Master), node)
				}
			}
		}
	}
	var masters []string
	for _, m := range s.moments {
		sh, _ := m.d.Owner(e.shard)
		if name := s.nameOf(sh.Master); name != "" && (len(masters) == 0 || masters[len(masters)-1] != name) {
			masters = append(masters, name)
		}
	}
	if !slices.Equal(masters, e.masters) {
		s.t.Errorf("the masters of slot %d were %v, want %v", e.shard, masters, e.masters)
	}
}

// checkPromotions: a promoted replica is the master within so many milliseconds of
// its first answer as one.
func (s *story) checkPromotions(limit float64) {
	s.t.Helper()
	for _, p := range s.r.truth.Promoted {
		said := slices.IndexFunc(s.r.lines, func(l line) bool {
			return l.Src == p.Node && l.Kind == "view" && l.T >= p.T-2 && l.fault == FaultNone && l.says.master()
		})
		first := slices.IndexFunc(s.moments, func(m moment) bool {
			return m.t >= p.T-2 && slices.ContainsFunc(m.d.Shards, func(sh Shard) bool { return s.nameOf(sh.Master) == p.Node })
		})
		if first < 0 || said < 0 {
			s.t.Fatalf("%s was promoted at %.0f and never adopted", p.Node, p.T)
		}
		if t := s.r.lines[said].T; s.moments[first].t-t > limit {
			s.t.Errorf("%s said at %.0f that it was promoted, and was adopted %.0f ms later", p.Node, t, s.moments[first].t-t)
		}
	}
}

func (s *story) checkStages(e expectation) {
	s.t.Helper()
	had := 0.0
	for _, m := range s.moments {
		if m.t < started {
			continue
		}
		own, ok := m.d.Owner(e.shard)
		if ok {
			had = m.t
		} else if m.t-had < 60 {
			continue // its owner says that it has lost it, and who has it now is being asked
		}
		for _, sh := range m.d.Shards {
			if e.calm && sh.Stage != Healthy {
				s.t.Fatalf("%.0f: %s is %s (%s)", m.t, s.nameOf(sh.Master), sh.Stage, sh.Trouble)
			}
			if e.others && sh.Number != own.Number && !sh.Writes() {
				s.t.Fatalf("%.0f: %s is %s (%s)", m.t, s.nameOf(sh.Master), sh.Stage, sh.Trouble)
			}
		}
		writes := own.Number != 0 && own.Writes()
		switch back := s.back(); {
		case e.down > 0 && m.t >= e.down && m.t < back-120 && writes:
			s.t.Fatalf("%.0f: writes are sent to %s (%s)", m.t, s.nameOf(own.Master), own.Stage)
		case !writes && (m.t < 0 || m.t > back+250) && (e.until == 0 || m.t < e.until):
			s.t.Fatalf("%.0f: no writes are sent to %s: %s (%s)", m.t, s.nameOf(own.Master), own.Stage, own.Trouble)
		}
	}
	for _, want := range e.troubles {
		if !slices.ContainsFunc(s.moments, func(m moment) bool {
			own, _ := m.d.Owner(e.shard)
			return m.t >= 0 && own.Trouble == want
		}) {
			s.t.Errorf("%s was never seen", want)
		}
	}
	if !e.unwell && !s.last.Confirmed {
		for _, sh := range s.last.Shards {
			s.t.Errorf("at the end %s is %s (%s)", s.nameOf(sh.Master), sh.Stage, sh.Trouble)
		}
		s.t.Errorf("at the end slots %s have no owner", &s.last.Unowned)
	}
}

// back is when a master takes the first writes after the fault.
func (s *story) back() float64 {
	if p := s.r.truth.Promoted; len(p) > 0 {
		return p[0].T
	}
	w := s.r.truth.Writes["n0"].Spans
	if len(w) > 1 && !slices.Contains(s.r.truth.Strangers, "n0") {
		return w[1][0]
	}
	if slices.Contains(s.r.truth.Strangers, "n0") {
		return s.r.end
	}
	return 0
}

// checkChanges: slots go from one shard to another where they were resharded, and
// stay with their shard where its master was replaced.
func (s *story) checkChanges(e expectation) {
	s.t.Helper()
	var moved slot.Set
	returned, restarts := 0, 0
	last := map[uint32]Shard{}
	for _, m := range s.moments {
		returned += len(m.d.Returned)
		for _, sh := range m.d.Shards {
			was, ok := last[sh.Number]
			if ok && was.Generation != sh.Generation && was.Master.ID == sh.Master.ID {
				restarts += int(sh.Generation - was.Generation)
			}
			last[sh.Number] = sh
		}
		for _, c := range m.d.Changes {
			if c.From != 0 {
				moved.AddSet(c.Slots)
			}
		}
	}
	if restarts -= returned; restarts != e.restarts {
		s.t.Errorf("%d masters were restarted, want %d", restarts, e.restarts)
	}
	if got := moved.String(); got != e.moved || returned != e.returned {
		s.t.Errorf("slots %q moved, want %q; %d returned, want %d", got, e.moved, returned, e.returned)
	}
}
