package evercacheprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache/stats"
)

// Revocations is a prometheus.Collector over a denylist. The names of its metrics
// begin with evercache_revocations_ and are a contract too. Checks are not among
// them: a counter that all processors share would cost more than a check.
type Revocations struct{ stats func() stats.Denylist }

var _ prometheus.Collector = Revocations{}

// NewRevocations returns a collector that asks f at each scrape:
//
//	prometheus.MustRegister(evercacheprom.NewRevocations(list.Stats))
func NewRevocations(f func() stats.Denylist) Revocations { return Revocations{f} }

var revocationDescs []*prometheus.Desc

func revocationDesc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("evercache_revocations_"+name, help, labels, nil)
	revocationDescs = append(revocationDescs, d)
	return d
}

var (
	descRevEntries     = revocationDesc("entries", "Revocations in force in this process.")
	descRevReady       = revocationDesc("ready", "1 when a complete denylist has been read since the start.")
	descRevLag         = revocationDesc("lag_seconds", "How old the knowledge is: every revocation acknowledged before is taken into account. Absent while nothing is known.")
	descRevUnconfirmed = revocationDesc("unconfirmed", "Revocations of this process that a failover could still lose; they are sent again then.")
	descRevUntaken     = revocationDesc("untaken", "Unconfirmed revocations that no master has taken.")
	descRevUnsaved     = revocationDesc("unsaved", "Untaken revocations that no journal holds: they are lost with this process.")
	descRevMade        = revocationDesc("made_total", "Calls that brought a revocation into force here.")
	descRevTaken       = revocationDesc("taken_total", "Revocations that a master took in time.")
	descRevRefused     = revocationDesc("refused_total", "Calls that were refused, because the denylist had no room: these revocations are not in force.")
	descRevSnapshots   = revocationDesc("snapshots_total", "Times that the whole denylist was read from Redis.")
	descRevGaps        = revocationDesc("gaps_total", "Gaps in the stream; each is followed by a snapshot.")
	descRevLost        = revocationDesc("lost_total", "Times that the denylist in Redis had lost something.")
	descRevPutBack     = revocationDesc("put_back_total", "Entries that Redis lacked and that this process has sent it.")
	descRevPruned      = revocationDesc("pruned_total", "Expired entries that this process took out of Redis.")
	descRevGarbage     = revocationDesc("garbage_total", "Members in the keys of the denylist in Redis that are not revocations.")
	descRevStrict      = revocationDesc("strict_checks_total", "Strict checks that had to ask the master, by result; unavailable: it did not answer in time.", "result")
)

// Describe sends the descriptor of every metric.
func (Revocations) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range revocationDescs {
		ch <- d
	}
}

// Collect sends what one snapshot says.
func (r Revocations) Collect(ch chan<- prometheus.Metric) {
	s, e := r.stats(), emitter{ch}
	if s.Dormant {
		return
	}
	e.gauge(descRevEntries, float64(s.Entries))
	e.gauge(descRevReady, truth(s.Ready))
	if !s.AsOf.IsZero() {
		e.gauge(descRevLag, s.Lag.Seconds())
	}
	e.gauge(descRevUnconfirmed, float64(s.Unconfirmed))
	e.gauge(descRevUntaken, float64(s.Untaken))
	e.gauge(descRevUnsaved, float64(s.Unsaved))
	e.counter(descRevMade, float64(s.Revoked))
	e.counter(descRevTaken, float64(s.Taken))
	e.counter(descRevRefused, float64(s.Refused))
	e.counter(descRevSnapshots, float64(s.Snapshots))
	e.counter(descRevGaps, float64(s.Gaps))
	e.counter(descRevLost, float64(s.Lost))
	e.counter(descRevPutBack, float64(s.PutBack))
	e.counter(descRevPruned, float64(s.Pruned))
	e.counter(descRevGarbage, float64(s.Garbage))
	e.counter(descRevStrict, float64(s.Strict-min(s.Strict, s.StrictFailed)), "ok")
	e.counter(descRevStrict, float64(s.StrictFailed), "unavailable")
}
