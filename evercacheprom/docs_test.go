package evercacheprom_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/internal/metricsdoc"
	"github.com/evercache/evercache/stats"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md")

func TestTheMetricsAreDocumented(t *testing.T) {
	file := filepath.Join("..", metricsdoc.Page)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := string(data)
	for _, part := range []struct {
		name string
		c    prometheus.Collector
	}{{"cache", evercacheprom.New(counters())}, {"denylist", denylist(stats.Denylist{AsOf: time.Unix(1, 0)})}} {
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(part.c)
		if want, err = metricsdoc.Replace(want, part.name, metricsdoc.Table(metricsdoc.Parse(scrape(r).String()))); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := gocmp.Diff(want, string(data)); d != "" {
		t.Errorf("%s is stale (-want +got); go test ./evercacheprom -run Documented -update writes it:\n%s", metricsdoc.Page, d)
	}
}
