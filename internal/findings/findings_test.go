package findings

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

// wantWhole fails the test unless an operator is told what it is, what was seen
// and what to do.
func wantWhole(t *testing.T, f health.Finding) {
	t.Helper()
	if f.Code == "" || f.Severity == "" || f.Title == "" || strings.TrimSpace(f.Detail) == "" || f.Fix == "" {
		t.Errorf("incomplete: %+v", f)
	}
	if strings.Contains(f.Detail, "%!") || strings.Contains(f.Detail, "\n") {
		t.Errorf("detail of %s: %q", f.Code, f.Detail)
	}
}

var now = time.Unix(1_800_000_000, 0)

// troubled are sentinels with one trouble each.
func troubled() (all []health.SentinelNode) {
	for _, t := range byTrouble {
		all = append(all, health.SentinelNode{Addr: t.finding.Code + ":1", Err: io.EOF, Code: t.finding.Code})
	}
	return all
}

// every is one finding of each code, or more.
func every() (fs []health.Finding) {
	add := func(in Input) { fs = append(fs, Of(in)...) }
	for r := range reasonCount {
		add(Input{Now: now, Away: &Away{Reason: r, Cause: "it said so", Addr: "redis:6379"}})
	}
	add(Input{Now: now, Away: &Away{Cause: "refused", Default: "localhost:6379"}, Unconfigured: true})
	add(Input{Now: now, Away: &Away{Reason: Silent, Cause: "silent"}, Report: health.Report{Sentinel: &health.Sentinel{CurrentMaster: "n1:1"}}})
	for reason := range refusals {
		add(Input{Now: now, Master: &Master{Refused: reason, Forbidden: io.EOF, Mute: "~b:*", NoScripts: true}, Report: health.Report{Feed: health.Feed{Cause: io.EOF}}})
	}
	add(Input{Now: now, Master: &Master{
		Missing: []Command{{Name: "TIME"}, {Name: "HGETALL", Forbidden: true}}, Puzzled: io.EOF, TooLong: io.EOF, Apart: true,
		Evicts: "allkeys-lru", Version: "5.0.14", Before6_0: true, Before6_2: true,
	}})
	add(Input{Now: now, Replicas: []Replica{{Addr: "n2:1", Reason: "it lags"}}})
	bad := health.SentinelNode{Addr: "s1:1", Tilt: true, Differs: true, Names: "n2:1"}
	alone := health.SentinelNode{Addr: "s2:1", Differs: true, Alone: []string{"n9:1", "n8:1", "n7:1", "n6:1"}}
	for _, set := range []*health.Sentinel{
		{Sentinels: []health.SentinelNode{bad, alone}, Plaintext: []string{"n1:1"}, Rejected: 1, Forbidden: []string{"INFO"}, Provisional: true, Stage: "suspect", CurrentMaster: "n1:1"},
		{Sentinels: []health.SentinelNode{bad}, Rejected: 1, CanFailOver: true, Known: 2, Reachable: 1, Provisional: true, Stage: "clear", CurrentMaster: "n1:1", Nodes: []health.Node{{Addr: "n1:1"}, {Addr: "n2:1"}, {Addr: "n3:1", Reachable: true, Link: "send_bulk"}, {Addr: "n4:1", Reachable: true, Link: "online"}}},
		{Sentinels: troubled(), MasterName: "shop", Known: 7, Reachable: 2, Needed: 4},
	} {
		add(Input{Now: now, Report: health.Report{Sentinel: set}})
	}
	for _, in := range troubledClusters() {
		add(in)
	}
	some := Count{1, now}
	add(Input{
		Now: now, Overflowed: 1, Rejected: 1, RejectedAt: now, ResetAt: now, Rollback: &Rollback{At: now, Addr: "redis:6379"},
		Report: health.Report{
			Connected: true, OutboxEntries: 1,
			Recovery: health.Recovery{DroppedKeys: 1, UnconfirmedOldest: time.Hour, DatasetResets: 1},
			Journal:  health.Journal{Err: io.EOF, Unsaved: 1},
			Clock:    health.Clock{Known: true, Ahead: -time.Hour},
		},
		Tombstones: stats.Tombstones{Live: 1, Bytes: 1 << 40},
		KeyFiles:   []KeyFiles{{Whose: "for Redis", Fault: io.EOF, Expires: now.Add(-time.Hour)}, {Whose: "for the sentinels", Expires: now.Add(time.Hour)}},
		Classes:    []Class{{Name: "c", Unread: some, Again: some, Lost: some, Wrong: some, Origin: Origin{FailingSince: now, Failed: some}, TooLong: some, TooLarge: some}, {Name: "d", Origin: Origin{Slow: some}}},
		Journal:    JournalFile{Damage: io.EOF},
	})
	add(Input{Now: now, Journal: JournalFile{Senseless: 1}})
	for _, d := range []Denylist{
		{Foreign: true},
		{Full: true},
		{Matters: true, Denied: []Denied{{"ZADD", "nothing can be revoked"}}},
		{Matters: true, Evicts: "allkeys-lru", FirstUse: true, Removed: 2, RemovedAt: now, Reading: errors.New("unknown command `ZADD`, with args")},
		{Matters: true, Stats: stats.Denylist{Ready: true, Lag: time.Minute, Untaken: 1}, MaxLag: time.Second, Writing: errors.New("WRONGTYPE")},
	} {
		fs = append(fs, OfDenylist(d)...)
	}
	return fs
}

// TestEveryCodeIsMadeAndWhole: a code of package health that nothing makes, or one
// that is made and not there, is a mistake.
func TestEveryCodeIsMadeAndWhole(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "..", "health", "codes.go"))
	if err != nil {
		t.Fatal(err)
	}
	made, listed := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`Code[A-Za-z]+ += "([a-z-]+)"`).FindAllSubmatch(source, -1) {
		listed[string(m[1])] = true
	}
	for _, f := range every() {
		wantWhole(t, f)
		made[f.Code] = true
	}
	for code := range listed {
		if !made[code] {
			t.Errorf("nothing makes %s", code)
		}
	}
	for code := range made {
		if !listed[code] {
			t.Errorf("%s is not in health/codes.go", code)
		}
	}
	if len(listed) < 60 {
		t.Errorf("only %d codes: %v", len(listed), slices.Sorted(maps.Keys(listed)))
	}
}

// TestEveryFindingIsInTheRunbook: an operator looks the code up there. Those about
// the denylist are in its guide, by the end of their codes.
func TestEveryFindingIsInTheRunbook(t *testing.T) {
	read := func(name ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "docs"}, name...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	runbook, guide := read("operations.md"), read("guide", "revocation.md")
	for _, f := range every() {
		end, denylist := strings.CutPrefix(f.Code, "revocations")
		if !strings.Contains(runbook, "`"+f.Code+"`") && !(denylist && strings.Contains(guide, "`"+end+"`")) && !strings.Contains(guide, "`"+f.Code+"`") {
			t.Errorf("%s is not there", f.Code)
		}
	}
}
