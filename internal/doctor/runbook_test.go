package doctor

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var codeWord = regexp.MustCompile("[`\"]([a-z]+-[a-z0-9-]*[a-z0-9])[`\"]")

// everyCode are the codes of all findings: of package health, of the checks here, of the
// settings, and those of the server, which operations.md has.
func everyCode(t *testing.T) []string {
	t.Helper()
	all := map[string]bool{CodeSettings: true}
	for _, m := range codeWord.FindAllStringSubmatch(document(t, "health/codes.go"), -1) {
		all[m[1]] = true
	}
	for _, c := range Checks() {
		all[c.Code] = true
	}
	for _, c := range PlanChecks() {
		all[c.Code] = true
	}
	for code := range settingsWhy {
		all[code] = true
	}
	_, table, _ := strings.Cut(document(t, "docs/operations.md"), "\n## Findings\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for line := range strings.Lines(table) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| `") {
			for _, m := range codeWord.FindAllStringSubmatch(first, -1) {
				all[m[1]] = true
			}
		}
	}
	if len(all) < 180 {
		t.Fatalf("only %d codes were found", len(all))
	}
	return slices.Sorted(maps.Keys(all))
}

var command = regexp.MustCompile("`[^`]+`")

// sectionFaults lists what the section of a code lacks.
func sectionFaults(book, code string) (faults []string) {
	_, text, found := strings.Cut(book, "\n### "+code+"\n")
	if !found {
		return []string{code + ": no section"}
	}
	text, _, _ = strings.Cut(text, "\n## ")
	text, _, _ = strings.Cut(text, "\n### ")
	for _, part := range []string{"\n**Meaning.** ", "\n**First.** ", "\n**Decide.**\n\n- ", "\n**Remedy.** ", "\n**Escalate.** "} {
		if !strings.Contains(text, part) {
			faults = append(faults, code+": its section lacks "+strings.TrimSpace(part))
		}
	}
	_, first, _ := strings.Cut(text, "**First.** ")
	first, _, _ = strings.Cut(first, "\n")
	if n := len(command.FindAllString(first, -1)); n != 3 {
		faults = append(faults, code+": it begins with another number of commands than three")
	}
	return faults
}

func TestTheRunbookHasASectionForEveryFinding(t *testing.T) {
	t.Parallel()
	book, codes := document(t, "docs/runbook-findings.md"), everyCode(t)
	for _, code := range codes {
		for _, f := range sectionFaults(book, code) {
			t.Error(f)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(book, -1) {
		if !slices.Contains(codes, m[1]) {
			t.Errorf("%s is no code of a finding", m[1])
		}
	}
	if len(regexp.MustCompile(`(?m)^### `).FindAllString(book, -1)) != len(codes) {
		t.Error("a section is there twice")
	}
}

func TestFaultsOfTheRunbookAreFound(t *testing.T) {
	t.Parallel()
	book := document(t, "docs/runbook-findings.md")
	for _, planted := range []struct{ old, text, want string }{
		{"\n### redis-auth\n", "\n### redis-author\n", "redis-auth: no section"},
		{"\n**Meaning.** ", "\n", "lacks **Meaning.**"},
		{"\n**Remedy.** ", "\n", "lacks **Remedy.**"},
		{"\n**Decide.**\n\n- ", "\n", "lacks **Decide.**"},
		{"\n**Escalate.** ", "\n", "lacks **Escalate.**"},
		{"`evercache doctor` · ", "", "another number of commands"},
	} {
		i := strings.Index(book, "\n### redis-auth\n")
		spoiled := book[:i] + strings.Replace(book[i:], planted.old, planted.text, 1)
		if found := strings.Join(sectionFaults(spoiled, "redis-auth"), "\n"); !strings.Contains(found, planted.want) {
			t.Errorf("found %q, want %q", found, planted.want)
		}
	}
}
