package redistest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// startSentinel is patient with the nodes, so that a busy machine does not cause failovers that the
// test did not.
func startSentinel(t *testing.T, opts ...Option) *Sentinel {
	t.Helper()
	need(t, redisproc.Server, redisproc.Sentinel)
	t.Parallel() // these tests mostly wait
	began := time.Now()
	s := StartSentinel(t, append([]Option{WithDownAfter(2 * time.Second)}, opts...)...)
	took := time.Since(began).Round(time.Millisecond)
	t.Logf("StartSentinel took %v", took)
	return s
}

func waitMaster(t *testing.T, s *Sentinel, not *Server) *Server {
	t.Helper()
	began := time.Now()
	m := s.WaitMaster(not.Addr(), failoverPatience)
	t.Logf("another master after %v", time.Since(began).Round(time.Millisecond))
	return m
}

func TestSentinelSetIsReadyForAFailover(t *testing.T) {
	s := startSentinel(t)
	if len(s.Nodes()) != 3 || len(s.Sentinels()) != 3 || len(s.Addrs()) != 3 || s.MasterName() != "mymaster" {
		t.Errorf("%d nodes, %d sentinels at %v, name %s", len(s.Nodes()), len(s.Sentinels()), s.Addrs(), s.MasterName())
	}
	for _, p := range s.Sentinels() {
		if got := p.Do("SENTINEL", "CKQUORUM", "mymaster").(string); !strings.HasPrefix(got, "OK 3 usable") {
			t.Errorf("CKQUORUM at %s: %s", p.Addr(), got)
		}
		if got := p.Do("SENTINEL", "DEBUG").([]any); !slices.Contains(got, any("10000")) {
			t.Errorf("periods of %s are not Sentinel's own: %v", p.Addr(), got)
		}
	}
	old := s.Master()
	s.Failover()
	if m := waitMaster(t, s, old); s.Node(m.Addr()) != m {
		t.Error("the master is none of the nodes")
	}
}

func TestKilledMasterIsReplacedAndReturnsAsReplica(t *testing.T) {
	s := startSentinel(t, WithFastSentinel())
	old := s.KillMaster()
	m := waitMaster(t, s, old)
	m.Do("SET", "k", "v")
	old.Restart(Empty)
	s.WaitHealthy(failoverPatience)
	if got := old.Do("ROLE").([]any); got[0] != "slave" {
		t.Errorf("ROLE of the returned node = %v, want slave", got)
	}
	if got := old.Do("GET", "k"); got != "v" {
		t.Errorf("GET at the returned node = %v, want v", got)
	}
}

func TestPausedMasterIsReplaced(t *testing.T) {
	s := startSentinel(t)
	old := s.PauseMaster()
	waitMaster(t, s, old)
	old.Resume()
	s.SetFast(true)
	s.WaitHealthy(failoverPatience)
}

func TestSentinelSetWithEveryOption(t *testing.T) {
	s := startSentinel(
		t,
		WithMasterName("shop"), WithReplicas(1), WithSentinels(5), WithQuorum(2),
		WithDownAfter(2400*time.Millisecond), WithFailoverTimeout(8*time.Second),
		WithPassword("node-pw"), WithUser("app", "x", "~*", "+@all"), WithSentinelPassword("sentinel-pw"),
		WithTLSClientCerts(), WithPersistence(), WithConfig("maxmemory 32mb"), WithSentinelConfig("sentinel parallel-syncs shop 2"),
	)
	for _, p := range s.Sentinels() {
		reply := p.Do("SENTINEL", "MASTER", "shop").([]any)
		for name, want := range map[string]string{
			"quorum": "2", "down-after-milliseconds": "2400", "failover-timeout": "8000", "parallel-syncs": "2", "num-other-sentinels": "4", "num-slaves": "1",
		} {
			if i := slices.Index(reply, any(name)); i < 0 || reply[i+1] != want {
				t.Errorf("%s of %s: want %s in %v", name, p.Addr(), want, reply)
			}
		}
	}
	if s.TLSConfig() == nil || s.TLSFiles().CA == "" || s.Nodes()[0].TLSConfig() == nil {
		t.Error("no TLS files")
	}
	s.Master().Do("SET", "k", "v")
	replica := s.Nodes()[1]
	replica.Restart(KeepData)
	s.WaitHealthy(failoverPatience)
	replica.Kill()
	replica.Restart(KeepData)
	if got := replica.Do("GET", "k"); got != "v" {
		t.Errorf("GET after a crash = %v, want v", got)
	}
}

func TestNodeThatSavedNothingHasNothingToKeep(t *testing.T) {
	need(t, redisproc.Server, redisproc.Sentinel)
	expectFatal(t, "nothing on disk to keep", func(tb testing.TB) {
		s := StartSentinel(tb, WithReplicas(1), WithSentinels(1))
		replica := s.Nodes()[1]
		replica.Kill()
		replica.Restart(KeepData)
	})
	expectFatal(t, "no node has the address", func(tb testing.TB) {
		StartSentinel(tb, WithReplicas(1), WithSentinels(1)).Node("127.0.0.1:1")
	})
}

func TestSentinelThatReturnsIsFoundAgain(t *testing.T) {
	for name, data := range map[string]Data{"remembering": KeepData, "forgetful": Empty} {
		t.Run(name, func(t *testing.T) {
			s := startSentinel(t, WithReplicas(1), WithFastSentinel())
			p := s.Sentinels()[1]
			p.Kill()
			p.Restart(data)
			s.SetFast(true)
			s.WaitHealthy(failoverPatience)
		})
	}
}

func BenchmarkStartSentinel(b *testing.B) {
	need(b, redisproc.Server, redisproc.Sentinel)
	for b.Loop() {
		set, err := redisproc.StartSet(b.Context(), redisproc.SetOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := set.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
