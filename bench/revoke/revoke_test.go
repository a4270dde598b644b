package main

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-entries", "1", "-repeat", "0", "-duration", "1ns", "-revocations", "0", "-asked", "1", "-tables", "check,chair", "more"})
	for _, want := range []string{"-entries", "-repeat", "-duration", "-revocations", "-asked", "chair", "more"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	o, err := parse(nil)
	if err != nil || !slices.Equal(o.tables, tables) || o.has("chair") || !o.has("check") {
		t.Errorf("without flags: %+v, %v", o, err)
	}
}

func TestNoTwoIDsAreAlike(t *testing.T) {
	const n = 100_000
	all := map[string]bool{}
	for i := range n {
		all[id(i)] = true
	}
	if len(all) != n || len(id(0)) != idBytes {
		t.Errorf("%d ids of %d, of %d bytes", len(all), n, len(id(0)))
	}
	for _, id := range newAsked(0, n, 1000) {
		if !all[id] {
			t.Fatalf("%s is not among those that can be asked for", id)
		}
	}
	for _, id := range newAsked(n, n, 1000) {
		if all[id] {
			t.Fatalf("%s is among those that are revoked", id)
		}
	}
}

func TestAWrongAnswerEndsTheRun(t *testing.T) {
	broken := errors.New("no answer")
	for _, tt := range []struct {
		name   string
		says   bool
		err    error
		trust  trust
		asked  bool // what is right
		wantOK bool
	}{
		{"right about a revoked one", true, nil, exact, true, true},
		{"right about another", false, nil, exact, false, true},
		{"a revoked one is let in", false, nil, exact, true, false},
		{"another is refused", true, nil, exact, false, false},
		{"a filter refuses another", true, nil, maybe, false, true},
		{"a filter lets a revoked one in", false, nil, maybe, true, false},
		{"what does no work", false, nil, useless, true, true},
		{"no answer", true, broken, useless, true, false},
	} {
		s := subject{name: tt.name, trust: tt.trust, revoked: func(string) (bool, error) { return tt.says, tt.err }}
		got, err := load{s, newAsked(0, 100, 50), tt.asked, 2}.run(time.Millisecond)
		if (err == nil) != tt.wantOK || err == nil && (got.Ops == 0 || got.NsPerOp <= 0) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

func TestTheSubjectsInMemoryKnowWhatIsRevoked(t *testing.T) {
	const n = 1000
	f, m := newFilter(n), inSyncMap(newSyncMap(n))
	for i := range n {
		in, err := m.revoked(id(i))
		out, _ := m.revoked(id(n + i))
		if !in || out || err != nil || !f.has(id(i)) {
			t.Fatalf("%d: map %v, %v, %v; filter %v", i, in, out, err, f.has(id(i)))
		}
	}
	if perEntry := each(n, func() any { return newSyncMap(n) }); perEntry < idBytes || perEntry > 1000 {
		t.Errorf("an entry of the map weighs %v bytes", perEntry)
	}
}

func TestFiguresOfRevocations(t *testing.T) {
	at := time.Now()
	var calls []call
	var seen []int64
	for i := range 100 {
		calls = append(calls, call{at, at.Add(time.Duration(i+1) * time.Millisecond)})
		seen = append(seen, at.Add(10*time.Millisecond).UnixNano())
	}
	got := weighUp("Master", calls, seen)
	want := latency{Level: "Master", AckP50: 50, AckP99: 99, RefusedP50: 10, RefusedP99: 10, Before: 0.91}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSpread(t *testing.T) {
	for want, in := range map[string][]float64{
		"–": nil, "5.00": {5}, "2.00 (1.00–300)": {300, 1, 2}, "1.50 (1.00–2.00)": {2, 1}, "12.3": {12.34, 12.31}, "0": {0, 0},
	} {
		if got := spread(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
	if got := spread([]float64{1, math.NaN()}); got != "–" {
		t.Errorf("with what could not be had: %q", got)
	}
}

func TestQuantile(t *testing.T) {
	in := []float64{1, 2, 3, 4}
	for q, want := range map[float64]float64{0: 1, 0.5: 2, 0.75: 3, 0.99: 4, 1: 4} {
		if got := quantile(in, q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if got := quantile[float64](nil, 0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestResidentMemory(t *testing.T) {
	for in, want := range map[string]float64{"\t  2048 kB": 2, "2048": 2, "many kB": -1, "": -1} {
		if got := residentMiB(in); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
	if !math.IsNaN(orNone(-1)) || orNone(3) != 3 {
		t.Error("what could not be had is a number")
	}
}

func TestEveryTableThatHasSomethingIsPrinted(t *testing.T) {
	r := report{
		Environment: environment{Entries: 1000, Repeat: 1, Length: "1ms", Revocations: 10},
		Check:       []cell{{Procs: 1, Subject: "a filter", Hit: []sample{{Ops: 100, NsPerOp: 20}}, Miss: []sample{{Ops: 100, Wrong: 2, NsPerOp: 30, Allocs: 1.02}}}},
		Snapshot:    []snapshot{{Entries: 1000, Seconds: 0.5, HeapMiB: 2, PeakMiB: -1, StartMiB: -1}},
	}
	var b strings.Builder
	if err := r.markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 1 | a filter | 20.0 | 30.0 | 0 | 1.00 | 2.00 |", "| 1000 | 0.50 | – | – | 2.00 |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is not in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "### Revoke") || strings.Contains(b.String(), "### Memory") {
		t.Errorf("tables of nothing in\n%s", &b)
	}
}
