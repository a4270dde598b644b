package guide_test

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tables are the parts of "Every requirement and its place" in docs/README.md, and how many
// rows each has.
var tables = map[string]int{
	"Names that were used": 8, "Check list before a deployment": 25, "Rollout": 3, "Rollback": 7,
	"Targets": 17, "Documents": 28, "Behaviour": 23, "Tests": 12,
}

// things are what exists and may be named.
type things struct {
	code     string // all Go code, and what documents findings
	tests    map[string]bool
	targets  map[string]bool
	commands map[string]string // what docs/cli.md says of each
}

var (
	testName   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	targetName = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	quoted     = regexp.MustCompile("`([^`]+)`")
	flagOf     = regexp.MustCompile(`(^|\s)(--?[a-z][a-z-]*)`)
	isTest     = regexp.MustCompile(`^(Test|Fuzz|Benchmark)\w+$`)
	isFinding  = regexp.MustCompile(`^(redis|sentinel|cluster|config|plan|origin|value|dataset|outbox|journal|memory|revocations|tombstones)(-[a-z]+)+$`)
	isMetric   = regexp.MustCompile(`^evercache_([a-z0-9_]+)(\{.*\})?$`)
	isPath     = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+/?$|^[\w-]+\.(md|sh|go|svg)$|^evercacheprom$`)
)

func whatExists(t *testing.T) things {
	t.Helper()
	all := things{tests: map[string]bool{}, targets: map[string]bool{}, commands: map[string]string{}}
	var code strings.Builder
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(top, name))
		if !strings.HasSuffix(name, "_test.go") {
			code.Write(text)
			return err
		}
		for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
			all.tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range read(t, "docs/operations.md", "docs/configuration.md", "docs/guide/doctor.md") {
		code.WriteString(text)
	}
	all.code = code.String()
	for _, text := range read(t, "Makefile") {
		for _, m := range targetName.FindAllStringSubmatch(text, -1) {
			all.targets[m[1]] = true
		}
	}
	for _, text := range read(t, "docs/cli.md") {
		for part := range strings.SplitSeq(text, "\n## evercache ") {
			name, about, _ := strings.Cut(part, "\n")
			all.commands[name] = about
		}
	}
	return all
}

// missing says of a quoted text that names something what is wrong with it.
func (all things) missing(text string) string {
	words := strings.Fields(text)
	switch {
	case isTest.MatchString(text):
		if !all.tests[text] {
			return "there is no such test"
		}
	case isFinding.MatchString(text):
		if !strings.Contains(all.code, "`"+text+"`") && !strings.Contains(all.code, `"`+text+`"`) {
			return "there is no such finding"
		}
	case isMetric.MatchString(text):
		name := isMetric.FindStringSubmatch(text)[1]
		if !strings.Contains(all.code, `"`+name+`"`) && !strings.Contains(all.code, `"evercache_`+name+`"`) {
			return "there is no such metric"
		}
	case len(words) == 0 || len(words) == 1 && !isPath.MatchString(text):
	case words[0] == "make":
		if !all.targets[words[1]] && !slices.Contains(awaitedTargets, words[1]) {
			return "make has no such target"
		}
	case words[0] == "evercache":
		about, ok := all.commands[words[1]]
		if !ok {
			return "there is no such command"
		}
		for _, m := range flagOf.FindAllStringSubmatch(strings.Join(words[2:], " "), -1) {
			if !strings.Contains(about, m[2]) {
				return "the command has no flag " + m[2]
			}
		}
	case isPath.MatchString(words[0]) && !strings.HasPrefix(words[0], "bin/"): // what was built
		if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(words[0]))); err != nil && !isAwaited(words[0]) {
			return "there is no such file"
		}
	}
	return ""
}

// faultsOf lists what a document names in backquotes, and is not there.
func (all things) faultsOf(name, text string) (faults []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		if why := all.missing(m[1]); why != "" {
			faults = append(faults, fmt.Sprintf("%s: %s: %s", name, m[1], why))
		}
	}
	return faults
}

var fenced = regexp.MustCompile("(?ms)^```.*?^```$")

// requirementRows are the rows of each table under a heading of the third level, without
// its first column: what was asked for names files of others.
func requirementRows(text string) map[string][]string {
	_, text, _ = strings.Cut(text, "\n## Every requirement and its place\n")
	rows := map[string][]string{}
	for part := range strings.SplitSeq(text, "\n### ") {
		heading, body, _ := strings.Cut(part, "\n")
		for line := range strings.Lines(body) {
			if cells := strings.SplitN(strings.TrimSpace(line), " | ", 2); strings.HasPrefix(line, "| ") && len(cells) == 2 {
				rows[heading] = append(rows[heading], cells[1])
			}
		}
		if len(rows[heading]) > 0 {
			rows[heading] = rows[heading][1:] // the names of the columns
		}
	}
	return rows
}

func TestEveryRequirementHasItsPlace(t *testing.T) {
	all := whatExists(t)
	for _, text := range read(t, "docs/README.md") {
		rows := requirementRows(text)
		for heading, want := range tables {
			if len(rows[heading]) != want {
				t.Errorf("%s has %d rows, want %d", heading, len(rows[heading]), want)
			}
			for _, row := range rows[heading] {
				if !strings.Contains(row, "`") && !strings.Contains(row, "](") && row != "this table |" {
					t.Errorf("%s: a row names no file, test or command: %s", heading, row)
				}
				for _, f := range all.faultsOf(heading, row) {
					t.Error(f)
				}
			}
		}
	}
	for planted, want := range map[string]string{
		"`TestNonsense`":                        "no such test",
		"`make nonsense`":                       "no such target",
		"`evercache nonsense`":                  "no such command",
		"`redis-nonsense`":                      "no such finding",
		"`evercache_nonsense_total{a=\"b\"}`":   "no such metric",
		"`evercache drill --nonsense`":          "no flag --nonsense",
		"`deploy/nonsense.yml`":                 "no such file",
		"`make test`, `evercache drill --rate`": "",
	} {
		if got := strings.Join(all.faultsOf("planted", planted), " "); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", planted, got, want)
		}
	}
}

// What the other documents of operation name in their text has to be there as well.
func TestWhatTheDocumentsNameIsThere(t *testing.T) {
	all := whatExists(t)
	for name, text := range read(t, "docs/production-checklist.md", "docs/rollout.md", "docs/rollback.md", "docs/upgrade.md", "docs/on-call.md",
		"docs/security.md", "docs/capacity.md", "docs/risks.md", "docs/executive-summary.md", "docs/training.md", "docs/release-gate.md") {
		for _, f := range all.faultsOf(filepath.Base(name), fenced.ReplaceAllString(text, "")) {
			t.Error(f)
		}
	}
}

// The check list has the boxes that were asked for, in their groups.
func TestTheCheckListHasItsBoxes(t *testing.T) {
	want := map[string]int{"Infrastructure": 6, "Configuration": 5, "Monitoring": 5, "Documentation": 4, "Testing": 5}
	for _, text := range read(t, "docs/production-checklist.md") {
		got, number := map[string]int{}, 0
		for part := range strings.SplitSeq(text, "\n## ") {
			heading, body, _ := strings.Cut(part, "\n")
			for line := range strings.Lines(body) {
				if !strings.HasPrefix(line, "- [ ] ") {
					continue
				}
				number++
				got[heading]++
				if !strings.HasPrefix(line, fmt.Sprintf("- [ ] %d. **", number)) || !strings.Contains(line, "`") && !strings.Contains(line, "](") {
					t.Errorf("box %d has no number, no name or no command: %s", number, line)
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("the groups have %v boxes, want %v", got, want)
		}
	}
}

// Work that is left is an issue, and no remark in a file.
func TestNothingIsLeftToDo(t *testing.T) {
	marks := regexp.MustCompile(`(?i)(//|#|/\*|<!--)\s*` + `(TO` + `DO|FIX` + `ME|XXX)\b`)
	found := 0
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (name == ".git" || name == "bin") {
			return cmp.Or(err, fs.SkipDir)
		}
		if d.IsDir() || !slices.Contains([]string{".go", ".sh", ".md", ".yml", ".yaml", ".tmpl", ".conf"}, filepath.Ext(name)) {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(top, name))
		found++
		if m := marks.FindString(string(text)); m != "" {
			t.Errorf("%s: %s", name, m)
		}
		return err
	})
	if err != nil || found < 500 {
		t.Errorf("%d files were read: %v", found, err)
	}
	if !marks.MatchString("// TO"+"DO: later") || marks.MatchString("context.TO"+"DO()") {
		t.Error("a planted remark is not found, or a function is taken for one")
	}
}
