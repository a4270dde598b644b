package backup

import (
	"flag"
	"testing"

	"github.com/evercache/evercache/internal/metricsdoc"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

func TestTheMetricsAreDocumented(t *testing.T) {
	metricsdoc.Keep(t, "../..", "internal/backup", *update, metricsdoc.Part{Name: "backups", Metrics: metricsdoc.Parse(metrics{}.text())})
}
