package shard_test

import (
	"errors"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/redistest"
)

// atRisk makes a write that a master has taken, and kills the master before it is
// known to be safe.
func atRisk(t *testing.T, o evercache.Options) (*evercache.Client, *redisproc.Process) {
	t.Helper()
	p := startRedis(t, redisproc.Options{})
	o.Addr = p.Addr()
	client := open(t, o)
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	for range 20 {
		wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), "a", "v") })
		kill(t, p)
		if client.Health().Recovery.Unconfirmed > 0 {
			return client, p
		}
		restart(t, p, redisproc.Empty) // a barrier was quicker
		connect(t, client, 20*time.Second)
	}
	t.Fatal("every write was confirmed before its master was killed")
	return nil, nil
}

// TestAProcessThatEndsInAFailoverLosesNothing: what the old master had taken is
// sent to the next one before Close returns.
func TestAProcessThatEndsInAFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	client, p := atRisk(t, evercache.Options{CloseTimeout: 20 * time.Second})
	ended := make(chan error, 1)
	go func() { ended <- client.Close() }()
	select {
	case err := <-ended:
		t.Fatalf("Close returned before there was another master: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	restart(t, p, redisproc.Empty)
	wantErr(t, <-ended, nil)
	wantStored(t, p, "c:a", "v")
}

func TestCloseCountsWhatOnlyALostMasterHad(t *testing.T) {
	t.Parallel()
	client, _ := atRisk(t, evercache.Options{CloseTimeout: time.Second})
	unsaved, ok := errors.AsType[*evercache.UnsavedError](client.Close())
	if !ok || unsaved.Writes+unsaved.AtRisk != 1 {
		t.Errorf("Close = %+v", unsaved)
	}
}

// TestCloseDoesNotWaitLongForAReplicaThatHangs: the master has it all.
func TestCloseDoesNotWaitLongForAReplicaThatHangs(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(20*time.Second))
	client := open(t, evercache.Options{Sentinels: set.Addrs(), MasterName: set.MasterName(), CloseTimeout: 20 * time.Second})
	connect(t, client, 30*time.Second)
	for _, n := range set.Nodes() {
		if n.Addr() != set.Master().Addr() {
			n.Pause()
			defer n.Resume()
		}
	}
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), "a", "v") })
	began := time.Now()
	wantErr(t, client.Close(), nil)
	if took := time.Since(began); took < shard.ConfirmPatience || took > shard.ConfirmPatience+5*time.Second {
		t.Errorf("Close took %v", took)
	}
}
