package revoke_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

func TestSentinelReplicatedMeansThatReplicasHaveIt(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	p := startAll(t, 1, options(set), revoke.Policy{Durability: evercache.Replicated, Replicas: 2})[0]
	var took []time.Duration
	for _, id := range ids("r", 20) {
		began := time.Now()
		r, err := p.Revoke(t.Context(), id, inAnHour())
		if err != nil || r.Replicas != 2 {
			t.Fatalf("Revoke = %v, %v", r, err)
		}
		took = append(took, time.Since(began))
	}
	t.Logf("median of 20: %v", median(took))
	for _, n := range set.Nodes() {
		if n != set.Master() {
			n.Kill()
		}
	}
	r, err := p.Revoke(t.Context(), "alone", inAnHour())
	if !evercache.IsRetryable(err) || r.Durability < evercache.Master && r.Durability != evercache.Memory {
		t.Errorf("Revoke without replicas = %v, %v", r, err)
	}
	if got := p.status("alone"); got != revoke.Revoked {
		t.Errorf("it is in force here: %v", got)
	}
}

// The sentinels make a former master that comes back a replica after some 10 s, and it
// needs longer to copy the data. Until then it holds no barrier and answers as a master.
// What a majority of the sentinels says is then the proof that the new one is the only one.
func TestAFormerMasterThatComesBackHoldsUpNoKnowledge(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	p := startAll(t, 1, options(set), revoke.Policy{})[0]
	old := set.KillMaster()
	set.WaitMaster(old.Addr(), 30*time.Second)
	eventually(t, 40*time.Second, "the next master", func() bool { return p.Stats().Lag < 2*time.Second })
	old.Start()
	var most time.Duration
	began := time.Now()
	eventually(t, 60*time.Second, "a replica", func() bool {
		most = max(most, p.Stats().Lag)
		info, _ := old.Try(t.Context(), "INFO", "replication") // SLAVEOF ends the connections
		return strings.Contains(fmt.Sprint(info), "master_link_status:up")
	})
	took := time.Since(began)
	t.Logf("a replica after %v, the lag was %v at most", took, most)
	if most > took-2*time.Second {
		t.Errorf("the lag was %v, in the %v until it was a replica", most, took)
	}
}
