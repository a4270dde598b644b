package evercacheprom_test

import (
	"flag"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/internal/metricsdoc"
	"github.com/evercache/evercache/stats"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md")

func TestTheMetricsAreDocumented(t *testing.T) {
	var parts []metricsdoc.Part
	for _, part := range []struct {
		name string
		c    prometheus.Collector
	}{{"cache", evercacheprom.New(counters())}, {"denylist", denylist(stats.Denylist{AsOf: time.Unix(1, 0)})}} {
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(part.c)
		parts = append(parts, metricsdoc.Part{Name: part.name, Metrics: metricsdoc.Parse(scrape(r).String())})
	}
	metricsdoc.Keep(t, "..", "evercacheprom", *update, parts...)
}
