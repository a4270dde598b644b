package chaos_test

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// scene is one row of the table of faults.
type scene struct {
	name    string
	short   bool // also run by `make test`
	set     []redistest.Option
	proxied bool // each client reaches everything through proxies of its own
	rules   chaos.Rules
	every   time.Duration // the pace of the traffic
	extra   extra

	options func(*evercache.Options)
	before  func(*stage) // before the traffic
	script  func(*stage, *rand.Rand)
	// world and open replace the Sentinel set and, where open returns one, a client.
	world func(*stage) world
	open  func(s *stage, proc int) chaos.Party
}

// extra is what the traffic of a scene has beside the usual.
type extra struct {
	large      bool // some values of 40 kB and of 900 kB
	repeats    bool // the same value again and again
	bursts     bool // writes of one key at once in one process
	prolongs   bool // Touch
	lives      bool // the second process gives all keys another TTL
	slowWrites bool // a codec that takes its time for some values
}

// result is what a run came to.
type result struct {
	seed                 uint64
	figures              chaos.Figures
	tally                map[chaos.Kind]int
	replayed, superseded uint64
	stolen               time.Duration
}

// TestChaos breaks Redis under two clients in every way that the table knows,
// and checks the history of all calls. By itself it runs some scenes once.
//
//	EVERCACHE_CHAOS_TIME=10m   all scenes, round after round, each with a seed of its own
//	EVERCACHE_CHAOS_RUNS=20    every scene as often
//	EVERCACHE_CHAOS_SEED=1     the seed of the first run of each scene
//	EVERCACHE_CHAOS_PREFIXES=off  no prefix deletes, to find what they hide
//
// The package comment of chaos says how to read a failure.
func TestChaos(t *testing.T) {
	t.Parallel()
	playAll(t, append(scenes(), attackScenes()...))
}

func playAll(t *testing.T, all []scene) {
	results := map[string][]result{}
	failed := map[string]int{}
	for sc, seed := range plan(all, func() int { return total(results) }) {
		ok := t.Run(sc.name, func(t *testing.T) { results[sc.name] = append(results[sc.name], sc.play(t, seed)) })
		if !ok {
			failed[sc.name]++
		}
	}
	for _, sc := range all {
		if len(results[sc.name])+failed[sc.name] > 0 {
			t.Log(row(sc.name, results[sc.name], failed[sc.name]))
		}
	}
}

func total(results map[string][]result) (n int) {
	for r := range maps.Values(results) {
		n += len(r)
	}
	return n
}

// plan is which scene runs next, and with which seed. It ends a round in which
// nothing ran: -run has chosen none of them.
func plan(all []scene, ran func() int) iter.Seq2[scene, uint64] {
	runs, _ := strconv.Atoi(os.Getenv("EVERCACHE_CHAOS_RUNS"))
	limit, _ := time.ParseDuration(os.Getenv("EVERCACHE_CHAOS_TIME"))
	if runs > 0 {
		limit = 0
	}
	asked, _ := strconv.ParseUint(os.Getenv("EVERCACHE_CHAOS_SEED"), 10, 64)
	return func(yield func(scene, uint64) bool) {
		deadline := time.Now().Add(limit)
		for round := uint64(0); ; round++ {
			before := ran()
			for _, sc := range all {
				if runs == 0 && limit == 0 && !sc.short && asked == 0 || limit > 0 && time.Now().After(deadline) {
					continue
				}
				seed := rand.Uint64N(1 << 32)
				if asked > 0 {
					seed = asked + round
				}
				if !yield(sc, seed) {
					return
				}
			}
			if ran() == before || limit == 0 && int(round)+1 >= runs {
				return
			}
		}
	}
}

func row(name string, all []result, failed int) string {
	n := map[chaos.Kind]int{}
	excused := map[string]int{}
	var replayed, superseded uint64
	var keys, failedReads int
	var read, write, stolen time.Duration
	for _, r := range all {
		for k, v := range r.tally {
			n[k] += v
		}
		for k, v := range r.figures.Excused {
			excused[k] += v
		}
		replayed, superseded = replayed+r.replayed, superseded+r.superseded
		keys, failedReads = keys+r.figures.Keys, failedReads+r.figures.FailedReads
		read, write, stolen = max(read, r.figures.LongestRead), max(write, r.figures.LongestWrite), max(stolen, r.stolen)
	}
	return fmt.Sprintf("ROW | %s | %d runs, %d failed | %d keys | lost %d | resurrected %d | stale %d | diverged %d | other %d | failed reads %d | longest read %v, write %v (stolen %v) | replayed %d | superseded %d | invalidated %s",
		name, len(all), failed, keys, n[chaos.Lost], n[chaos.Resurrected], n[chaos.Stale], n[chaos.Diverged],
		n[chaos.Invented]+n[chaos.Outlived]+n[chaos.FailedWrite]+n[chaos.Slow]+n[chaos.Full]+n[chaos.Empty], failedReads,
		read.Round(time.Millisecond), write.Round(time.Millisecond), stolen.Round(time.Millisecond), replayed, superseded, sumOf(excused))
}

// sumOf lists why keys hold nothing although their last write was acknowledged.
func sumOf(excused map[string]int) string {
	var parts []string
	n := 0
	for _, why := range []string{"order unknown", "expired", "invalidated", "evicted", "overflow"} {
		if excused[why] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", why, excused[why]))
			n += excused[why]
		}
	}
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", n, strings.Join(parts, ", "))
}
