package check

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// labelValues is the values of each label of each series that a process shows from the start.
type labelValues map[string]map[string][]string

var (
	sample = regexp.MustCompile(`(?m)^(evercache_\w+)\{(.*)\} `)
	pair   = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

func expose(text string) labelValues {
	all := labelValues{}
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string][]string{}
		}
		for _, p := range pair.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(all[m[1]][p[1]], p[2]) {
				all[m[1]][p[1]] = append(all[m[1]][p[1]], p[2])
			}
		}
	}
	return all
}

// anything are labels whose values follow from the set and not from the program.
var anything = []string{labels.MetricName, "job", "instance", "master_name", "addr", "shard", "version", "mode", "requested_mode", "code", "severity"}

// valueFaults lists values of labels in an expression that a process does not have.
func (e labelValues) valueFaults(expr string) (all []string) {
	tree, err := parser.ParseExpr(variables.Replace(expr))
	if err != nil {
		return []string{err.Error()}
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok || e[s.Name] == nil {
			return nil
		}
		for _, m := range s.LabelMatchers {
			if slices.Contains(anything, m.Name) {
				continue
			}
			for value := range strings.SplitSeq(m.Value, "|") {
				if !slices.Contains(e[s.Name][m.Name], value) {
					all = append(all, s.Name+" has no "+m.Name+"="+value)
				}
			}
		}
		return nil
	})
	return all
}

// A misspelt value selects nothing, and an alert on it never fires. So the values are
// compared with those of a real process: every one is there from the start.
func TestTheValuesOfLabelsAreThoseOfAProcess(t *testing.T) {
	t.Parallel()
	nobody := "127.0.0.1:" + freePort(t)
	d := serve(t, map[string]string{
		"REDIS_SENTINEL_ENABLED": "true", "REDIS_SENTINEL_MASTER_NAME": "shop",
		"REDIS_SENTINELS": nobody + ",127.0.0.2:1,127.0.0.3:1", "EVERCACHE_REVOCATIONS": "on",
	})
	_, text, err := d.call(t.Context(), "GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	e := expose(text)
	if len(e) < 30 {
		t.Fatalf("only %d metrics with labels", len(e))
	}
	var exprs []string
	for _, file := range files(t, filepath.Join(monitoring, "rules/*.yml")) {
		for _, g := range ruleFile(t, file).Groups {
			for _, r := range g.Rules {
				exprs = append(exprs, r.Expr)
			}
		}
	}
	for _, file := range files(t, dashboardDir+"/*.json") {
		exprs = append(exprs, boardExprs(t, file)...)
	}
	for _, expr := range exprs {
		for _, f := range e.valueFaults(expr) {
			t.Error(f)
		}
	}
	for expr, want := range map[string]string{
		`evercache_state{state="close"}`:                             "no state=close",
		`evercache_redis_errors_total{kind=~"oom|misconfig"}`:        "no kind=misconfig",
		`evercache_failover_duration_seconds_bucket{le="25"}`:        "no le=25",
		`evercache_cache_request_duration_seconds_bucket{le="0.02"}`: "no le=0.02",
	} {
		if found := e.valueFaults(expr); len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%s: found %q, want %q", expr, found, want)
		}
	}
}
