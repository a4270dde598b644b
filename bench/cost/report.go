package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/evercache/evercache/bench/machine"
)

// row is what was counted in one phase, a second.
type row struct {
	clients int
	phase   string

	cpu       float64 // milliseconds of this process
	writes    float64
	failed    float64
	announced float64            // messages of the feed, to all clients
	master    map[string]float64 // commands, by name
	masterCPU float64            // milliseconds of the master
	output    float64            // bytes that the master sends
	replica   float64            // commands, of each
	sentinel  float64
}

const (
	replicas  = 2
	sentinels = 3
)

// between fills in the row from two moments.
func (r *row) between(a, b counts) {
	s := b.at.Sub(a.at).Seconds()
	r.cpu = (b.cpu - a.cpu).Seconds() * 1000 / s
	r.writes, r.failed = float64(b.writes-a.writes)/s, float64(b.failed-a.failed)/s
	r.announced = float64(b.announced-a.announced) / s
	r.output = (b.output - a.output) / s
	r.masterCPU = (b.masterCPU - a.masterCPU) * 1000 / s
	r.replica, r.sentinel = (b.replicas-a.replicas)/s/replicas, (b.sentinels-a.sentinels)/s/sentinels
	r.master = map[string]float64{}
	for command, n := range b.master {
		if rate := (n - a.master[command]) / s; rate > 0 {
			r.master[command] = rate
		}
	}
}

func (r row) commands() (sum float64) {
	for _, n := range r.master {
		sum += n
	}
	return sum
}

// most are the commands that the master is asked most often.
func (r row) most() string {
	const shown = 6
	names := slices.SortedFunc(maps.Keys(r.master), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.master[b], r.master[a]), cmp.Compare(a, b))
	})
	var all []string
	for _, name := range names[:min(shown, len(names))] {
		all = append(all, fmt.Sprintf("%s %.1f", name, r.master[name]))
	}
	return strings.Join(all, ", ")
}

func (o options) heading(ctx context.Context) string {
	return machine.Look(ctx, "./cost").Markdown("the clients and the set") +
		fmt.Sprintf("1 master, %d replicas, %d sentinels; all clients in one process, each with one class and nothing but the defaults. Observed for %v a row; in the rows with writes %v a second of all clients together, of 1000 keys. ", replicas, sentinels, o.length, o.writes) +
		"Per second, unless it says otherwise. The rows with 0 clients are what the set does by itself; every question of the measurement itself is among the commands, once a row.\n\n"
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| clients | phase | CPU of the process, ms | commands at the master | the same, per client | most of all | CPU of the master, ms | the same, per client | commands at a replica | at a sentinel | KiB sent by the master | writes | feed messages per write |\n")
	b.WriteString(strings.Repeat("|---", 13) + "|\n")
	alone, aloneCPU := 0.0, 0.0
	for _, r := range rows {
		if r.clients == 0 {
			alone, aloneCPU = r.commands(), r.masterCPU
		}
		each, eachCPU, perWrite := "–", "–", "–"
		if r.clients > 0 {
			each = fmt.Sprintf("%.1f", (r.commands()-alone-r.writes)/float64(r.clients))
			eachCPU = fmt.Sprintf("%.3f", (r.masterCPU-aloneCPU)/float64(r.clients))
		}
		if r.writes > 0 {
			perWrite = fmt.Sprintf("%.2f", r.announced/r.writes)
		}
		fmt.Fprintf(&b, "| %d | %s | %.1f | %.1f | %s | %s | %.1f | %s | %.1f | %.1f | %.1f | %.1f | %s |\n",
			r.clients, r.phase, r.cpu, r.commands(), each, r.most(), r.masterCPU, eachCPU, r.replica, r.sentinel, r.output/1024, r.writes, perWrite)
		if r.failed > 0 {
			fmt.Fprintf(&b, "| | %.1f writes a second failed | | | | | | | | | | | |\n", r.failed)
		}
	}
	b.WriteString("\n\"per client\" is without what the set does by itself; of the commands also without the writes.\n")
	return b.String()
}
