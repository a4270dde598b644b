package watch

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/redistest"
)

// TestAClusterIsFoundFromOneOfItsNodes: of a replica too, and every shard is in use and
// proven soon.
func TestAClusterIsFoundFromOneOfItsNodes(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	began := time.Now()
	f := follow(t, c.Addrs()[4:5], nil)
	f.use(3)
	t.Logf("all in use and proven after %v", time.Since(began))
	f.mu.Lock()
	for s, want := range map[int]string{0: c.Nodes()[0].Addr(), 8000: c.Nodes()[1].Addr(), 16383: c.Nodes()[2].Addr()} {
		if n := f.nodes[f.of(s)]; n == nil || n.Addr != want {
			t.Errorf("slot %d is used at %v, want %s", s, n, want)
		}
	}
	f.mu.Unlock()
	f.until("a view without a reason", func() bool {
		return f.view.Reason == nil && len(f.view.Reasons) == 0 && len(f.view.Troubles) == 0 && f.view.Decision.Confirmed
	})
	if len(f.failed) != 0 {
		t.Errorf("dials failed: %v", f.failed)
	}
}

// promotion does what makes a replica the master of slot 0, and waits for it to be used.
func promotion(t *testing.T, c *redistest.Cluster, f *following, act func(master, replica *redistest.Server)) {
	t.Helper()
	master := c.Nodes()[0]
	replica := c.ReplicasOf(master)[0]
	number := f.ownerOf(0)
	promoted := make(chan time.Time, 1)
	stop := make(chan struct{})
	go func() { // the moment at which it says so itself
		defer close(promoted)
		for {
			if r, ok := replica.Do("ROLE").([]any); ok && r[0] == "master" {
				promoted <- time.Now()
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(stop) })
	act(master, replica)
	f.until("the next master in use", func() bool {
		n := f.nodes[number]
		return n != nil && n.Addr == replica.Addr() && len(f.promoted) > 0
	})
	f.mu.Lock()
	up := f.upAt[number]
	if p := f.promoted[0]; p.Shard != number || f.of(0) != number || len(f.changes) > 3 { // 3: those of the start
		t.Errorf("promoted %+v; changes %v", p, f.changes)
	}
	f.mu.Unlock()
	took := up.Sub(<-promoted)
	t.Logf("in use %v after it said that it is a master", took)
	if took > 5*time.Second {
		t.Errorf("that is too long")
	}
	f.use(3)
}

// recorded waits for the record of the shard's failover.
func (f *following) recorded(cause cluster.Cause) {
	f.t.Helper()
	f.until("its record", func() bool {
		for _, r := range f.ended {
			if r.Failover() {
				if r.Cause != cause {
					f.faults = append(f.faults, "the cause is "+r.Cause.String()+", not "+cause.String())
				}
				return true
			}
		}
		return false
	})
}

func TestAKilledMasterIsReplaced(t *testing.T) {
	t.Parallel()
	c, f := startCluster(t)
	promotion(t, c, f, func(master, _ *redistest.Server) { master.Kill() })
	f.recorded(cluster.CauseFailure)
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.books[f.of(0)].held
	if last := held[len(held)-1]; last.Barrier == 0 || last.Fresh {
		t.Errorf("the successor holds no barrier: %+v", held)
	}
}

func TestAPlannedFailoverOfAClusterIsFollowed(t *testing.T) {
	t.Parallel()
	c, f := startCluster(t, redistest.WithNodeTimeout(5*time.Second))
	promotion(t, c, f, func(_, replica *redistest.Server) { c.Failover(replica) })
	f.recorded(cluster.CausePlanned)
}

func TestATakeoverIsFollowed(t *testing.T) {
	t.Parallel()
	c, f := startCluster(t, redistest.WithNodeTimeout(5*time.Second))
	promotion(t, c, f, func(_, replica *redistest.Server) { c.Takeover(replica) })
	f.recorded(cluster.CausePlanned)
}

// TestAMasterThatHangsIsReplacedAndItsReturnChangesNothing.
func TestAMasterThatHangsIsReplacedAndItsReturnChangesNothing(t *testing.T) {
	t.Parallel()
	c, f := startCluster(t)
	promotion(t, c, f, func(master, _ *redistest.Server) { master.Pause() })
	c.Nodes()[0].Resume()
	f.recorded(cluster.CauseFailure)
	c.WaitHealthy(patience)
	f.use(3)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.nodes[f.of(0)]; n.Addr == c.Nodes()[0].Addr() {
		t.Error("the master that had hung is in use again")
	}
}

// TestARestartWithoutDataIsNoticed: nobody is promoted, and no barrier of ours is there.
func TestARestartWithoutDataIsNoticed(t *testing.T) {
	t.Parallel()
	c, f := startCluster(t, redistest.WithNodeTimeout(5*time.Second))
	number := f.ownerOf(0)
	f.mu.Lock()
	before := len(f.books[number].held)
	f.mu.Unlock()
	c.Nodes()[0].Kill()
	f.until("it is down", func() bool { return f.nodes[number] == nil })
	c.Nodes()[0].Restart(redistest.Empty)
	f.until("it is up again", func() bool { return f.nodes[number] != nil && len(f.downs[number]) > 0 })
	f.use(3)
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.books[number].held
	if last := held[len(held)-1]; len(held) == before || last.Barrier != 0 || last.Fresh {
		t.Errorf("held %+v, of which %d before: want no barrier in the last, and that this tells something", held, before)
	}
	if len(f.promoted) != 0 {
		t.Errorf("promoted: %+v", f.promoted)
	}
}
