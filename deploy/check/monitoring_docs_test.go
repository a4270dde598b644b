package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"
)

// monitoringDocs are the documents that alerts and findings lead to.
var monitoringDocs = []string{
	"docs/metrics.md", "docs/slo.md", "docs/runbook.md", "docs/runbook-findings.md",
	"docs/guide/monitoring.md", "docs/guide/log-aggregation.md", "deploy/monitoring/README.md",
}

var (
	anyLink  = regexp.MustCompile(`\]\(([^)#:\s]*)(#[^)\s]*)?\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are what links to the headings of a text end with.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range headings.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		all["#"+strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// linkFaults lists the links of a document that lead nowhere.
func linkFaults(t *testing.T, document, text string) (faults []string) {
	t.Helper()
	for _, m := range anyLink.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		to, there := filepath.Join("../..", document), text
		if m[1] != "" {
			to = filepath.Join("../..", filepath.Dir(document), m[1])
			data, err := os.ReadFile(to)
			if info, statErr := os.Stat(to); statErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s: %v", document, err))
				continue
			}
			there = string(data)
		}
		if m[2] != "" && !anchors(there)[m[2]] {
			faults = append(faults, fmt.Sprintf("%s: %s has no heading for %s", document, to, m[2]))
		}
	}
	return faults
}

func TestTheDocumentsOfMonitoringLinkToHeadingsThatExist(t *testing.T) {
	for _, document := range monitoringDocs {
		for _, f := range linkFaults(t, document, read(t, filepath.Join("../..", document))) {
			t.Error(f)
		}
	}
	for planted, want := range map[string]string{
		"[a](nowhere.md)":              "no such file",
		"[a](runbook.md#evercacheupp)": "no heading for #evercacheupp",
		"[a](#b)\n# c\n":               "no heading for #b",
	} {
		if f := linkFaults(t, "docs/slo.md", planted); len(f) != 1 || !strings.Contains(f[0], want) {
			t.Errorf("%q: found %q", planted, f)
		}
	}
}

// snippetFault says why a fenced part of a document cannot be read.
func snippetFault(b block) (err error) {
	switch b.lang {
	case "yaml":
		var v any
		err = yaml.Unmarshal([]byte(b.text), &v)
	case "toml":
		_, err = toml.Decode(b.text, &map[string]any{})
	case "json":
		for line := range strings.Lines(b.text) {
			var v any
			if e := json.Unmarshal([]byte(line), &v); e != nil {
				err = e
			}
		}
	}
	return err
}

func TestTheSnippetsOfMonitoringCanBeRead(t *testing.T) {
	n := 0
	for _, document := range monitoringDocs {
		for _, b := range blocks(read(t, filepath.Join("../..", document))) {
			if err := snippetFault(b); err != nil {
				t.Errorf("%s: %v in\n%s", document, err, b.text)
			}
			n++
		}
	}
	if n < 60 {
		t.Errorf("only %d snippets were found", n)
	}
	for _, b := range []block{{lang: "yaml", text: "a: [1"}, {lang: "toml", text: "a = ["}, {lang: "json", text: "{"}} {
		if snippetFault(b) == nil {
			t.Errorf("%s: %q is accepted", b.lang, b.text)
		}
	}
}

// The commands of log-aggregation.md on the log of a real process, and the fields in it.
func TestTheLogIsAsItsDocumentSays(t *testing.T) {
	t.Parallel()
	document := read(t, "../../docs/guide/log-aggregation.md")
	d := serve(t, map[string]string{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": freePort(t), "EVERCACHE_LOG_FORMAT": "json"})
	eventually(t, 20e9, "a finding", func() error {
		if !strings.Contains(d.log.String(), "redis-unreachable") {
			return fmt.Errorf("the log is\n%s", &d.log)
		}
		return nil
	})
	d.end(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "evercache.log"), d.log.String())
	for _, b := range blocks(document) {
		if b.lang != "sh" {
			continue
		}
		out, err := shell(t, nil, "sh", "-euc", "cd "+dir+"\n"+b.text)
		if err != nil || !strings.Contains(out, "redis-unreachable") || !strings.Contains(out, "degraded -> closed") {
			t.Errorf("%v: it prints\n%s", err, out)
		}
	}
	for line := range strings.Lines(d.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if event, _ := fields["event"].(string); event != "finding" && event != "state.changed" {
			continue
		}
		for name := range fields {
			if !strings.Contains(document, "`"+name+"`") {
				t.Errorf("the field %s is not documented: %s", name, line)
			}
		}
	}
}
