package evercacheprom

import (
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

var (
	descFailovers        = desc("failovers_total", "Failovers that have ended, by cause: failure, planned, manual.", "master_name", "cause")
	descFailoverDuration = desc("failover_duration_seconds", "How long callers had no master in a failover.", "master_name")
	descFailoverLast     = desc("failover_last_timestamp_seconds", "When the last failover was followed, in Unix seconds; 0 for none.", "master_name")
	descFailoverLastTook = desc("failover_last_duration_seconds", "How long callers had no master in the last failover.", "master_name")
	descMaster           = desc("master_info", "The master in use; always 1.", "master_name", "addr")
	descMasterEpoch      = desc("master_config_epoch", "The highest config epoch seen for the master.", "master_name")
	descProvisional      = desc("master_provisional", "1 while no majority of the sentinels names the master in use.", "master_name")
	descSentinels        = desc("sentinels_known", "Sentinels that are known.", "master_name")
	descReachable        = desc("sentinels_reachable", "Sentinels that answer.", "master_name")
	descAgreeing         = desc("sentinels_agreeing", "Sentinels that name the master in use.", "master_name")
	descCanFailOver      = desc("sentinel_ckquorum_ok", "1 while enough sentinels answer for a failover.", "master_name")
	descTilt             = desc("sentinel_tilt", "1 while the sentinel is in TILT mode and acts on nothing.", "sentinel")
	descReplicaLinked    = desc("replica_link_up", "1 while the master in use has the replica online; 0 also for a node that does not answer, such as the old master after a failover.", "master_name", "addr")
	descReplicaBytes     = desc("replica_lag_bytes", "Bytes that the replica had not yet acknowledged when the master was last asked.", "master_name", "addr")
	descReplicaSeconds   = desc("replica_lag_seconds", "For how long the replica had acknowledged nothing when the master was last asked.", "master_name", "addr")
	descSentinelEvents   = desc("sentinel_events_total", "Messages that the sentinels published, by channel.", "event")
)

func (e emitter) sentinel(h health.Sentinel, s stats.Sentinel) {
	name := h.MasterName
	for cause, n := range s.FailoversByCause {
		e.counter(descFailovers, float64(n), name, cause)
	}
	e.histogram(descFailoverDuration, s.Blackouts, name)
	var at, took float64
	if n := len(h.Failovers); n > 0 {
		last := h.Failovers[n-1]
		at, took = float64(last.At.UnixMilli())/1000, last.Blackout.Seconds()
	}
	e.gauge(descFailoverLast, at, name)
	e.gauge(descFailoverLastTook, took, name)
	if h.CurrentMaster != "" {
		e.gauge(descMaster, 1, name, h.CurrentMaster)
	}
	e.gauge(descMasterEpoch, float64(h.Epoch), name)
	e.gauge(descProvisional, truth(h.Provisional), name)
	e.gauge(descSentinels, float64(h.Known), name)
	e.gauge(descReachable, float64(h.Reachable), name)
	e.gauge(descAgreeing, float64(h.Agreeing), name)
	e.gauge(descCanFailOver, truth(h.CanFailOver), name)
	for _, n := range h.Sentinels {
		e.gauge(descTilt, truth(n.Tilt), n.Addr)
	}
	for _, n := range h.Nodes {
		if isReplica(n, h.CurrentMaster) {
			e.replica(name, n)
		}
	}
	for event, n := range s.Events {
		e.counter(descSentinelEvents, float64(n), event)
	}
}

// isReplica: a node that does not answer is one that is missing, whatever it last said
// that it was. After a failover that is the old master.
func isReplica(n health.Node, master string) bool {
	return n.Role == "replica" || !n.Reachable && n.Addr != master
}

// replica has a lag only while the master knows it.
func (e emitter) replica(name string, n health.Node) {
	e.gauge(descReplicaLinked, truth(n.Link == "online"), name, n.Addr)
	if n.Link != "" {
		e.gauge(descReplicaBytes, float64(n.LagBytes), name, n.Addr)
		e.gauge(descReplicaSeconds, n.Lag.Seconds(), name, n.Addr)
	}
}
