// Package guide_test holds the Go code of README.md and docs/guide: it compiles, it runs,
// and what the documents show is what stands here.
package guide_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const top = "../.."

// sources are the files from which the documents may quote.
var sources = []string{
	"examples/guide/policies_test.go", "examples/guide/loading_test.go", "examples/guide/inspect_test.go", "examples/guide/logs_test.go", "examples/quickstart/main.go", "examples/jwt/*.go", "*/example_test.go", "example_test.go",
}

var block = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// flat is text without what differs when it is quoted: indentation and blank lines.
func flat(text string) string {
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, strings.Join(strings.Fields(l), " "))
		}
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// unknown lists the parts of a document's code that stand in none of the sources. A line
// "…" stands for whatever was left out.
func unknown(document string, sources []string) (all []string) {
	for _, m := range block.FindAllStringSubmatch(document, -1) {
		for part := range strings.SplitSeq(flat(m[1]), "\n…\n") {
			part = "\n" + strings.Trim(part, "\n") + "\n"
			found := false
			for _, s := range sources {
				found = found || strings.Contains(s, part)
			}
			if !found {
				all = append(all, part)
			}
		}
	}
	return all
}

func read(t *testing.T, patterns ...string) (files map[string]string) {
	t.Helper()
	files = map[string]string{}
	for _, p := range patterns {
		names, err := filepath.Glob(filepath.Join(top, filepath.FromSlash(p)))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: no such file (%v)", p, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(data)
		}
	}
	return files
}

func TestTheCodeInTheDocumentsIsCompiled(t *testing.T) {
	var code []string
	for _, text := range read(t, sources...) {
		code = append(code, flat(text))
	}
	shown := 0
	for name, text := range read(t, "README.md", "docs/*.md", "docs/guide/*.md") {
		shown += len(block.FindAllString(text, -1))
		for _, part := range unknown(text, code) {
			t.Errorf("%s shows code that no example has:%s", name, part)
		}
	}
	if shown < 8 {
		t.Errorf("only %d blocks of Go in the documents", shown)
	}
	if len(unknown("```go\n\tx := nonsense()\n```\n", code)) != 1 {
		t.Error("code that nobody compiles is not noticed")
	}
}
