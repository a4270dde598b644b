package evercache

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// replicated starts a master and a replica of it, which is in sync and of which
// the client of the Cache has heard.
func replicated(t *testing.T) (c *Cache[string], master, replica *redisproc.Process) {
	t.Helper()
	master = startRedis(t, redisproc.Options{Config: []string{"repl-diskless-sync-delay 0", "repl-timeout 3600"}})
	replica = startRedis(t, redisproc.Options{ReplicaOf: master.Addr()})
	waitUntil(t, 30*time.Second, func() bool { return redisDo(t, master, "WAIT", "1", "100") == int64(1) }, func() string { return "no replica" })
	client := openAt(t, master.Addr())
	connect(t, client, 20*time.Second)
	c = cacheOf[string](t, client, "c", Policy{WriteTimeout: 400 * time.Millisecond})
	waitUntil(t, 20*time.Second, func() bool { last, _ := client.one().Barriers.Watch(); return last.Replicas == 1 }, func() string { return "no barrier on the replica" })
	return c, master, replica
}

func TestAReceiptOfAReplicaIsTrue(t *testing.T) {
	t.Parallel()
	c, master, replica := replicated(t)
	r, err := c.Set(t.Context(), "a", "v", MinReplicas(1))
	wantValue(t, r, err, Receipt{Durability: Replicated, Replicas: 1})
	wantStored(t, replica, "c:a", "v")
	r, err = c.Delete(t.Context(), "a", MinReplicas(1))
	wantValue(t, r, err, Receipt{Durability: Replicated, Replicas: 1})
	wantStored(t, replica, "c:a", "")

	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	defer resume(t, replica)
	late := lateness(t)
	start := time.Now()
	r, err = c.Set(t.Context(), "a", "in force", MinReplicas(1))
	took := time.Since(start)
	below, ok := errors.AsType[*DurabilityError](err)
	if !ok || below.Asked != Replicated || below.AskedReplicas != 1 || below.Got != Master || r.Durability != Master || !IsRetryable(err) {
		t.Errorf("with its replica paused: %+v, %v", r, err)
	}
	if took < 300*time.Millisecond || took > time.Second+late() {
		t.Errorf("it waited %v, want about the write timeout", took)
	}
	wantStored(t, master, "c:a", "in force")
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "in force")

	_, err = c.Set(t.Context(), "a", "v", MinReplicas(2))
	if below, ok := errors.AsType[*DurabilityError](err); !ok || below.AskedReplicas != 2 {
		t.Errorf("more replicas than there are: %v", err)
	}
	r, err = c.Set(t.Context(), "a", "v")
	wantValue(t, r, err, Receipt{Durability: Master})
}

// TestAWriteThatWaitsForAReplicaHoldsUpNoOther would fail with a WAIT on the
// connection of the writes.
func TestAWriteThatWaitsForAReplicaHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	c, _, replica := replicated(t)
	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	defer resume(t, replica)
	var waiting sync.WaitGroup
	for i := range 4 {
		waiting.Go(func() { _, _ = c.Set(t.Context(), fmt.Sprint("waits", i), "v", MinReplicas(1)) })
	}
	waitUntil(t, time.Second, c.client.one().Barriers.Awaited, func() string { return "nobody waits" })
	var took []time.Duration
	for i := range 21 {
		start := time.Now()
		_, err := c.Set(t.Context(), fmt.Sprint(i), "v")
		wantErr(t, err, nil)
		took = append(took, time.Since(start))
	}
	if !c.client.one().Barriers.Awaited() {
		t.Error("nobody waited meanwhile")
	}
	waiting.Wait()
	slices.Sort(took)
	if took[10] > 50*time.Millisecond {
		t.Errorf("a write beside one that waits takes %v (median)", took[10])
	}
}
