package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
)

// cluster is the block that exists in Cluster mode only.
type cluster struct {
	Enabled       bool       `json:"enabled"`
	Seeds         []address  `json:"seeds"` // as configured
	FailoverCount int        `json:"failoverCount"`
	LastFailover  *time.Time `json:"lastFailover"`

	Confirmed  bool       `json:"confirmed"` // every slot has an owner, every shard is healthy
	Nodes      nodeCount  `json:"nodes"`
	Slots      slotCount  `json:"slots"`
	ShardCount int        `json:"shardCount"`
	Shards     []shard    `json:"shards"` // the first ones; those in trouble before the others where not all are shown
	Failovers  []failover `json:"failovers"`

	Unreachable []clusterNode `json:"unreachable"` // nodes that do not answer
}

type nodeCount struct {
	Known     int `json:"known"`
	Reachable int `json:"reachable"`
}

type slotCount struct {
	Owned   int `json:"owned"`
	Unowned int `json:"unowned"`
	Moving  int `json:"moving"`
}

type shard struct {
	Number   uint32     `json:"number"`
	State    string     `json:"state"` // connected, degraded
	Stage    string     `json:"stage"`
	Since    *time.Time `json:"since"` // when it stopped being healthy
	Cause    *string    `json:"cause"` // why its master is not used
	Master   string     `json:"master"`
	NodeID   string     `json:"nodeId"`
	Epoch    int64      `json:"epoch"`
	Slots    int        `json:"slots"`
	Ranges   string     `json:"ranges"`
	Replicas []string   `json:"replicas"` // that could be promoted
}

type clusterNode struct {
	Address string  `json:"address"`
	Error   *string `json:"error"`
}

// maxShards bounds the shards that are shown.
const maxShards = 64

// newCluster is null outside Cluster mode.
func newCluster(h *health.Cluster) *cluster {
	if h == nil {
		return nil
	}
	c := &cluster{
		Enabled: true, Seeds: []address{}, FailoverCount: h.FailoverCount, Confirmed: h.Confirmed,
		Nodes: nodeCount{h.Known, h.Reachable}, Slots: slotCount{h.Owned, h.Unowned, h.Moving},
		ShardCount: len(h.Shards), Shards: []shard{}, Failovers: []failover{}, Unreachable: []clusterNode{},
	}
	for _, a := range h.Configured {
		c.Seeds = append(c.Seeds, newAddress(a))
	}
	for _, sh := range foremost(h.Shards) {
		c.Shards = append(c.Shards, newShard(sh))
	}
	for _, n := range h.Unreachable {
		c.Unreachable = append(c.Unreachable, clusterNode{n.Addr, cause(n.Err)})
	}
	for _, f := range h.Failovers {
		c.Failovers = append(c.Failovers, newFailover(f))
		c.LastFailover = new(f.At.UTC())
	}
	return c
}

// foremost are the shards that are shown, by number: all, or those in trouble first.
func foremost(all []health.ClusterShard) []health.ClusterShard {
	if len(all) <= maxShards {
		return all
	}
	well := func(sh health.ClusterShard) int {
		switch {
		case !sh.InUse:
			return 0
		case !sh.Since.IsZero():
			return 1
		}
		return 2
	}
	shown := slices.Clone(all)
	slices.SortStableFunc(shown, func(a, b health.ClusterShard) int { return cmp.Compare(well(a), well(b)) })
	shown = shown[:maxShards]
	slices.SortFunc(shown, func(a, b health.ClusterShard) int { return cmp.Compare(a.Number, b.Number) })
	return shown
}

func newShard(h health.ClusterShard) shard {
	sh := shard{
		Number: h.Number, State: health.Connected.String(), Stage: h.Stage, Since: unless(h.Since.IsZero(), h.Since.UTC()), Cause: cause(h.Cause),
		Master: h.Master, NodeID: h.NodeID, Epoch: h.Epoch, Slots: h.Slots, Ranges: h.Ranges, Replicas: h.Replicas,
	}
	if !h.InUse {
		sh.State = health.Degraded.String()
	}
	if sh.Replicas == nil {
		sh.Replicas = []string{}
	}
	return sh
}
