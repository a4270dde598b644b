package sentinel

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// span is a time in a recording, from its first to its last millisecond.
type span [2]float64

// change is one adoption: not before the node was promoted, not later than the
// evidence was there. A confirmed time of 0 is never.
type change struct {
	to        string
	promoted  float64
	by        float64
	confirmed float64
}

// told is one record of the history.
type told struct {
	cause     Cause
	from, to  string
	epoch     int64
	confirmed bool
}

// expectation is what testdata/episodes says must be concluded from a recording.
// Times are those of the recording, plus the millisecond it takes to say so.
type expectation struct {
	changes []change
	careful []span // suspect or worse at every moment, from when the first sign was there
	fenced  []span // no write is sent
	writes  []span // writes are sent: no false fence
	calm    []span // not even suspect
	clearBy float64
	records []told
	alarms  int
}

var expectations = map[string]expectation{
	"redis-7.0.15/kill": {
		changes: []change{{"n3", 1378, 1474, 2298}},
		careful: []span{{50, 2297}}, fenced: []span{{50, 1473}}, writes: []span{{1475, 8700}}, clearBy: 8700,
		records: []told{{CauseFailure, "n1", "n3", 1, true}},
	},
	"redis-7.0.15/kill-second-failover": {
		changes: []change{{"n2", 1355, 1437, 2268}, {"n3", 3526, 3615, 4391}},
		careful: []span{{50, 2267}, {3260, 4390}}, fenced: []span{{50, 1436}, {3260, 3614}}, writes: []span{{1438, 3259}, {3616, 8800}},
		records: []told{{CauseFailure, "n1", "n2", 1, true}, {CauseFailure, "n2", "n3", 2, true}},
	},
	"redis-7.0.15/stop": {
		changes: []change{{"n2", 1761, 1855, 2684}},
		careful: []span{{166, 2683}}, fenced: []span{{166, 1853}}, writes: []span{{1856, 21800}}, clearBy: 9000,
		records: []told{{CauseFailure, "n1", "n2", 1, true}},
	},
	"redis-7.0.15/stop-cont-at-try": {
		changes: []change{{"n3", 2360, 2439, 3326}},
		careful: []span{{169, 13300}}, fenced: []span{{169, 2438}}, writes: []span{{2440, 13900}}, clearBy: 13900,
		records: []told{{CauseFailure, "n1", "n3", 1, true}},
	},
	"redis-7.0.15/planned": {
		changes: []change{{"n2", 200, 258, 1219}},
		careful: []span{{2, 11200}}, fenced: []span{{2, 256}}, writes: []span{{259, 13900}}, clearBy: 13900,
		records: []told{{CausePlanned, "n1", "n2", 1, true}},
	},
	"redis-7.0.15/planned-leader-cut": {
		changes: []change{{"n2", 167, 230, 1162}},
		careful: []span{{104, 11190}}, fenced: []span{{104, 228}}, writes: []span{{231, 13800}}, clearBy: 13800,
		records: []told{{CausePlanned, "n1", "n2", 1, true}},
	},
	"redis-7.0.15/restart-empty": {
		careful: []span{{2, 1298}}, fenced: []span{{2, 411}}, writes: []span{{1300, 7900}}, clearBy: 1500,
		records: []told{{CauseRestart, "n1", "n1", 0, false}},
	},
	"redis-7.0.15/restart-rdb": {
		careful: []span{{13, 498}, {1070, 1188}}, fenced: []span{{13, 460}}, writes: []span{{700, 7900}}, clearBy: 700,
		records: []told{{CauseRestart, "n1", "n1", 0, false}}, alarms: 1,
	},
	"redis-7.0.15/kill-master-and-sentinel": {
		changes: []change{{"n2", 1316, 1403, 2347}},
		careful: []span{{7, 2346}}, fenced: []span{{7, 1401}}, writes: []span{{1404, 9600}}, clearBy: 9600,
		records: []told{{CauseFailure, "n1", "n2", 1, true}},
	},
	"redis-7.0.15/sentinels-restart": {
		calm: []span{{-100, 12900}}, writes: []span{{-100, 12900}},
	},
	"redis-7.0.15/failover-to": {
		changes: []change{{"n2", 469, 516, 0}, {"n3", 27863, 27948, 28823}},
		careful: []span{{349, 31800}}, fenced: []span{{471, 514}, {27651, 27947}}, writes: []span{{517, 27650}, {27949, 31800}},
		records: []told{{CauseManual, "n1", "n2", 0, false}, {CauseFailure, "n2", "n3", 1, true}},
	},
	"redis-7.0.15/remove-monitor": {calm: []span{{-100, 13900}}, writes: []span{{-100, 13900}}},
	"redis-7.0.15/leader-crash": {
		changes: []change{{"n3", 1373, 1432, 16570}, {"n2", 16824, 16877, 17971}},
		careful: []span{{32, 16569}, {16605, 23700}}, fenced: []span{{32, 1431}, {13584, 13733}, {16605, 16876}},
		writes:  []span{{1433, 13583}, {13850, 16604}, {16878, 23700}},
		records: []told{{CauseFailure, "n1", "n3", 2, true}, {CauseFailure, "n3", "n2", 3, true}},
	},
	"redis-7.0.15/not-elected": {careful: []span{{47, 16700}}, fenced: []span{{47, 16700}}},
	"redis-7.0.15/no-quorum":   {careful: []span{{43, 7900}}, fenced: []span{{43, 7900}}},
	"redis-7.0.15/false-alarm": {
		careful: []span{{156, 1302}}, fenced: []span{{156, 1302}}, writes: []span{{1610, 8800}}, clearBy: 1610, alarms: 1,
	},
	"redis-7.0.15/false-alarm-at-sdown": {
		careful: []span{{201, 2068}}, fenced: []span{{201, 2068}}, writes: []span{{2300, 8700}}, clearBy: 2400, alarms: 1,
	},
	"redis-7.0.15/false-alarm-not-elected": {
		careful: []span{{168, 7567}}, fenced: []span{{168, 2000}}, writes: []span{{3520, 10900}}, clearBy: 7800, alarms: 1,
	},
	"redis-7.0.15/replicaof-by-hand": {
		careful: []span{{23, 16123}}, fenced: []span{{36, 500}}, writes: []span{{-100, 34}, {2040, 25800}}, clearBy: 16400, alarms: 1,
	},
	"redis-7.0.15/other-group":   {calm: []span{{-100, 7800}}, writes: []span{{-100, 7800}}},
	"redis-7.0.15/first-replica": {calm: []span{{-100, 13600}}, writes: []span{{-100, 13600}}},
	"redis-7.0.15/min-replicas-kill": {
		changes: []change{{"n3", 1448, 1549, 2324}},
		careful: []span{{4, 2397}}, fenced: []span{{20, 1547}}, writes: []span{{1550, 8700}}, clearBy: 8700,
		records: []told{{CauseFailure, "n1", "n3", 1, true}},
	},
	"redis-7.0.15/replica-lost-and-back": {
		careful: []span{{38, 1078}}, writes: []span{{-100, 12900}}, clearBy: 4100, alarms: 1,
	},
	"redis-7.0.15/debug-sleep": {
		careful: []span{{182, 601}}, fenced: []span{{182, 601}}, writes: []span{{810, 5900}}, clearBy: 1100, alarms: 1,
	},

	"redis-8.0.2/kill": {
		changes: []change{{"n3", 1378, 1474, 2334}},
		careful: []span{{47, 2332}}, fenced: []span{{47, 1472}}, writes: []span{{1475, 8800}}, clearBy: 8800,
		records: []told{{CauseFailure, "n1", "n3", 1, true}},
	},
	"redis-8.0.2/planned": {
		changes: []change{{"n2", 177.5, 264, 1172}},
		careful: []span{{2, 11200}}, fenced: []span{{2, 262}}, writes: []span{{265, 13900}}, clearBy: 13900,
		records: []told{{CausePlanned, "n1", "n2", 1, true}},
	},
	"redis-8.0.2/stop": {
		changes: []change{{"n3", 2125.7, 2181, 3153}},
		careful: []span{{160, 3152}}, fenced: []span{{160, 2179}}, writes: []span{{2182, 21600}}, clearBy: 9000,
		records: []told{{CauseFailure, "n1", "n3", 1, true}},
	},
	"redis-8.0.2/leader-crash": {
		changes: []change{{"n3", 1357.8, 1422, 14818}},
		careful: []span{{15, 14816}}, fenced: []span{{15, 1420}, {13780, 13900}}, writes: []span{{1423, 13778}, {14100, 23800}}, clearBy: 23800,
		records: []told{{CauseFailure, "n1", "n3", 2, true}}, alarms: 1,
	},
	"redis-8.0.2/two-in-a-row": {
		changes: []change{{"n3", 1332, 1386, 0}, {"n2", 13617, 13715, 14738}},
		careful: []span{{40, 14736}}, fenced: []span{{40, 1384}, {1535, 13713}}, writes: []span{{1387, 1534}, {13716, 25900}}, clearBy: 25900,
		records: []told{{CauseFailure, "n1", "n3", 1, false}, {CauseFailure, "n3", "n2", 2, true}},
	},
	"redis-8.0.2/two-in-a-row-announced": {
		changes: []change{{"n2", 1399.8, 1471, 2369}, {"n3", 5382.8, 5469, 6388}},
		careful: []span{{22, 2367}, {3637, 6386}}, fenced: []span{{22, 1469}, {3637, 5467}}, writes: []span{{1472, 3634}, {5470, 25800}}, clearBy: 25800,
		records: []told{{CauseFailure, "n1", "n2", 1, true}, {CauseFailure, "n2", "n3", 2, true}},
	},
	"valkey-9.1.2/kill": {
		changes: []change{{"n2", 1358, 1459, 2273}},
		careful: []span{{47, 2271}}, fenced: []span{{47, 1457}}, writes: []span{{1460, 8900}}, clearBy: 8900,
		records: []told{{CauseFailure, "n1", "n2", 1, true}},
	},
	"valkey-9.1.2/planned": {
		changes: []change{{"n2", 165.5, 264, 1172}},
		careful: []span{{2, 11200}}, fenced: []span{{2, 262}}, writes: []span{{265, 13800}}, clearBy: 13800,
		records: []told{{CausePlanned, "n1", "n2", 1, true}},
	},
	"valkey-9.1.2/stop": {
		changes: []change{{"n3", 2178, 2231, 3166}},
		careful: []span{{160, 3164}}, fenced: []span{{160, 2229}}, writes: []span{{2232, 21800}}, clearBy: 9000,
		records: []told{{CauseFailure, "n1", "n3", 1, true}},
	},
	"valkey-9.1.2/two-in-a-row": {
		changes: []change{{"n3", 1378.9, 1436, 0}, {"n2", 13691.9, 13765, 14752}},
		careful: []span{{40, 14750}}, fenced: []span{{40, 1434}, {1585, 13763}}, writes: []span{{1437, 1580}, {13766, 25900}}, clearBy: 25900,
		records: []told{{CauseFailure, "n1", "n3", 1, false}, {CauseFailure, "n3", "n2", 2, true}},
	},
	"valkey-9.1.2/two-in-a-row-announced": {
		changes: []change{{"n2", 1309, 1370, 2322}, {"n3", 5369, 5469, 6322}},
		careful: []span{{22, 2320}, {3580, 6320}}, fenced: []span{{22, 1368}, {3580, 5467}}, writes: []span{{1371, 3577}, {5470, 25800}}, clearBy: 25800,
		records: []told{{CauseFailure, "n1", "n2", 1, true}, {CauseFailure, "n2", "n3", 2, true}},
	},
}

func recordings(t testing.TB) map[string]*recording {
	t.Helper()
	files, err := filepath.Glob("testdata/episodes/*/*.jsonl")
	must(t, err)
	all := map[string]*recording{}
	for _, f := range files {
		name := filepath.Base(filepath.Dir(f)) + "/" + filepath.Base(f[:len(f)-len(".jsonl")])
		all[name] = loadRecording(t, f)
	}
	return all
}

func TestEveryRecordingIsUnderstood(t *testing.T) {
	all := recordings(t)
	if len(all) != len(expectations) {
		t.Errorf("%d recordings, %d expectations", len(all), len(expectations))
	}
	for name, r := range all {
		t.Run(name, func(t *testing.T) {
			want, ok := expectations[name]
			if !ok {
				t.Fatal("nothing is expected of it")
			}
			s := replay(t, r, view{})
			for _, m := range s.moments {
				t.Log(m)
			}
			s.checkStart(t)
			s.checkChanges(t, want.changes)
			s.checkSpans(t, want)
			s.checkRecords(t, want)
			s.checkSafe(t)
			s.checkFencedInTime(t)
			s.checkFenceLength(t)
		})
	}
}

// checkStart: before the fault the master is found, confirmed, and calm.
func (s *story) checkStart(t *testing.T) {
	t.Helper()
	m := s.at(-20)
	if m.stage != Clear || m.master != s.r.head.Master || !m.confirmed {
		t.Errorf("before the fault: %v, want %s, confirmed and clear", m, s.r.head.Master)
	}
}

// adoptions are the moments in which the master changed, after the first one.
func (s *story) adoptions() []moment {
	var out []moment
	master := ""
	for _, m := range s.moments {
		if m.master != master && master != "" {
			out = append(out, m)
		}
		master = m.master
	}
	return out
}

func (s *story) checkChanges(t *testing.T, want []change) {
	t.Helper()
	got := s.adoptions()
	if len(got) != len(want) {
		t.Fatalf("%d changes of master, want %d: %v", len(got), len(want), got)
	}
	for i, w := range want {
		if g := got[i]; g.master != w.to || g.t < w.promoted || g.t > w.by || g.confirmed {
			t.Errorf("change %d: %v, want %s provisionally within [%.0f, %.0f]", i, g, w.to, w.promoted, w.by)
		}
		s.checkConfirmed(t, w)
	}
}

func (s *story) checkConfirmed(t *testing.T, w change) {
	t.Helper()
	i := slices.IndexFunc(s.moments, func(m moment) bool { return m.master == w.to && m.confirmed })
	switch {
	case i < 0 && w.confirmed != 0:
		t.Errorf("%s is never confirmed", w.to)
	case i >= 0 && w.confirmed == 0:
		t.Errorf("%s is confirmed at %.0f", w.to, s.moments[i].t)
	case i >= 0 && (s.moments[i].t > w.confirmed || s.moments[i].t < w.confirmed-2):
		t.Errorf("%s is confirmed at %.1f, want %.0f", w.to, s.moments[i].t, w.confirmed)
	}
}

// within calls f for every decision in force in a span.
func (s *story) within(sp span, f func(moment)) {
	f(s.at(sp[0]))
	for _, m := range s.moments {
		if m.t > sp[0] && m.t < sp[1] {
			f(m)
		}
	}
}

func (m moment) writes() bool { return m.master != "" && m.stage <= Suspect }

func (s *story) checkSpans(t *testing.T, want expectation) {
	t.Helper()
	check := func(what string, spans []span, ok func(moment) bool) {
		for _, sp := range spans {
			s.within(sp, func(m moment) {
				if !ok(m) {
					t.Errorf("%v within %v, want %s", m, sp, what)
				}
			})
		}
	}
	check("no all clear", want.careful, func(m moment) bool { return m.stage != Clear })
	check("no writes", want.fenced, func(m moment) bool { return !m.writes() })
	check("writes", want.writes, moment.writes)
	check("calm", want.calm, func(m moment) bool { return m.stage == Clear })
	if want.clearBy > 0 {
		cleared := false
		s.within(span{0, want.clearBy}, func(m moment) { cleared = cleared || m.stage == Clear && m.t > 0 })
		if !cleared {
			t.Errorf("not clear by %.0f", want.clearBy)
		}
	}
}

func (s *story) checkRecords(t *testing.T, want expectation) {
	t.Helper()
	var got []told
	alarms := 0
	for _, r := range s.machine.History() {
		if r.Cause == CauseAlarm {
			alarms++
			continue
		}
		got = append(got, told{r.Cause, s.r.nameOf[r.From], s.r.nameOf[r.To], r.Epoch, !r.Confirmed.IsZero()})
		checkRecord(t, r)
	}
	if !slices.Equal(got, want.records) {
		t.Errorf("history: %v, want %v", got, want.records)
	}
	if alarms != want.alarms {
		t.Errorf("%d alarms in the history, want %d", alarms, want.alarms)
	}
	if n := s.machine.Status().Failovers; n != len(want.changes) {
		t.Errorf("%d failovers counted, want %d", n, len(want.changes))
	}
}

func checkRecord(t *testing.T, r Record) {
	t.Helper()
	if !r.Failover() {
		return
	}
	if r.Promoted.IsZero() || r.Adopted.Before(r.Promoted) || r.Adopted.Before(r.Opened) {
		t.Errorf("times out of order: %+v", r)
	}
	if r.Cause == CauseFailure && (r.SDown.IsZero() || r.ODown.IsZero()) {
		t.Errorf("a failure without +sdown or +odown: %+v", r)
	}
}

func (t told) String() string {
	return fmt.Sprintf("%v %s→%s epoch %d confirmed=%v", t.cause, t.from, t.to, t.epoch, t.confirmed)
}

// The ids of a node do not tell an emptied one from one that has all its data:
// the barrier key does, and the shell reads it.
func TestAnEmptiedMasterIsADatasetReset(t *testing.T) {
	r := loadRecording(t, "testdata/episodes/redis-7.0.15/restart-empty.jsonl")
	s := replay(t, r, view{})
	s.machine.Observe(Dataset{Node: r.addr["n1"], At: at(r.end)})
	if h := s.machine.History(); len(h) != 1 || h[0].Cause != CauseReset {
		t.Errorf("history %+v", h)
	}
}

func TestWithoutAMajorityOfSentinelsNoFailoverIsPossible(t *testing.T) {
	for _, name := range []string{"no-quorum", "not-elected"} {
		r := loadRecording(t, "testdata/episodes/redis-7.0.15/"+name+".jsonl")
		s := replay(t, r, view{})
		if s.machine.Status().CanFailOver() {
			t.Errorf("%s: a failover is said to be possible", name)
		}
		last := s.moments[len(s.moments)-1]
		for ms := 0.0; ms < 13000; ms += 1000 { // twice the failover timeout
			s.note(r.end+ms, s.machine.Observe(Tick{At: at(r.end + ms)}))
		}
		// One of them has tried by then, and was not elected.
		want := map[string]Stage{"no-quorum": Fenced, "not-elected": Degraded}[name]
		if end := s.moments[len(s.moments)-1]; last.stage != want || end.stage != Degraded {
			t.Errorf("%s: %v, and 12 s later %v", name, last, end)
		}
	}
}
