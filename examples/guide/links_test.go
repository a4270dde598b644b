package guide_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)(?: "[^"]*")?\)|(?m:^\[[^\]]+\]: (\S+))|(?:href|src)="([^"]+)"`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	named    = regexp.MustCompile(`(?:id|name)="([^"]+)"`)
	shownAs  = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	silent   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the places in a document that a link can lead to: its headings, by the names
// that GitHub gives them, and what has a name of its own.
func anchors(text string) map[string]bool {
	all, times := map[string]bool{}, map[string]int{}
	text = fenced.ReplaceAllString(text, "")
	for _, m := range headings.FindAllStringSubmatch(text, -1) {
		shown := shownAs.ReplaceAllString(strings.TrimSpace(m[1]), "$1")
		name := strings.ReplaceAll(silent.ReplaceAllString(strings.ToLower(shown), ""), " ", "-")
		if n := times[name]; n > 0 {
			all[fmt.Sprintf("%s-%d", name, n)] = true
		} else {
			all[name] = true
		}
		times[name]++
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return all
}

// linkFaults lists the links of a document that lead nowhere. name is its path from the
// top of the tree; documents are the texts of all, by such a path.
func linkFaults(name, text string, documents map[string]string) (faults []string) {
	for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		to := m[1] + m[2] + m[3] // one of them
		if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(to, "#")
		target := name
		if file != "" {
			target = filepath.Join(filepath.Dir(name), filepath.FromSlash(file))
		}
		other, document := documents[target]
		switch _, err := os.Stat(filepath.Join(top, target)); {
		case filepath.IsAbs(file) || !filepath.IsLocal(target):
			faults = append(faults, fmt.Sprintf("%s: %s is not in this tree", name, to))
		case err != nil && !document && !isAwaited(target):
			faults = append(faults, fmt.Sprintf("%s: there is no %s", name, target))
		case anchor != "" && document && !anchors(other)[anchor]:
			faults = append(faults, fmt.Sprintf("%s: %s has no heading #%s", name, target, anchor))
		case anchor != "" && !document:
			faults = append(faults, fmt.Sprintf("%s: %s is no document, so it has no heading #%s", name, target, anchor))
		}
	}
	return faults
}

// everyDocument reads all that is written for people, by its path from the top of the tree.
func everyDocument(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		data, err := os.ReadFile(path)
		name, relErr := filepath.Rel(top, path)
		if err != nil || relErr != nil {
			return fmt.Errorf("%s: %v, %v", path, err, relErr)
		}
		all[name] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTheDocumentsLinkToWhatExists: files, folders, pictures, and headings in documents.
func TestTheDocumentsLinkToWhatExists(t *testing.T) {
	documents := everyDocument(t)
	links := 0
	for name, text := range documents {
		links += len(link.FindAllString(text, -1))
		for _, f := range linkFaults(name, text, documents) {
			t.Error(f)
		}
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "docs/README.md", "docs/guide/compose.md", "deploy/monitoring/README.md", "evercacheotel/README.md"} {
		if documents[name] == "" {
			t.Errorf("%s was not read", name)
		}
	}
	if links < 300 {
		t.Errorf("only %d links in all documents", links)
	}
}

func TestLinksThatLeadNowhereAreFound(t *testing.T) {
	documents := map[string]string{
		"docs/a.md": "# A `b_c`, (d)!\n## See [e](f.md)\n## Twice\n## Twice\n```\n# no heading\n```\n<a id=\"mark\"></a>\n",
	}
	for text, want := range map[string]string{
		"[x](a.md) [x](../docs) [x](https://example.com/#x) [x](mailto:x@y)":                                     "",
		"[x](a.md#a-b_c-d) [x](a.md#see-e) [x](a.md#twice) [x](a.md#twice-1) [x](a.md#mark) [x](a.md \"title\")": "",
		"# Here\n[x](#here)\n```\n[x](shown-only.md)\n```\n":                                                     "",
		"[x](b.md)":                       "there is no docs/b.md",
		"![x](picture.svg)":               "there is no docs/picture.svg",
		"<img src=\"picture.png\">":       "there is no docs/picture.png",
		"[x]: b.md":                       "there is no docs/b.md",
		"[x](a.md#a-bc-d)":                "docs/a.md has no heading #a-bc-d",
		"[x](a.md#twice-2)":               "has no heading #twice-2",
		"[x](a.md#no-heading)":            "has no heading #no-heading",
		"# Here\n[x](#there)":             "docs/x.md has no heading #there",
		"[x](../Makefile#test)":           "Makefile is no document",
		"[x](../../elsewhere/secret.txt)": "is not in this tree",
		"[x](/etc/passwd)":                "is not in this tree",
	} {
		documents["docs/x.md"] = text
		found := linkFaults("docs/x.md", text, documents)
		if want == "" && len(found) > 0 || want != "" && (len(found) != 1 || !strings.Contains(found[0], want)) {
			t.Errorf("%q: found %q, want %q", text, found, want)
		}
	}
}
