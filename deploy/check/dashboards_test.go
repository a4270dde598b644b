package check

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evercache/evercache/deploy/check/dashboards"
)

var update = flag.Bool("update", false, "write the dashboards")

const dashboardDir = monitoring + "/grafana/dashboards"

// board is what is checked of a dashboard of Grafana.
type board struct {
	UID         string                 `json:"uid"`
	Title       string                 `json:"title"`
	Annotations struct{ List []query } `json:"annotations"`
	Templating  struct{ List []query } `json:"templating"`
	Panels      []boardPanel           `json:"panels"`
}

type query struct {
	Name, Type, Expr, Query string
	Datasource              struct{ Type, UID string }
}

type boardPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	Targets                  []query
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

// boardFaults lists what is wrong with the text of a dashboard.
func boardFaults(text []byte, v vocabulary) (all []string) {
	var b board
	if err := json.Unmarshal(text, &b); err != nil {
		return []string{err.Error()}
	}
	add := func(format string, a ...any) { all = append(all, b.Title+": "+fmt.Sprintf(format, a...)) }
	if b.UID == "" || b.Title == "" {
		add("no uid or no title")
	}
	if !slices.ContainsFunc(b.Templating.List, func(q query) bool { return q.Type == "datasource" && q.Name == "datasource" }) {
		add("no variable for the data source")
	}
	for _, q := range append(b.Templating.List, b.Annotations.List...) {
		if q.Type != "datasource" && q.Datasource.UID != "${datasource}" {
			add("%s does not ask the data source that is chosen", q.Name)
		}
		if q.Expr != "" {
			for _, f := range v.exprFaults(q.Expr) {
				add("%s: %s", q.Name, f)
			}
		}
	}
	ids := map[int]bool{}
	for i, p := range b.Panels {
		if ids[p.ID] {
			add("the id %d is there twice", p.ID)
		}
		ids[p.ID] = true
		for _, other := range b.Panels[:i] {
			if overlap(p, other) {
				add("%s lies on %s", p.Title, other.Title)
			}
		}
		for _, f := range panelFaults(p, v) {
			add("%s: %s", p.Title, f)
		}
	}
	return all
}

// boardExprs are the expressions of a dashboard.
func boardExprs(t *testing.T, file string) (all []string) {
	t.Helper()
	var b board
	if err := json.Unmarshal([]byte(read(t, file)), &b); err != nil {
		t.Fatal(err)
	}
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			all = append(all, q.Expr)
		}
	}
	return all
}

func overlap(a, b boardPanel) bool {
	p, q := a.GridPos, b.GridPos
	return p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H
}

func panelFaults(p boardPanel, v vocabulary) (all []string) {
	if g := p.GridPos; g.X < 0 || g.W <= 0 || g.X+g.W > 24 || g.H <= 0 {
		all = append(all, "it does not fit into 24 columns")
	}
	if p.Type == "row" {
		return all
	}
	if p.Datasource.UID != "${datasource}" {
		all = append(all, "it does not ask the data source that is chosen")
	}
	if p.FieldConfig.Defaults.Unit == "" {
		all = append(all, "no unit")
	}
	if len(p.Description) < 20 || !strings.HasSuffix(p.Description, ".") {
		all = append(all, "no description in a sentence")
	}
	if len(p.Targets) == 0 {
		all = append(all, "it asks nothing")
	}
	for _, q := range p.Targets {
		if q.Datasource.UID != "${datasource}" {
			all = append(all, "a query does not ask the data source that is chosen")
		}
		all = append(all, v.exprFaults(q.Expr)...)
	}
	return all
}

func TestTheDashboardsAreSound(t *testing.T) {
	v, uids := words(t), map[string]bool{}
	for _, file := range files(t, dashboardDir+"/*.json") {
		text := []byte(read(t, file))
		for _, f := range boardFaults(text, v) {
			t.Error(f)
		}
		var b board
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatal(err)
		}
		if uids[b.UID] {
			t.Errorf("%s: the uid %s is there twice", file, b.UID)
		}
		uids[b.UID] = true
	}
}

func TestTheDashboardsAreWrittenFromTheirTables(t *testing.T) {
	for name, d := range dashboards.All() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dashboardDir, name)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if read(t, file) != string(want) {
			t.Errorf("%s is stale: cd deploy/check && go test -run TheDashboardsAreWritten -update writes it", file)
		}
	}
	for _, file := range files(t, dashboardDir+"/*.json") {
		if _, ok := dashboards.All()[filepath.Base(file)]; !ok {
			t.Errorf("%s has no table", file)
		}
	}
}

func TestFaultsOfDashboardsAreFound(t *testing.T) {
	v := words(t)
	text := read(t, filepath.Join(dashboardDir, "denylist.json"))
	if f := boardFaults([]byte(text), v); len(f) != 0 {
		t.Fatal(f)
	}
	for what, planted := range map[string]struct{ old, text, want string }{
		"broken JSON":              {`"panels": [`, `"panels": {`, "invalid"},
		"an id twice":              {`"id": 3,`, `"id": 2,`, "the id 2 is there twice"},
		"panels that overlap":      {`"x": 8,`, `"x": 7,`, "lies on"},
		"a panel that is too wide": {`"w": 24,`, `"w": 25,`, "24 columns"},
		"a fixed data source":      {`"uid": "${datasource}"`, `"uid": "prometheus"`, "data source that is chosen"},
		"no variable":              {`"type": "datasource"`, `"type": "custom"`, "no variable for the data source"},
		"no unit":                  {`"unit": "short"`, `"unit": ""`, "no unit"},
		"no description":           {`"description": "All instances should show the same number."`, `"description": "TODO"`, "no description"},
		"a wrong metric":           {"evercache_revocations_entries", "evercache_revocation_entries", "no such metric"},
		"a wrong label":            {`evercache_revocations_ready{job=~`, `evercache_revocations_ready{task=~`, "has no label task"},
		"a broken expression":      {"sum(rate(", "sum(rate((", "parse error"},
	} {
		spoiled := strings.Replace(text, planted.old, planted.text, 1)
		if spoiled == text {
			t.Errorf("%s: %q is not in the file", what, planted.old)
		}
		if found := strings.Join(boardFaults([]byte(spoiled), v), "\n"); !strings.Contains(found, planted.want) {
			t.Errorf("%s: found %q, want %q", what, found, planted.want)
		}
	}
}

// A dashboard without the metrics that matter would be sound as well.
func TestTheDashboardsShowTheMetricsOfTheAlerts(t *testing.T) {
	var shown strings.Builder
	for _, name := range slices.Sorted(maps.Keys(dashboards.All())) {
		shown.WriteString(read(t, filepath.Join(dashboardDir, name)))
	}
	for _, metric := range []string{
		"evercache_degraded", "evercache_outbox_entries", "evercache_unconfirmed_oldest_seconds", "evercache_replica_lag_seconds", "evercache_sentinel_ckquorum_ok",
		"evercache_cluster_slots", "evercache_revocations_lag_seconds", "evercache_l1_evictions_total", "evercache_redis_errors_total", "evercache_finding", "evercache_dataset_resets_total",
	} {
		if !strings.Contains(shown.String(), metric) {
			t.Errorf("no dashboard shows %s", metric)
		}
	}
}
