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
	DownAfter string            `json:"downAfter"`
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
		DownAfter: o.downAfter.String(),
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
	b.WriteString(e.Markdown("the clients and the set"))
	fmt.Fprintf(&b, "1 master, %d replicas, %d sentinels, down-after %s (aof, rdb, empty: at least %v, so that the master is back before anybody fails over), fresh for every repetition; all libraries at the same time, each with %v writes a second of keys of their own, %v deletes a second (half of them of keys written before the traffic, half of keys that were just acknowledged) and %v reads a second of %d known keys, in an open loop, every call with a context of %v.\n", replicas, sentinels, e.DownAfter, patientDownAfter, e.Writes, e.Deletes, e.Reads, knownKeys, callTimeout)
	fmt.Fprintf(&b, "A cell is median (min–max) of %d repetitions; `>` is a lower bound: it had not happened when the observation ended. What was answered with an error is not acknowledged; what evercache acknowledged as `memory` is.\n\n", e.Repeat)
	for _, name := range e.order {
		fmt.Fprintf(&b, "- %s: %s\n", name, e.Libraries[name])
	}
	return b.String()
}
