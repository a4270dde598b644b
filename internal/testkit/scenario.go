package testkit

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/chaos"
)

// Runs is how often each scenario runs: once, or EVERCACHE_TEST_RUNS times.
func Runs() int {
	n, _ := strconv.Atoi(os.Getenv("EVERCACHE_TEST_RUNS"))
	return max(n, 1)
}

// Scenario runs a drill as often as asked, and logs what it cost. The promise about
// the landing is about the median, so it is checked here.
func Scenario(t *testing.T, one func(t *testing.T) chaos.Summary) {
	t.Helper()
	var all []chaos.Summary
	failed := 0
	for i := range Runs() {
		ok := t.Run(fmt.Sprint("run", i+1), func(t *testing.T) { all = append(all, one(t)) })
		if !ok {
			failed++
		}
	}
	logRow(t, all, failed)
}

func logRow(t *testing.T, all []chaos.Summary, failed int) {
	t.Helper()
	worst := func(of func(chaos.Summary) time.Duration) (median, most time.Duration) {
		var ds []time.Duration
		for _, s := range all {
			ds = append(ds, of(s))
		}
		if len(ds) == 0 {
			return 0, 0
		}
		slices.Sort(ds)
		return ds[len(ds)/2].Round(time.Millisecond), ds[len(ds)-1].Round(time.Millisecond)
	}
	landing, landingMost := worst(func(s chaos.Summary) time.Duration { return s.Landing })
	gap, gapMost := worst(func(s chaos.Summary) time.Duration { return s.Gap })
	_, write := worst(func(s chaos.Summary) time.Duration { return s.LongestWrite })
	_, read := worst(func(s chaos.Summary) time.Duration { return s.LongestRead })
	_, stolen := worst(func(s chaos.Summary) time.Duration { return s.Stolen })
	failedReads, lostKept, lostLanded := 0, 0, 0
	for _, s := range all {
		failedReads, lostKept, lostLanded = failedReads+s.FailedReads, lostKept+s.LostKept, lostLanded+s.LostLanded
	}
	t.Logf("ROW | %s | %d runs, %d failed | landing %v, worst %v | gap %v, worst %v | longest write %v, read %v (stolen %v) | failed reads %d | lost: landed %d, kept %d",
		t.Name(), Runs(), failed, landing, landingMost, gap, gapMost, write, read, stolen, failedReads, lostLanded, lostKept)
	if len(all) >= 20 && landing > 100*time.Millisecond {
		t.Errorf("median landing %v, promised 100ms", landing)
	}
}
