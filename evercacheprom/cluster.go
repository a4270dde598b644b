package evercacheprom

import (
	"strconv"

	"github.com/evercache/evercache/health"
)

var (
	descClusterNodes        = desc("cluster_nodes_known", "Nodes of the Cluster that are known.")
	descClusterReachable    = desc("cluster_nodes_reachable", "Nodes of the Cluster that answer.")
	descClusterSlots        = desc("cluster_slots", "Slots of the Cluster that have an owner, that have none, and that move from one node to another.", "state")
	descClusterShards       = desc("cluster_shards", "Masters of the Cluster that have slots.")
	descClusterFailovers    = desc("cluster_failovers_total", "Failovers of shards that have ended.")
	descClusterFailoverLast = desc("cluster_failover_last_timestamp_seconds", "When the last failover of a shard was followed, in Unix seconds; 0 for none.")
	descClusterFailoverTook = desc("cluster_failover_last_duration_seconds", "How long no write was sent to the shard in the last failover.")

	descShardUp       = desc("cluster_shard_up", "1 while the master of the shard is in use; of the shard \"other\": while all are.", "shard")
	descShardHealthy  = desc("cluster_shard_healthy", "1 while writes of the shard are confirmed; of the shard \"other\": of all.", "shard")
	descShardSlots    = desc("cluster_shard_slots", "Slots of the shard.", "shard")
	descShardReplicas = desc("cluster_shard_replicas", "Replicas of the shard that could be promoted.", "shard")
	descShardEpoch    = desc("cluster_shard_config_epoch", "The config epoch of the shard's master.", "shard")
	descShardMaster   = desc("cluster_shard_master_info", "The master of the shard; always 1.", "shard", "addr")
)

// maxShards bounds the shards that have metrics of their own. The rest are one, with
// the label "other".
const maxShards = 64

func (e emitter) cluster(h health.Cluster) {
	e.gauge(descClusterNodes, float64(h.Known))
	e.gauge(descClusterReachable, float64(h.Reachable))
	e.gauge(descClusterSlots, float64(h.Owned), "owned")
	e.gauge(descClusterSlots, float64(h.Unowned), "unowned")
	e.gauge(descClusterSlots, float64(h.Moving), "moving")
	e.gauge(descClusterShards, float64(len(h.Shards)))
	e.counter(descClusterFailovers, float64(h.FailoverCount))
	var at, took float64
	if n := len(h.Failovers); n > 0 {
		last := h.Failovers[n-1]
		at, took = float64(last.At.UnixMilli())/1000, last.Blackout.Seconds()
	}
	e.gauge(descClusterFailoverLast, at)
	e.gauge(descClusterFailoverTook, took)
	own := h.Shards[:min(len(h.Shards), maxShards)]
	for _, sh := range own {
		label := strconv.FormatUint(uint64(sh.Number), 10)
		e.shards(label, []health.ClusterShard{sh})
		e.gauge(descShardEpoch, float64(sh.Epoch), label)
		e.gauge(descShardMaster, 1, label, sh.Master)
	}
	if rest := h.Shards[len(own):]; len(rest) > 0 {
		e.shards("other", rest)
	}
}

// shards sends what one label says of some shards.
func (e emitter) shards(label string, all []health.ClusterShard) {
	up, healthy, slots, replicas := true, true, 0, 0
	for _, sh := range all {
		up, healthy = up && sh.InUse, healthy && sh.InUse && sh.Since.IsZero()
		slots, replicas = slots+sh.Slots, replicas+len(sh.Replicas)
	}
	e.gauge(descShardUp, truth(up), label)
	e.gauge(descShardHealthy, truth(healthy), label)
	e.gauge(descShardSlots, float64(slots), label)
	e.gauge(descShardReplicas, float64(replicas), label)
}
