package revoke_test

import (
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
