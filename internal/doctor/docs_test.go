package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/health"
)

var guide = filepath.Join("..", "..", "docs", "guide", "doctor.md")

func readGuide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func tableOf(checks []Check) string {
	var b strings.Builder
	b.WriteString("| code | severity | when | why it matters |\n|---|---|---|---|\n")
	for _, c := range checks {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.Code, c.Severity, cell(c.When), cell(c.Why))
	}
	return b.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// between replaces what stands between two marks.
func between(t *testing.T, page, begin, end, text string) string {
	t.Helper()
	i := strings.Index(page, begin)
	if i < 0 {
		t.Fatalf("%s has no %s", guide, begin)
	}
	i += strings.Index(page[i:], "\n") + 1
	j := strings.Index(page[i:], end)
	if j < 0 {
		t.Fatalf("%s has no %s", guide, end)
	}
	return page[:i] + text + page[i+j:]
}

func TestTheDocumentedChecksAreThoseOfTheRegistry(t *testing.T) {
	page := readGuide(t)
	var plans []Check
	for _, c := range PlanChecks() {
		plans = append(plans, c.Check)
	}
	want := between(t, page, "<!-- checks:", "<!-- end -->", tableOf(Checks()))
	want = between(t, want, "<!-- plans:", "<!-- end plans -->", tableOf(plans))
	if *update {
		if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := gocmp.Diff(want, page); d != "" {
		t.Errorf("%s is stale (-want +got); go test ./internal/doctor -run Documented -update writes it:\n%s", guide, d)
	}
}

// A code of the library means the same here: docs/operations.md explains it.
func TestCodesOfTheLibraryAreInTheOperationsGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	own := ownCodes(t)
	for _, c := range Checks() {
		if own[c.Code] || strings.HasPrefix(c.Code, "revocations-") {
			continue
		}
		if !strings.Contains(string(text), "`"+c.Code+"`") {
			t.Errorf("docs/operations.md does not explain %s", c.Code)
		}
	}
}

// ownCodes are the codes that package health does not have.
func ownCodes(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "health", "codes.go"))
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, c := range Checks() {
		own[c.Code] = !strings.Contains(string(text), `"`+c.Code+`"`)
	}
	return own
}

func TestEveryFieldOfTheReportIsDocumented(t *testing.T) {
	t.Parallel()
	r := Report{
		Mode: "m", MasterName: "m", Plan: "p", At: time.Unix(1, 0), Servers: []Server{{Side: "then", Role: "r", Version: "v", ConnectMS: 1, LatencyMS: 1, P50MS: 1, P99MS: 1}},
		Findings: []Finding{{Finding: health.Finding{Detail: "d", Fix: "f"}, Subject: "s", Why: "w"}},
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	var want []string
	for name, value := range fields {
		if list, ok := value.([]any); ok {
			for field := range list[0].(map[string]any) {
				want = append(want, name+"[]."+field)
			}
			continue
		}
		want = append(want, name)
	}
	slices.Sort(want)
	var got []string
	_, part, _ := strings.Cut(readGuide(t), "| field | meaning |")
	part, _, _ = strings.Cut(part, "\n\n")
	for line := range strings.Lines(part) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-zA-Z0-9.\\[\\]]+)`").FindAllStringSubmatch(first, -1) {
			got = append(got, m[1])
		}
	}
	slices.Sort(got)
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("(-report +docs):\n%s", d)
	}
}

// Findings of the settings have a why here for each code that package config has.
func TestEverySettingsFindingHasAWhy(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(config-[a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		codes[m[1]] = true
		if settingsWhy[m[1]] == "" {
			t.Errorf("%s has no why", m[1])
		}
	}
	for code := range settingsWhy {
		if !codes[code] {
			t.Errorf("%s is no code of the settings", code)
		}
	}
	if len(codes) < 10 {
		t.Errorf("only %d codes were found", len(codes))
	}
}
