package main

import (
	"context"
	"fmt"

	"github.com/evercache/evercache/bench/machine"
)

// environment is what a figure must be read with.
type environment struct {
	machine.Machine

	Keys   int    `json:"keys"`
	Repeat int    `json:"repeat"`
	Length string `json:"duration"` // of each cell
}

func newEnvironment(ctx context.Context, w *world) environment {
	m := machine.Look(ctx, ".",
		"github.com/maypok86/otter/v2",
		"github.com/redis/go-redis/v9",
		"github.com/redis/rueidis",
		"github.com/viccon/sturdyc",
	)
	return environment{Machine: m, Keys: len(w.keys)}
}

func (e environment) markdown() string {
	return e.Markdown("client and server, on loopback") +
		fmt.Sprintf("%d keys in one random order. A cell is median (min–max) of %d runs of %s, subjects interleaved.\n", e.Keys, e.Repeat, e.Length) +
		"Ratio: operations a second of the first row over those of this row, paired within each repetition; above 1 the first row is faster.\n"
}
