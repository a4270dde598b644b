package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const monitoring = "../monitoring"

// vocabulary is the labels of each series that an expression may name: the metrics of
// docs/metrics.md, which is written from the code, and what the rules record.
type vocabulary map[string][]string

var metricRow = regexp.MustCompile("(?m)^\\| `(evercache_\\w+)` \\| (counter|gauge|histogram) \\| [^|]* \\| ([^|]*) \\|")

// target are the labels of every series that Prometheus has scraped.
var target = []string{"job", "instance"}

func words(t *testing.T) vocabulary {
	t.Helper()
	v := vocabulary{"up": target, "ALERTS": {"alertname", "alertstate", "severity"}}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds"} {
		v[name] = target
	}
	for _, m := range metricRow.FindAllStringSubmatch(read(t, "../../docs/metrics.md"), -1) {
		all := slices.Clone(target)
		for _, l := range strings.FieldsFunc(m[3], func(r rune) bool { return strings.ContainsRune("`, ", r) }) {
			all = append(all, l)
		}
		if m[2] != "histogram" {
			v[m[1]] = all
			continue
		}
		v[m[1]+"_sum"], v[m[1]+"_count"], v[m[1]+"_bucket"] = all, all, append(slices.Clone(all), "le")
	}
	if len(v) < 120 {
		t.Fatalf("only %d metrics are documented", len(v))
	}
	for _, g := range ruleFile(t, filepath.Join(monitoring, "rules/recording.yml")).Groups {
		for _, r := range g.Rules {
			level, _, _ := strings.Cut(r.Record, ":") // job_instance:metric:operation
			v[r.Record] = strings.Split(level, "_")
		}
	}
	return v
}

// variables are what Grafana puts in before it asks.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$__interval", "1m")

// exprFaults lists what is wrong with an expression.
func (v vocabulary) exprFaults(expr string) (all []string) {
	tree, err := parser.ParseExpr(variables.Replace(expr))
	if err != nil {
		return []string{err.Error()}
	}
	known := map[string]bool{}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			all = append(all, v.seriesFaults(s)...)
			for _, l := range v[s.Name] {
				known[l] = true
			}
		}
		return nil
	})
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, l := range a.Grouping {
				if !known[l] {
					all = append(all, fmt.Sprintf("no series in it has the label %s: %s", l, expr))
				}
			}
		}
		return nil
	})
	return all
}

func (v vocabulary) seriesFaults(s *parser.VectorSelector) (all []string) {
	own, ok := v[s.Name]
	if !ok {
		return []string{"no such metric: " + s.Name}
	}
	for _, m := range s.LabelMatchers {
		if m.Name != labels.MetricName && !slices.Contains(own, m.Name) {
			all = append(all, fmt.Sprintf("%s has no label %s", s.Name, m.Name))
		}
	}
	return all
}

// rules is a file of rules.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func ruleFile(t *testing.T, file string) (r rules) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, file)), &r); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return r
}

// files are those that a pattern finds; none is a fault.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFaultsOfExpressionsAreFound(t *testing.T) {
	v := words(t)
	for expr, want := range map[string]string{
		"sum(rate(evercache_outbox_entries[5m])":                      "unclosed",
		"evercache_out_box_entries > 0":                               "no such metric: evercache_out_box_entries",
		`evercache_state{stat="closed"}`:                              "evercache_state has no label stat",
		"sum by (master) (evercache_failovers_total)":                 "no series in it has the label master",
		"job:evercache_errors:ratio_rate5m > 1":                       "no such metric: job:evercache_errors:ratio_rate5m",
		`evercache_failover_duration_seconds{le="30"}`:                "no such metric: evercache_failover_duration_seconds",
		`evercache_failover_duration_seconds_count{le="30"}`:          "has no label le",
		`rate(evercache_redis_errors_total{kind="oom"}[$__interval])`: "",
	} {
		if found := strings.Join(v.exprFaults(expr), "\n"); !strings.Contains(found, want) || want == "" && found != "" {
			t.Errorf("%s: found %q, want %q", expr, found, want)
		}
	}
}
