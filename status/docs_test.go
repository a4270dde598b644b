package status_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
	"github.com/evercache/evercache/status"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "health.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheExampleInTheDocsIsAnAnswer: it is what Health says of the same condition, to
// the byte.
func TestTheExampleInTheDocsIsAnAnswer(t *testing.T) {
	text := page(t)
	for block, h := range map[string]string{
		"whole": get(t, whole().Health(), "GET", "/health").Body.String(),
		"short": get(t, status.New(afterFailover()).ShortHealth(), "GET", "/health").Body.String(),
	} {
		_, rest, ok := strings.Cut(text, "```json example="+block+"\n")
		example, _, closed := strings.Cut(rest, "```\n")
		if !ok || !closed {
			t.Fatalf("docs/health.md has no example %s", block)
		}
		if d := cmp.Diff(example, indent(t, []byte(h))); d != "" {
			t.Errorf("%s (-docs +answer):\n%s", block, d)
		}
	}
}

// TestTheClusterBlockInTheDocsIsThatOfAnAnswer, to the byte.
func TestTheClusterBlockInTheDocsIsThatOfAnAnswer(t *testing.T) {
	var answer struct {
		Redis struct{ Cluster json.RawMessage }
	}
	if err := json.Unmarshal(get(t, status.New(inACluster()).Health(), "GET", "/health").Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(page(t), "```json example=cluster\n")
	example, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatal("docs/health.md has no example of a Cluster")
	}
	if d := cmp.Diff(example, indent(t, answer.Redis.Cluster)); d != "" {
		t.Errorf("(-docs +answer):\n%s", d)
	}
}

// TestEveryFieldOfHealthIsInTheDocs, and nothing else is.
func TestEveryFieldOfHealthIsInTheDocs(t *testing.T) {
	var answer map[string]any
	if err := json.Unmarshal(get(t, whole().Health(), "GET", "/health").Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	got := append(fields("", answer), "details") // of the short form
	if err := json.Unmarshal(get(t, status.New(inACluster()).Health(), "GET", "/health").Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	more := fields("", answer)
	got = append(got, slices.DeleteFunc(slices.Clone(more), func(f string) bool {
		return f == "findings" || slices.Contains(got, f) || slices.Contains(more, f+"[]") // of an empty list
	})...)
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-zA-Z.\\[\\]]+)` \\|").FindAllStringSubmatch(page(t), -1) {
		told = append(told, m[1])
	}
	for _, f := range got {
		if !slices.Contains(told, f) {
			t.Errorf("docs/health.md does not explain %s", f)
		}
	}
	for _, f := range told {
		if !slices.Contains(got, f) {
			t.Errorf("docs/health.md explains %s, which does not exist", f)
		}
	}
}

// fields are the paths of all values; [] stands for each element of a list.
func fields(path string, v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			all = append(all, fields(strings.TrimPrefix(path+"."+name, "."), field)...)
		}
	case []any:
		for _, e := range v {
			all = append(all, fields(path+"[]", e)...)
		}
		if len(v) == 0 {
			all = append(all, path)
		}
	default:
		all = append(all, path)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// whole has every field.
func whole() *status.Status {
	f := afterFailover()
	f.health.Findings = []health.Finding{{
		Code: "sentinel-unreachable", Severity: health.SeverityWarning, Title: "A sentinel does not answer",
		Detail: "sentinel3:26379: dial: connection refused", Fix: "Start it again. If it is gone for good, remove it everywhere (SENTINEL RESET on the others, one by one).",
	}}
	s := status.New(f)
	s.SetDenylist(func() stats.Denylist {
		return stats.Denylist{Entries: 3, Ready: true, AsOf: since, Lag: 15_000_000}
	})
	return s
}
