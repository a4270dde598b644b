package backup

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/internal/metricsdoc"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

func TestTheMetricsAreDocumented(t *testing.T) {
	file := filepath.Join("..", "..", metricsdoc.Page)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := metricsdoc.Replace(string(data), "backups", metricsdoc.Table(metricsdoc.Parse(metrics{}.text())))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := gocmp.Diff(want, string(data)); d != "" {
		t.Errorf("%s is stale (-want +got); go test ./internal/backup -run Documented -update writes it:\n%s", metricsdoc.Page, d)
	}
}
