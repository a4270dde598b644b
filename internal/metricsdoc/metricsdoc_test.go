package metricsdoc_test

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/internal/metricsdoc"
)

const exposition = `# HELP evercache_b_total What | happened.
# TYPE evercache_b_total counter
evercache_b_total{why="a \"b\", c=\"d\"",at="x"} 3
# HELP evercache_a_seconds How long.
# TYPE evercache_a_seconds histogram
evercache_a_seconds_bucket{op="get",le="0.1"} 1
evercache_a_seconds_sum{op="get"} 1
evercache_a_seconds_count{op="get"} 1
# HELP evercache_up 1 while it is.
# TYPE evercache_up gauge
evercache_up 1
# HELP go_goroutines Not ours.
# TYPE go_goroutines gauge
go_goroutines 7
`

func TestATableOfAnExposition(t *testing.T) {
	want := "| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n" +
		"| `evercache_a_seconds` | histogram | seconds | `op` | How long. |\n" +
		"| `evercache_b_total` | counter | count | `at`, `why` | What \\| happened. |\n" +
		"| `evercache_up` | gauge | 0 or 1 |  | 1 while it is. |\n"
	if d := gocmp.Diff(want, metricsdoc.Table(metricsdoc.Parse(exposition))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestATableReplacesThatOfThePage(t *testing.T) {
	page := "# T\n<!-- a: how -->\nold\n<!-- end a -->\n<!-- b: how -->\nold\n<!-- end b -->\n"
	got, err := metricsdoc.Replace(page, "b", "new\n")
	if want := "# T\n<!-- a: how -->\nold\n<!-- end a -->\n<!-- b: how -->\nnew\n<!-- end b -->\n"; got != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, part := range []string{"c", "end a"} {
		if _, err := metricsdoc.Replace(page, part, ""); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(exposition)
	f.Add("# TYPE \n{\n# HELP")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range metricsdoc.Parse(text) {
			if !strings.HasPrefix(m.Name, "evercache_") {
				t.Errorf("%q is not ours", m.Name)
			}
		}
	})
}
