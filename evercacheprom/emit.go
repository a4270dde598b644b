package evercacheprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache/stats"
)

// emitter sends constant metrics to one scrape.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) counter(d *prometheus.Desc, v float64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// counters sends a counter with one label, whose values are the map's keys.
func (e emitter) counters(d *prometheus.Desc, byLabel map[string]uint64) {
	for label, n := range byLabel {
		e.counter(d, float64(n), label)
	}
}

// histogram turns counts per bucket into Prometheus' cumulative ones. A
// snapshot without bounds (nothing was measured) has only the total.
func (e emitter) histogram(d *prometheus.Desc, h stats.Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	var total uint64
	for i, n := range h.Counts {
		total += n
		if i < len(h.Bounds) {
			buckets[h.Bounds[i]] = total
		}
	}
	e.ch <- prometheus.MustNewConstHistogram(d, total, h.Sum, buckets, labels...)
}
