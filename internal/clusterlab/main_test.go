package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
)

func needRedis(t *testing.T) {
	t.Helper()
	if err := redisproc.Available(redisproc.Server); err != nil {
		if os.Getenv("EVERCACHE_TEST_REQUIRE_REDIS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Parallel()
}

// A real cluster is recorded, and the recording says what happened.
func TestAPlannedFailoverIsRecorded(t *testing.T) {
	needRedis(t)
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-out", dir, "planned"}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "planned.jsonl*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the files %v were written, %v", files, err)
	}
	lines := readLines(t, unpack(t, files[0]))
	end := lines[len(lines)-1]
	if len(end.Promoted) != 1 || end.Promoted[0].Node != "n3" || !slices.Equal(end.Owners["n3"], []string{"0-5460"}) {
		t.Errorf("the truth: promoted %v, owners %v", end.Promoted, end.Owners)
	}
	for name, w := range end.Writes {
		if w.Lost != 0 || w.Accepted == 0 {
			t.Errorf("a planned failover loses nothing; %s took %d barriers and lost %d", name, w.Accepted, w.Lost)
		}
	}
	seen := slices.ContainsFunc(lines, func(l someLine) bool {
		return l.Src == "n3" && l.T > 0 && len(l.Role) > 0 && l.Role[0] == "master"
	})
	if !seen {
		t.Error("no view shows that n3 has become a master")
	}
}

func TestACourseThatWasNotExpectedIsNoEpisode(t *testing.T) {
	for _, tt := range []struct {
		want []string
		got  []change
		ok   bool
	}{
		{nil, nil, true},
		{nil, []change{{Node: "n3"}}, false},
		{[]string{"n3"}, nil, false},
		{[]string{"n3|n6", "n4"}, []change{{Node: "n6"}, {Node: "n4"}}, true},
		{[]string{"n3|n6", "n4"}, []change{{Node: "n4"}, {Node: "n6"}}, false},
	} {
		e := &episode{scenario: scenario{promoted: tt.want}, truth: truth{Promoted: tt.got}}
		if err := e.asExpected(); (err == nil) != tt.ok {
			t.Errorf("%v were promoted, %v was expected: %v", tt.got, tt.want, err)
		}
	}
}

func TestAnotherCourseIsNotWritten(t *testing.T) {
	needRedis(t)
	s := scenario{name: "x", options: options{noReplicas: true}, promoted: []string{"n3"}, play: func(e *episode) error {
		e.note(action{What: "nothing"})
		return nil
	}}
	if _, err := play(t.Context(), s); err == nil || !strings.Contains(err.Error(), "[n3] was expected") {
		t.Errorf("nobody was promoted, and that is an episode: %v", err)
	}
}

func TestFaultyUseIsExplained(t *testing.T) {
	for want, args := range map[string][]string{
		"name a directory":             {"kill"},
		`no scenario is called "nope"`: {"-out", t.TempDir(), "nope"},
	} {
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
