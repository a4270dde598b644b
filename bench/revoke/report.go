package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/evercache/evercache/bench/machine"
)

// environment is what a figure must be read with.
type environment struct {
	machine.Machine

	Entries     int    `json:"entries"`
	Repeat      int    `json:"repeat"`
	Length      string `json:"duration"` // of each cell of check
	Asked       int    `json:"asked"`    // ids, in check
	Revocations int    `json:"revocations"`
}

func newEnvironment(ctx context.Context, o options) environment {
	return environment{
		Machine: machine.Look(ctx, "./revoke", "github.com/bits-and-blooms/bloom/v3", "github.com/redis/go-redis/v9", "github.com/redis/rueidis"),
		Entries: o.entries, Repeat: o.repeat, Length: o.length.String(), Asked: o.asked, Revocations: o.revocations,
	}
}

// report is everything that a run found.
type report struct {
	Environment environment `json:"environment"`
	Took        string      `json:"took"`
	Check       []cell      `json:"check,omitempty"`
	Memory      []weight    `json:"memory,omitempty"`
	Snapshot    []snapshot  `json:"snapshot,omitempty"`
	Revoke      []latency   `json:"revoke,omitempty"`
}

func (r report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// markdown prints the tables that there is something for.
func (r report) markdown(out io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Environment.Markdown("the clients and the servers, on loopback"))
	fmt.Fprintf(&b, "%d revocations of ids of %d bytes are in force. A cell is median (min–max) of %d repetitions, subjects interleaved. All of it took %s.\n",
		r.Environment.Entries, idBytes, r.Environment.Repeat, r.Took)
	r.checks(&b)
	r.weights(&b)
	r.snapshots(&b)
	r.latencies(&b)
	_, err := io.WriteString(out, b.String())
	return err
}

func header(b *strings.Builder, columns ...string) {
	b.WriteString("| " + strings.Join(columns, " | ") + " |\n" + strings.Repeat("|---", len(columns)) + "|\n")
}

func (r report) checks(b *strings.Builder) {
	if len(r.Check) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Check\n\nRuns of %s. A hit is a revoked token, a miss any other; each comes from %d ids drawn at random, asked for in turn. An id is at hand, as if it had just come with a request; how many there are decides whether its entry is in the processor's cache. "+
		"At 2 procs two goroutines run, and ns/op is wall time over all questions, as `go test -bench` counts. The filter is made for %.0f %% false positives, behind the lock that adding needs; "+
		"alone it refuses the tokens of the last column for nothing. Where Redis is asked, calls have no deadline. A wrong answer of another kind ends the run. \"the loop\" is what measuring costs: it is in every row.\n\n",
		r.Environment.Length, r.Environment.Asked, 100*falsePositives)
	header(b, "procs", "subject", "hit, ns/op", "miss, ns/op", "allocs, hit", "allocs, miss", "refused for nothing, %")
	nsPerOp := func(s sample) float64 { return s.NsPerOp }
	allocs := func(s sample) float64 { return round(s.Allocs) }
	wrong := func(s sample) float64 { return 100 * float64(s.Wrong) / float64(max(1, s.Ops)) }
	for _, c := range r.Check {
		fmt.Fprintf(b, "| %d | %s | %s | %s | %s | %s | %s |\n", c.Procs, c.Subject,
			spread(collect(c.Hit, nsPerOp)), spread(collect(c.Miss, nsPerOp)),
			spread(collect(c.Hit, allocs)), spread(collect(c.Miss, allocs)), spread(collect(c.Miss, wrong)))
	}
}

func (r report) weights(b *strings.Builder) {
	if len(r.Memory) == 0 {
		return
	}
	b.WriteString("\n### Memory\n\nBytes per entry: of the heap of each process, after a collection, and of `used_memory` of Redis.\n\n")
	header(b, "subject", "in each process", "in Redis")
	for _, w := range r.Memory {
		fmt.Fprintf(b, "| %s | %s | %s |\n", w.Subject, digits(w.Process), digits(w.Redis))
	}
}

func (r report) snapshots(b *strings.Builder) {
	if len(r.Snapshot) == 0 {
		return
	}
	b.WriteString("\n### Start of a process\n\nA process of its own each time, from `evercache.Open` to the list being ready. Resident memory is the most it has had until then; before Open it is that of the program itself.\n\n")
	header(b, "entries", "Open to Ready, s", "most resident, MiB", "before Open, MiB", "heap of the list, MiB")
	of := func(f func(snapshot) float64) string { return spread(collect(r.Snapshot, f)) }
	fmt.Fprintf(b, "| %d | %s | %s | %s | %s |\n", r.Snapshot[0].Entries,
		of(func(s snapshot) float64 { return s.Seconds }),
		of(func(s snapshot) float64 { return orNone(s.PeakMiB) }),
		of(func(s snapshot) float64 { return orNone(s.StartMiB) }),
		of(func(s snapshot) float64 { return s.HeapMiB }))
}

func (r report) latencies(b *strings.Builder) {
	if len(r.Revoke) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Revoke\n\n1 master, 2 replicas, 3 sentinels; one caller, %d revocations a repetition, %v between an answer and the next call; another process asks its own memory for the next id every %v (that is what it sleeps; the machine makes it more). "+
		"Milliseconds from the call of Revoke; a p50 and a p99 are of one repetition.\n\n", r.Environment.Revocations, pace, seenEach)
	header(b, "level", "acknowledged, p50", "acknowledged, p99", "refused in another process, p50", "refused there, p99", "refused there before the acknowledgement, %")
	for _, l := range levels {
		var samples []latency
		for _, s := range r.Revoke {
			if s.Level == l.name {
				samples = append(samples, s)
			}
		}
		of := func(f func(latency) float64) string { return spread(collect(samples, f)) }
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", l.name,
			of(func(s latency) float64 { return s.AckP50 }), of(func(s latency) float64 { return s.AckP99 }),
			of(func(s latency) float64 { return s.RefusedP50 }), of(func(s latency) float64 { return s.RefusedP99 }),
			of(func(s latency) float64 { return 100 * s.Before }))
	}
}

// round cuts off what the measurement itself allocates.
func round(allocs float64) float64 {
	return float64(int(allocs*10+0.5)) / 10
}
