package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	runbook     = "../../docs/runbook.md"
	runbookBase = "https://github.com/evercache/evercache/blob/main/docs/runbook.md#"
)

// alerts are all rules that alert, in the order of the files.
func alerts(t *testing.T) (all []rule) {
	t.Helper()
	for _, file := range files(t, filepath.Join(monitoring, "rules/*.yml")) {
		for _, g := range ruleFile(t, file).Groups {
			for _, r := range g.Rules {
				if r.Alert != "" {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// alertFaults lists what an alert lacks that promtool does not ask for.
func alertFaults(r rule, v vocabulary, tests, book string) (all []string) {
	add := func(text string) { all = append(all, r.Alert+": "+text) }
	if !strings.HasPrefix(r.Alert, "Evercache") {
		add("its name does not begin with Evercache")
	}
	if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
		add("no severity that alertmanager.yml routes")
	}
	if d, ok := r.Labels["drill"]; ok && d != "expected" {
		add("drill.sh does not know drill=" + d)
	}
	for _, name := range []string{"summary", "description"} {
		if r.Annotations[name] == "" {
			add("no " + name)
		}
	}
	if r.Annotations["runbook_url"] != runbookBase+strings.ToLower(r.Alert) {
		add("its runbook_url is not that of its section")
	}
	for _, f := range v.exprFaults(r.Expr) {
		add(f)
	}
	fires, silent := tested(tests, r.Alert)
	if !fires {
		add("no test shows it firing")
	}
	if !silent {
		add("no test shows it silent")
	}
	for _, f := range sectionFaults(book, r.Alert) {
		add(f)
	}
	return all
}

var asked = regexp.MustCompile(`(?s)ALERTS\{alertname="(\w+)",alertstate="firing"[^\n]*\n\s+eval_time: \S+\n\s+exp_samples: (\[[^\n]*\])`)

// tested says whether the tests ask for an alert and expect it, and expect it not.
func tested(tests, alert string) (fires, silent bool) {
	for _, m := range asked.FindAllStringSubmatch(tests, -1) {
		if m[1] == alert {
			fires, silent = fires || m[2] != "[]", silent || m[2] == "[]"
		}
	}
	return fires, silent
}

// sectionFaults lists what the section of an alert lacks.
func sectionFaults(book, alert string) (all []string) {
	_, text, found := strings.Cut(book, "\n### "+alert+"\n")
	if !found {
		return []string{"no section in docs/runbook.md"}
	}
	text, _, _ = strings.Cut(text, "\n## ")
	text, _, _ = strings.Cut(text, "\n### ")
	for _, part := range []string{"**Meaning.** ", "**First**", "**Decide**", "**Remedy.** ", "**Escalate.** "} {
		if !strings.Contains(text, part) {
			all = append(all, "its section lacks "+part)
		}
	}
	if b := blocks(text); len(b) != 1 || strings.Count(b[0].text, "\n") != 3 {
		all = append(all, "its section does not have three commands to begin with")
	}
	return all
}

func allTests(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, file := range files(t, filepath.Join(monitoring, "tests/*.yml")) {
		b.WriteString(read(t, file))
	}
	return b.String()
}

func TestEveryAlertIsWholeAndHasATestAndASection(t *testing.T) {
	v, tests, book := words(t), allTests(t), read(t, runbook)
	all := alerts(t)
	if len(all) < 60 {
		t.Errorf("only %d alerts", len(all))
	}
	names := map[string]bool{}
	for _, r := range all {
		if names[r.Alert] {
			t.Errorf("%s is there twice", r.Alert)
		}
		names[r.Alert] = true
		for _, f := range alertFaults(r, v, tests, book) {
			t.Error(f)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (Evercache\w+)$`).FindAllStringSubmatch(book, -1) {
		if !names[m[1]] {
			t.Errorf("the runbook has a section for %s, which is no alert", m[1])
		}
	}
}

func TestEveryRecordedExpressionIsSound(t *testing.T) {
	v := words(t)
	for _, g := range ruleFile(t, filepath.Join(monitoring, "rules/recording.yml")).Groups {
		for _, r := range g.Rules {
			for _, f := range v.exprFaults(r.Expr) {
				t.Errorf("%s: %s", r.Record, f)
			}
		}
	}
}

func TestFaultsOfAlertsAreFound(t *testing.T) {
	v, tests, book := words(t), allTests(t), read(t, runbook)
	good := alerts(t)[0]
	if f := alertFaults(good, v, tests, book); len(f) != 0 {
		t.Fatal(f)
	}
	plant := func(change func(*rule)) rule {
		r := good
		r.Labels, r.Annotations = map[string]string{"severity": good.Labels["severity"]}, map[string]string{}
		for k, text := range good.Annotations {
			r.Annotations[k] = text
		}
		change(&r)
		return r
	}
	section := "\n### " + good.Alert + "\n"
	for _, planted := range []struct {
		want        string
		r           rule
		tests, book string
	}{
		{"no such metric", plant(func(r *rule) { r.Expr = "evercache_nonsense > 0" }), tests, book},
		{"parse error", plant(func(r *rule) { r.Expr = "rate(up[5m]" }), tests, book},
		{"no severity", plant(func(r *rule) { r.Labels["severity"] = "page" }), tests, book},
		{"drill.sh does not know", plant(func(r *rule) { r.Labels["drill"] = "yes" }), tests, book},
		{"no summary", plant(func(r *rule) { r.Annotations["summary"] = "" }), tests, book},
		{"runbook_url is not", plant(func(r *rule) { r.Annotations["runbook_url"] = runbookBase + "other" }), tests, book},
		{"no section", good, tests, strings.Replace(book, section, "\n### Other\n", 1)},
		{"three commands", good, tests, section + "**Meaning.** x\n\n**First**\n\n```sh\nls\n```\n\n**Decide** **Remedy.** x **Escalate.** x\n"},
		{"lacks **Remedy.**", good, tests, section + "**Meaning.** x\n\n**First**\n\n```sh\na\nb\nc\n```\n\n**Decide** **Escalate.** x\n"},
		{"no test shows it firing", good, regexp.MustCompile(`exp_samples: \[\{.*`).ReplaceAllString(tests, "exp_samples: []"), book},
		{"no test shows it silent", good, strings.ReplaceAll(tests, "exp_samples: []", "exp_samples: [{labels: '{}', value: 1}]"), book},
	} {
		if found := strings.Join(alertFaults(planted.r, v, planted.tests, planted.book), "\n"); !strings.Contains(found, planted.want) {
			t.Errorf("found %q, want %q", found, planted.want)
		}
	}
}

// promtool returns what it prints, and whether it was content.
func promtool(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("promtool: %v (make deploy-check installs it)", err)
	}
	return string(out), err == nil
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	t.Parallel()
	all := files(t, filepath.Join(monitoring, "rules/*.yml"))
	if out, ok := promtool(t, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, all...)...); !ok {
		t.Error(out)
	}
	text := read(t, filepath.Join(monitoring, "rules/alerts-upkeep.yml"))
	bad := write(t, filepath.Join(t.TempDir(), "bad.yml"), strings.Replace(text, "labels: {severity: warning}", "label: {severity: warning}", 1))
	if out, ok := promtool(t, "check", "rules", bad); ok {
		t.Errorf("a misspelt key is accepted: %s", out)
	}
}

func TestTheAlertsFireAndEndAsTheirTestsSay(t *testing.T) {
	for _, file := range files(t, filepath.Join(monitoring, "tests/*.yml")) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			if out, ok := promtool(t, "test", "rules", file); !ok {
				t.Error(out)
			}
		})
	}
	t.Run("a planted fault", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, file := range files(t, filepath.Join(monitoring, "rules/*.yml")) {
			write(t, filepath.Join(dir, "rules", filepath.Base(file)), strings.Replace(read(t, file), "evercache_cluster_shard_up == 0", "evercache_cluster_shard_up == 2", 1))
		}
		test := write(t, filepath.Join(dir, "tests/cluster.yml"), read(t, filepath.Join(monitoring, "tests/alerts-cluster.yml")))
		if out, ok := promtool(t, "test", "rules", test); ok || !strings.Contains(out, "EvercacheShardDown") {
			t.Errorf("an alert that cannot fire passes: %s", out)
		}
	})
}

func TestPromtoolAcceptsTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(monitoring)); err != nil {
		t.Fatal(err)
	}
	token := write(t, filepath.Join(dir, "token"), "t")
	text := strings.ReplaceAll(read(t, filepath.Join(dir, "prometheus.yml")), "/run/secrets/metrics-token", token)
	if out, ok := promtool(t, "check", "config", write(t, filepath.Join(dir, "prometheus.yml"), text)); !ok {
		t.Error(out)
	}
	bad := strings.Replace(text, "scrape_interval: 15s", "scrape_every: 15s", 1)
	if out, ok := promtool(t, "check", "config", write(t, filepath.Join(dir, "prometheus.yml"), bad)); ok || !strings.Contains(out, "scrape_every") {
		t.Errorf("a misspelt key is accepted: %s", out)
	}
}
