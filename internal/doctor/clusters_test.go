package doctor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

func startCluster(t *testing.T, opts ...redistest.Option) (*stage, *redistest.Cluster, []string) {
	t.Helper()
	s, set := newStage(t), redistest.StartCluster(t, append([]redistest.Option{
		redistest.WithPersistence(), redistest.WithNodeTimeout(5 * time.Second), redistest.WithPartialCoverage(),
		redistest.WithConfig("maxmemory 100mb", "maxmemory-policy noeviction"),
	}, opts...)...)
	s.cluster(set)
	return s, set, []string{"REDIS_CLUSTER_NODES=" + strings.Join(set.Addrs(), ",")}
}

func TestAWellCluster(t *testing.T) {
	t.Parallel()
	s, set, environ := startCluster(t)
	s.wants("well-cluster", environ, told()...)
	s.wants("cluster-node-as-standalone", at(set.Nodes()[0]), health.CodeRedisClusterNode)
	m := set.Masters()[0]
	m.Do("CONFIG", "SET", "cluster-require-full-coverage", "yes")
	m.Do("CLUSTER", "SETSLOT", "7", "MIGRATING", fmt.Sprint(set.Masters()[1].Do("CLUSTER", "MYID")))
	s.wants("cluster-slot-moving", environ, told("cluster-full-coverage", health.CodeClusterSlotMoving)...)
}

func TestAClusterWithTLSAndNames(t *testing.T) {
	t.Parallel()
	s, set, environ := startCluster(t, redistest.WithTLS(), redistest.WithHostnames("localhost"), redistest.WithPassword(canary))
	for i, n := range set.Nodes() {
		s.name(fmt.Sprintf("localhost:%d", n.Port()), "NODE-"+string(rune('1'+i)))
	}
	s.wants("well-cluster-with-tls", append(environ, "REDIS_TLS=true", "REDIS_TLS_CA_FILE="+set.TLSFiles().CA, "REDIS_PASSWORD="+canary),
		told("redis-server-certificate")...)
}

func TestPlansWithACluster(t *testing.T) {
	t.Parallel()
	s, set, environ := startCluster(t, redistest.WithReplicas(0))
	other := redistest.Start(t, redistest.WithConfig("maxmemory 100mb"))
	s.name(other.Addr(), "OTHER")
	other.Do("SET", "a", "1")
	set.MasterOf("a").Do("SET", "a", "1")
	plan := func(golden, mode string, environ []string, codes ...string) {
		s.Helper()
		s.wantsIn(golden, Request{Environ: environ, Timeout: patience, Plan: mode}, codes...)
	}
	plan("plan-server-to-cluster", "cluster", append(at(other, "REDIS_DB=0", "EVERCACHE_REVOCATIONS=required"), environ...),
		told("config-several-modes", "plan-data-left", "plan-denylist", "plan-lost", health.CodeClusterNoReplica)...)
	plan("plan-cluster-to-server", "standalone", append(environ, at(other)...), "plan-data-left", "plan-lost", "plan-variables", "redis-noeviction")
	plan("plan-cluster-to-node", "standalone", append(environ, at(set.Nodes()[0])...), "plan-lost", "plan-variables", health.CodeRedisClusterNode)
}

func TestAClusterWithoutReplicas(t *testing.T) {
	t.Parallel()
	s, set, environ := startCluster(t, redistest.WithReplicas(0))
	s.wants("cluster-no-replica", environ, told(health.CodeClusterNoReplica)...)
	set.Nodes()[2].Pause()
	s.wantsIn("cluster-node-hangs", Request{Environ: environ, Timeout: 9 * time.Second}, told(health.CodeClusterNoReplica, health.CodeClusterUnreachable)...)
	set.Nodes()[2].Resume()
	set.WaitHealthy(patience)
	for _, n := range set.Nodes() {
		n.Do("CLUSTER", "DELSLOTS", "0")
	}
	s.wants("cluster-slot-uncovered", environ, told(health.CodeClusterNoReplica, health.CodeClusterSlotUncovered)...)
}

func TestTwoClustersAreListed(t *testing.T) {
	t.Parallel()
	s, set, environ := startCluster(t, redistest.WithReplicas(0))
	other := redistest.Start(t, redistest.WithConfig("cluster-enabled yes", "maxmemory 100mb"))
	s.name(other.Addr(), "OTHER")
	report := Run(t.Context(), Request{Environ: append(slack, environ[0]+","+other.Addr()), Timeout: patience})
	if !strings.Contains(report.Text(false), health.CodeClusterTwoClusters) {
		t.Errorf("nodes of two Clusters:\n%s", report.Text(false))
	}
	_ = set
}

func TestTheClocksOfMastersDiffer(t *testing.T) {
	t.Parallel()
	clock := redistest.NewClock(t)
	clock.Set(800 * time.Millisecond)
	s, _, environ := startCluster(t, redistest.WithNodeClock(1, clock))
	s.wants("cluster-clocks", environ, told(health.CodeClusterClocksDiffer)...)
}
