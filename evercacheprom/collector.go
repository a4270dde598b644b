package evercacheprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

// Source is what is read at a scrape; *evercache.Client is one.
type Source interface {
	Health() health.Report
	Stats() stats.Snapshot
}

// Collector is a prometheus.Collector over one client. The names of its metrics
// begin with evercache_ and are a contract with dashboards and alerts.
type Collector struct {
	source Source
	build  prometheus.Metric
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector that reads from c at each scrape.
func New(c Source) *Collector {
	b := ReadBuild()
	return &Collector{
		source: c,
		build:  prometheus.MustNewConstMetric(descBuild, prometheus.GaugeValue, 1, b.Version, b.Revision, b.Go),
	}
}

// Describe sends the descriptor of every metric.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

// Collect sends what one snapshot of each says.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ch <- c.build
	h, s, e := c.source.Health(), c.source.Stats(), emitter{ch}
	e.requests(s)
	e.memory(s)
	e.loads(s)
	e.redis(h, s)
	e.state(h, s)
	e.findings(h.Findings)
	for _, c := range h.Certificates {
		e.gauge(descCertificate, float64(c.Expires.Unix()), c.Peer)
	}
	e.outbox(h, s)
	e.recovery(h)
	if s.Replicas != nil {
		e.replicas(*s.Replicas)
	}
	if h.Sentinel != nil && s.Sentinel != nil {
		e.sentinel(*h.Sentinel, *s.Sentinel)
	}
	if h.Cluster != nil {
		e.cluster(*h.Cluster)
	}
}

func (e emitter) requests(s stats.Snapshot) {
	for _, r := range s.Requests {
		e.counter(descRequests, float64(r.Count), r.Op.String(), r.Tier.String(), r.Result.String())
	}
	for op, h := range s.Durations {
		e.histogram(descRequestDuration, h, op.String())
	}
	e.counter(descDecodeFailures, float64(s.DecodeFailures))
	e.counter(descEncodeFailures, float64(s.EncodeFailures))
	e.counter(descLogDropped, float64(s.LogDropped))
	e.counter(descEventsDropped, float64(s.EventsDropped))
}

func (e emitter) replicas(s stats.Replicas) {
	e.counter(descReplicaReads, float64(s.Answered))
	for reason, n := range s.Refused {
		e.counter(descReplicaRefused, float64(n), reason)
	}
}

func (e emitter) memory(s stats.Snapshot) {
	e.gauge(descL1Entries, float64(s.L1Entries))
	e.gauge(descL1Bytes, float64(s.L1Bytes))
	e.gauge(descL1Capacity, float64(s.L1CapacityBytes))
	e.counters(descL1Evictions, s.L1Evictions)
}

func (e emitter) loads(s stats.Snapshot) {
	e.counters(descLoads, s.Loads)
	e.histogram(descLoadDuration, s.LoadDurations)
	e.gauge(descLoadsInFlight, float64(s.LoadsInFlight))
	e.counter(descLoadsCoalesced, float64(s.LoadsCoalesced))
	e.counter(descLoadShed, float64(s.LoadsShed))
	e.counter(descLoadPaused, float64(s.LoadsPaused))
	e.counter(descLoadRefreshed, float64(s.LoadsRefreshed))
	e.counter(descLoadImpatient, float64(s.LoadsImpatient))
	e.counter(descInspected, float64(s.Inspected))
	e.counter(descInspectedWrong, float64(s.InspectedWrong))
}

func (e emitter) redis(h health.Report, s stats.Snapshot) {
	for command, outcomes := range s.RedisRequests {
		for outcome, n := range outcomes {
			e.counter(descRedisRequests, float64(n), command, outcome)
		}
	}
	e.counters(descRedisErrors, s.RedisErrors)
	e.histogram(descRedisDuration, s.RedisDurations, "master")
	e.counters(descRedisDials, s.RedisDials)
	e.gauge(descRedisUp, truth(h.Connected))
	e.gauge(descCircuitOpen, truth(s.CircuitOpen))
	e.counters(descCircuitOpened, s.CircuitOpened)
}

func (e emitter) state(h health.Report, s stats.Snapshot) {
	for st := health.Degraded; st <= health.Closed; st++ {
		e.gauge(descState, truth(h.State == st), st.String())
	}
	e.gauge(descDegraded, truth(isDegraded(h)))
	e.counter(descDegradedSeconds, s.Degraded.Seconds())
	for change, n := range s.StateTransitions {
		e.counter(descTransitions, float64(n), change.From, change.To)
	}
	e.gauge(descMode, 1, h.Mode.String(), h.RequestedMode.String())
}

// findings sends each code once: two findings of one code are one fact for an alert, and
// two series alike would fail the scrape.
func (e emitter) findings(all []health.Finding) {
	type series struct {
		code     string
		severity health.Severity
	}
	sent := map[series]bool{}
	for _, f := range all {
		if s := (series{f.Code, f.Severity}); !sent[s] {
			sent[s] = true
			e.gauge(descFinding, 1, s.code, string(s.severity))
		}
	}
}

func (e emitter) outbox(h health.Report, s stats.Snapshot) {
	e.gauge(descOutboxEntries, float64(h.OutboxEntries))
	e.gauge(descOutboxBytes, float64(h.OutboxBytes))
	e.counter(descOutboxReplayed, float64(s.OutboxReplayed))
	e.counter(descOutboxExpired, float64(s.OutboxExpired))
	e.counter(descOutboxRejected, float64(s.OutboxRejected))
	e.counter(descOutboxOverflowed, float64(s.OutboxOverflowed))
	e.gauge(descTombstones, float64(s.Tombstones.Live))
	e.gauge(descTombstoneBytes, float64(s.Tombstones.Bytes))
	e.journal(h.Journal)
}

// isDegraded agrees with the status word of /health: memory answers in place of
// a Redis that is wanted.
func isDegraded(h health.Report) bool {
	wanted := h.Mode != health.ModeMemoryOnly
	return wanted && (h.State == health.Degraded || h.State == health.Recovering)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
