package shard

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// A process sees of the others only what the master says of all. Each takes its pace from
// that, and what they do then is what the master says next.
func TestAllBarriersTogetherTakeAFiftiethOfAMaster(t *testing.T) {
	const (
		seconds = 60
		settled = 20 // by then the paces have found together
		feed    = 5  // other questions of a process, a second
	)
	for _, processes := range []int{1, 10, 100, 130, 300, 1000} {
		for name, base := range map[string]time.Duration{"all write": heartbeatUnconfirmed, "all read": heartbeatEvery} {
			pace := make([]time.Duration, processes)
			next := make([]float64, processes)
			for i := range pace {
				pace[i], next[i] = base, rand.Float64()
			}
			barriers := 0
			rate := uint64(0)
			for second := range seconds {
				sent := 0
				for i := range pace {
					for ; next[i] < float64(second+1); next[i] += pace[i].Seconds() {
						sent++
					}
					e := remote.Evictions{Clients: uint64(3 * processes), Rate: rate}
					pace[i] = shared(base, crowd(e, 3))
				}
				rate = uint64(6*sent + feed*processes)
				if second >= settled {
					barriers += sent
				}
			}
			share := float64(barriers) * barrierCost.Seconds() / (seconds - settled)
			if share > 1.02/barrierShare {
				t.Errorf("%d processes, %s: barriers take %.3f of the master", processes, name, share)
			}
			if want := base.Seconds() * share / barrierCost.Seconds() / float64(processes); processes <= 100 && math.Abs(want-1) > 0.05 {
				t.Errorf("%d processes, %s: %.2f of the barriers that they may send", processes, name, want)
			}
			for _, p := range pace {
				if p > stretchedMost || p >= time.Duration(LeaseTerm)-100*time.Millisecond {
					t.Fatalf("a pace of %v outlives the lease", p)
				}
			}
		}
	}
}

func TestProcessesAtRestStretchNobodysPace(t *testing.T) {
	rest := remote.Evictions{Clients: 3000, Rate: 1000*23/10 + 200}
	if got := shared(heartbeatUnconfirmed, crowd(rest, 3)); got > 200*time.Millisecond {
		t.Errorf("a barrier each %v beside a thousand processes that rest", got)
	}
	if got := shared(heartbeatUnconfirmed, crowd(remote.Evictions{Clients: 60, Rate: 100_000}, 3)); got != heartbeatUnconfirmed {
		t.Errorf("a barrier each %v beside a few busy processes", got)
	}
	for processes, want := range map[uint64]time.Duration{0: 0, few: 0, 100: 1500 * time.Microsecond, 10_000: heartbeatWaited, math.MaxUint64: heartbeatWaited} {
		if got := atOnce(processes); got != want {
			t.Errorf("who waits among %d processes waits %v, want %v", processes, got, want)
		}
	}
	for processes, want := range map[uint64]time.Duration{0: HearEach, 100: HearEach, 1000: 2 * HearEach} {
		if got := hearPace(processes); got != want {
			t.Errorf("the feed is asked each %v among %d processes, want %v", got, processes, want)
		}
	}
	if got := shared(heartbeatEvery, math.MaxUint64); got != stretchedMost {
		t.Errorf("a barrier each %v among countless processes", got)
	}
}
