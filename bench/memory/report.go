package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/evercache/evercache/bench/machine"
)

// row is what one phase came to.
type row struct {
	phase                 string
	writes, reads, failed int64
	now, peak, heap       float64 // bytes
}

func (r *row) between(a, b counts) {
	r.writes, r.reads, r.failed = b.writes-a.writes, b.reads-a.reads, b.failed-a.failed
}

func (o options) heading(ctx context.Context) string {
	where := "without a limit"
	if o.limit > 0 {
		where = fmt.Sprintf("in a control group with %d MiB", o.limit)
	}
	return machine.Look(ctx, "./memory").Markdown("callers, service and Redis") + fmt.Sprintf(
		"evercache serve %s; settings: %s. %d callers, values of %d bytes, %v for each phase. Memory is resident memory, in MiB.\n\n",
		where, settings(), o.callers, o.value, o.length)
}

// settings are those of the environment that say something about memory.
func settings() string {
	var set []string
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "EVERCACHE_") || strings.HasPrefix(v, "GOMEMLIMIT=") || strings.HasPrefix(v, "GOGC=") {
			set = append(set, "`"+v+"`")
		}
	}
	slices.Sort(set)
	if len(set) == 0 {
		return "the defaults"
	}
	return strings.Join(set, " ")
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| phase | writes | reads | failed | at the end | highest | heap in use at the end |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %.0f | %.0f | %.0f |\n", r.phase, r.writes, r.reads, r.failed, mib(r.now), mib(r.peak), mib(r.heap))
	}
	return b.String()
}

func mib(bytes float64) float64 { return bytes / (1 << 20) }
