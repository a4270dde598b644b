package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/evercache/evercache/bench/machine"
)

// environment is what a figure must be read with.
type environment struct {
	machine.Machine

	Repeat    int               `json:"repeat"`
	Patience  string            `json:"patience"` // Sentinel's down-after, or the Cluster's node timeout
	Cluster   bool              `json:"cluster"`
	Writes    float64           `json:"writesPerSecond"`
	Deletes   float64           `json:"deletesPerSecond"`
	Reads     float64           `json:"readsPerSecond"`
	Libraries map[string]string `json:"contenders"` // their settings

	order []string // of the libraries
}

func newEnvironment(ctx context.Context, o options) environment {
	e := environment{
		Machine:   machine.Look(ctx, "./failover", "github.com/redis/go-redis/v9", "github.com/redis/rueidis"),
		Repeat:    o.repeat,
		Patience:  o.patience.String(),
		Cluster:   o.cluster,
		Writes:    o.rates.writes,
		Deletes:   o.rates.deletes,
		Reads:     o.rates.reads,
		Libraries: map[string]string{},
	}
	for _, c := range o.libraries {
		e.Libraries[c.name] = c.how
		e.order = append(e.order, c.name)
	}
	return e
}

func (e environment) markdown() string {
	var b strings.Builder
	where := "the set"
	if e.Cluster {
		where = "the Cluster"
	}
	b.WriteString(e.Markdown("the clients and " + where))
	fmt.Fprintf(&b, "%s, fresh for every repetition; all libraries at the same time, each with %v writes a second of keys of their own, %v deletes a second (half of them of keys written before the traffic, half of keys that were just acknowledged) and %v reads a second of %d known keys, in an open loop, every call with a context of %v.\n", e.scenery(), e.Writes, e.Deletes, e.Reads, knownKeys, callTimeout)
	if e.Cluster {
		b.WriteString("Every other key is of the shard that fails (reshard: of the slots that were moved), the rest are of the other shards. Gaps without a landed write are of the shard that fails, where the column does not say otherwise.\n")
	}
	fmt.Fprintf(&b, "A cell is median (min–max) of %d repetitions; `>` is a lower bound: it had not happened when the observation ended. What was answered with an error is not acknowledged; what evercache acknowledged as `memory` is.\n\n", e.Repeat)
	for _, name := range e.order {
		fmt.Fprintf(&b, "- %s: %s\n", name, e.Libraries[name])
	}
	return b.String()
}

// scenery is what fails.
func (e environment) scenery() string {
	if e.Cluster {
		return fmt.Sprintf("%d masters with a replica each, cluster-node-timeout %s (restart: at least %v, so that the master is back before it is missed), cluster-require-full-coverage yes", clusterMasters, e.Patience, patientNodeTimeout)
	}
	return fmt.Sprintf("1 master, %d replicas, %d sentinels, down-after %s (aof, rdb, empty: at least %v, so that the master is back before anybody fails over)", replicas, sentinels, e.Patience, patientDownAfter)
}
