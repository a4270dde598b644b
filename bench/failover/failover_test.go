package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/chaos"
)

func TestSpreadPutsWhatNeverHappenedLast(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []figure
		want string
	}{
		{"nothing", nil, "–"},
		{"alike in print", []figure{{4.1, false}, {3.9, false}}, "4"},
		{"in no order", []figure{{9, false}, {1, false}, {5, false}}, "5 (1–9)"},
		{"even number: the worse of the middle ones", []figure{{1, false}, {2, false}, {3, false}, {9, false}}, "3 (1–9)"},
		{"once not at all", []figure{{12000, true}, {20000, false}, {5, false}}, "20000 (5–>12s)"},
		{"never", []figure{{12010, true}, {11990, true}, {12000, true}}, ">12s"},
	} {
		if got := spread(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// at is a moment of the history below, in milliseconds.
func at(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }

func write(key string, start, end int, ack chaos.Ack) chaos.Call {
	c := chaos.Call{Op: chaos.Write, Key: key, Ack: ack, Start: at(start), End: at(end)}
	if !ack.Acknowledged() {
		c.Err = errors.New("no")
	}
	return c
}

// plannedFailover is a client that goes on writing to the demoted master.
var plannedFailover = []chaos.Call{
	write("a", 0, 10, chaos.Landed),
	write("b", 90, 100, chaos.Landed),
	write("lost1", 290, 300, chaos.Landed),
	write("lost2", 390, 400, chaos.Landed),
	write("failed", 400, 900, chaos.Failed),
	write("kept", 410, 450, chaos.Kept),
	write("c", 1090, 1100, chaos.Landed),
	{Op: chaos.Read, Key: "k", Start: at(0), End: at(700), Err: errors.New("no")},
	{Op: chaos.Read, Key: "k", Start: at(0), End: at(1), Wrong: true},
}

func TestASampleTellsWhatLandedFromWhatSurvived(t *testing.T) {
	f := chaos.Facts{
		Began: at(0), Ended: at(1200), Fault: at(100), Promoted: at(200),
		Unheld: map[string]bool{"lost1": true, "lost2": true, "failed": true},
	}
	got := newSample("x", record{calls: plannedFailover}, f)
	want := sample{
		Library: "x", Reads: 2, FailedReads: 1, WrongReads: 1,
		Writes: 7, FailedWrites: 1, Landed: 5, Kept: 1, LostLanded: 2,
		GapMS: 700, HeldGapMS: 1000, LongestMS: 700, LandingMS: new(900.0), ObservedMS: 1000, FirstError: "no",
		Examples: []string{"write lost: lost1, 190ms after the fault, acknowledged by a master after 10ms", "write lost: lost2, 290ms after the fault, acknowledged by a master after 10ms"},
	}
	if a, b := asJSON(t, got), asJSON(t, want); a != b {
		t.Errorf("sample\n%s\nwant\n%s", a, b)
	}
}

func TestADeletedKeyIsNotALostWrite(t *testing.T) {
	removed := func(key string, ack chaos.Ack) chaos.Call { return write(key, 500, 510, ack) }
	r := record{
		calls: append(slices.Clone(plannedFailover), chaos.Call{Op: chaos.Read, Key: "k", Start: at(0), End: at(1), Err: errNotThere}),
		deletes: []chaos.Call{
			removed("lost1", chaos.Landed), // stays deleted
			removed("lost2", chaos.Failed), // nobody knows
			removed("a", chaos.Landed),     // is back
			removed("kept", chaos.Kept),    // is back
			removed("c", chaos.Refused),    // was never told to be deleted
		},
		gone: map[string]bool{"lost1": true, "lost2": true},
	}
	s := newSample("x", r, chaos.Facts{
		Began: at(0), Ended: at(1200), Fault: at(100), Promoted: at(200),
		Unheld: map[string]bool{"lost1": true, "lost2": true, "b": true},
	})
	if s.lost() != 1 || s.Resurrected != 2 || s.Deletes != 5 || s.FailedDeletes != 2 || s.MissingReads != 1 || s.FailedReads != 1 || s.failed() != 5 {
		t.Errorf("%+v", s)
	}
	if s.LandingMS == nil || *s.LandingMS != 900 { // not that of a write that the old master took
		t.Errorf("landing %v", s.LandingMS)
	}
}

func TestDoomedKeysAreTakenOnceOldAndNewByTurns(t *testing.T) {
	d := deletable{old: []string{"o1", "o2"}}
	if got := d.take(1); got != "o2" {
		t.Errorf("took %q while none was new", got)
	}
	d.add("n1")
	d.add("n2")
	for n, want := range []string{"o1", "n2", "n1", ""} {
		if got := d.take(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestOneThatIsReachedByDetoursIsDialledThere(t *testing.T) {
	l, err := newLines([]string{"127.0.0.1:7", "127.0.0.1:8"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	s := &scene{masterName: "m", sentinels: []string{"127.0.0.1:7"}, lines: l}
	p := s.seenFrom(0)
	if p.dialled("127.0.0.1:8") != l["127.0.0.1:8"].Addr() || p.sentinels[0] != l["127.0.0.1:7"].Addr() || p.dialled("x:1") != "x:1" {
		t.Errorf("%+v", p)
	}
}

func TestASampleWithoutALandingSaysHowLongWasWaited(t *testing.T) {
	f := chaos.Facts{Began: at(0), Ended: at(5200), Fault: at(100), Promoted: at(200), Unheld: map[string]bool{"lost1": true, "lost2": true, "c": true}}
	s := newSample("x", record{calls: plannedFailover}, f)
	if s.LandingMS != nil || s.ObservedMS != 5000 || s.HeldGapMS != 5100 {
		t.Errorf("sample %+v", s)
	}
	if value, bound := landing(s); !bound || (figure{value, bound}).String() != ">5s" {
		t.Errorf("landing %v %v", value, bound)
	}
}

func asJSON(t *testing.T, s sample) string {
	t.Helper()
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestASetIsSettledWhenAMajorityAndEveryNodeAgree(t *testing.T) {
	well := []role{{"n0", true, ""}, {"n1", false, "n0"}, {"n2", false, "n0"}}
	for _, tt := range []struct {
		name  string
		named []string
		roles []role
		want  string
	}{
		{"all well", []string{"n0", "n0", "n0"}, well, "n0"},
		{"one sentinel is silent", []string{"", "n0", "n0"}, well, "n0"},
		{"no majority", []string{"", "n1", "n0"}, well, ""},
		{"silence is no majority", []string{"", "", "n0"}, well, ""},
		{"the old master is dead", []string{"n1", "n1", "n1"}, []role{{addr: "n0"}, {"n1", true, ""}, {"n2", false, "n1"}}, "n1"},
		{"the old master has woken up", []string{"n1", "n1", "n1"}, []role{{"n0", true, ""}, {"n1", true, ""}, {"n2", false, "n1"}}, ""},
		{"a replica follows another", []string{"n1", "n1", "n1"}, []role{{"n0", false, "n1"}, {"n1", true, ""}, {"n2", false, "n0"}}, ""},
		{"the one named is silent", []string{"n1", "n1", "n1"}, []role{{addr: "n1"}, {"n2", false, "n1"}}, ""},
	} {
		if got := (view{tt.named, tt.roles}).settled(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRoleIsRead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply []any
		want  role
	}{
		{"master", []any{"master", int64(7), []any{}}, role{"a", true, ""}},
		{"replica", []any{"slave", "10.0.0.1", int64(6379), "connected", int64(7)}, role{"a", false, "10.0.0.1:6379"}},
		{"no answer", nil, role{addr: "a"}},
		{"cut short", []any{"slave", "10.0.0.1"}, role{addr: "a"}},
	} {
		if got := roleOf("a", tt.reply); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// stuck answers reads at once and writes never in time.
type stuck struct{ client }

func (stuck) Set(ctx context.Context, _, _ string) (chaos.Ack, error) {
	<-ctx.Done()
	return chaos.Failed, context.Cause(ctx)
}

func (s stuck) Delete(ctx context.Context, key string) (chaos.Ack, error) { return s.Set(ctx, key, "") }

func (stuck) Get(_ context.Context, key string) (string, error) { return valueOf(key), nil }

func TestBlockedCallsDoNotHoldBackTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTraffic(stuck{}, "c", rates{writes: 100, deletes: 10, reads: 50}, nil)
		tr.start()
		time.Sleep(2*time.Second - time.Millisecond)
		if blocked := tr.stop(2 * callTimeout); blocked != 0 {
			t.Errorf("%d calls blocked", blocked)
		}
		s := chaos.Sum(tr.history.Calls(), chaos.Facts{Began: tr.began, Ended: tr.ended})
		if s.Writes != 200 || s.FailedWrites != 200 || s.LongestWrite != callTimeout || s.Reads != 100 || s.FailedReads+s.WrongReads > 0 {
			t.Errorf("%+v", s)
		}
		if d := chaos.Sum(tr.deletes.Calls(), chaos.Facts{Began: tr.began, Ended: tr.ended}); d.Writes != 20 || d.FailedWrites != 20 {
			t.Errorf("deletes: %+v", d)
		}
	})
}

func TestCallsThatNeverReturnAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		tr := newTraffic(deaf{free: free}, "c", rates{writes: 10, reads: 10}, nil)
		tr.start()
		time.Sleep(time.Second - time.Millisecond)
		if blocked := tr.stop(5 * time.Second); blocked != 10 {
			t.Errorf("%d calls blocked, want 10", blocked)
		}
		close(free)
		tr.calls.Wait()
	})
}

// deaf does not listen to its callers' contexts.
type deaf struct {
	client
	free chan struct{}
}

func (d deaf) Set(context.Context, string, string) (chaos.Ack, error) {
	<-d.free
	return chaos.Landed, nil
}
func (deaf) Get(_ context.Context, key string) (string, error) { return valueOf(key), nil }

func TestEveryRepetitionListsAnotherSentinelFirst(t *testing.T) {
	s := &scene{masterName: "m", sentinels: []string{"a", "b", "c"}}
	for i, want := range [][]string{{"a", "b", "c"}, {"b", "c", "a"}, {"c", "a", "b"}, {"a", "b", "c"}} {
		if got := s.seenFrom(i).sentinels; !slices.Equal(got, want) {
			t.Errorf("repetition %d: %q, want %q", i, got, want)
		}
	}
}

func TestTheCommandLineListsEveryFault(t *testing.T) {
	_, err := parse([]string{"-repeat", "0", "-faults", "kill,earthquake", "-writes", "NaN", "-deletes", "-1", "-only", "[", "-down-after", "1m"})
	for _, want := range []string{"-repeat", "earthquake", "-writes", "-deletes", "-only", "-down-after"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if o, err := parse([]string{"-faults", "all"}); err != nil || len(o.faults) != len(faults) {
		t.Errorf("all: %+v, %v", o, err)
	}
	o, err := parse([]string{"-only", "^evercache", "-faults", "planned, kill"})
	if err != nil || len(o.libraries) != 2 || len(o.faults) != 2 || o.faults[0].name != "planned" || o.repeat != 5 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestTheReportHasATableForEachFault(t *testing.T) {
	s := sample{Library: "evercache", LongestMS: 250, LandingMS: new(31.0), Kept: 12, LostKept: 3}
	dead := sample{Library: "peer", FailedWrites: 900, FailedDeletes: 1, Resurrected: 7, ObservedMS: 12000}
	r := report{Environment: environment{Repeat: 1}, among: faults, Episodes: []episode{
		{Fault: "planned", PromotedMS: new(170.0), Samples: []sample{s, dead}},
		{Fault: "empty", BackMS: new(410.0), Promotions: 1, Samples: []sample{s, dead}},
		{Fault: "kill", PromotedMS: new(1400.0), Promotions: 2, Notes: []string{"something"}, Samples: []sample{s, dead}},
	}}
	var b bytes.Buffer
	if err := r.markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## kill -9 of the master", "another node: 1400 ms", "In 1 of 1 repetitions Sentinel failed over again",
		"| library | kill | planned | empty |", "| evercache | 3 / 0 / 0 | 3 / 0 / 0 | 3 / 0 / 0 |", "| peer | 0 / 7 / 901 | 0 / 7 / 901 | 0 / 7 / 901 |",
		"| evercache | 0 | 12 | 3 | 0 | 0 | 0 | 0 | 0 | 250 | 0 | 0 | 31 |", "| peer | 0 | 0 | 0 | 7 | 0 | 0 | 900 | 1 | 0 | 0 | 0 | >12s |",
		"back 410 ms after the fault", "In 1 of 1 repetitions Sentinel failed over all the same", "| master back to first landed write, ms |",
		"## planned SENTINEL FAILOVER", "another node: 170 ms", "something",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "SIGSTOP") {
		t.Error("a table of a fault that did not happen")
	}
	b.Reset()
	if err := r.json(&b); err != nil || !json.Valid(b.Bytes()) {
		t.Errorf("json: %v", err)
	}
}
