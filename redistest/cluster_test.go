package redistest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// startCluster is patient with the nodes, so that a busy machine does not cause failovers that the test did not.
func startCluster(t *testing.T, opts ...Option) *Cluster {
	t.Helper()
	need(t, redisproc.Server)
	t.Parallel() // these tests mostly wait
	began := time.Now()
	c := StartCluster(t, append([]Option{WithNodeTimeout(5 * time.Second)}, opts...)...)
	t.Logf("StartCluster took %v", time.Since(began).Round(time.Millisecond))
	return c
}

func id(n *Server) string { return n.Do("CLUSTER", "MYID").(string) }

// line is what a node says of itself in CLUSTER NODES.
func line(n *Server) string {
	for l := range strings.Lines(n.Do("CLUSTER", "NODES").(string)) {
		if strings.Contains(l, "myself") {
			return l
		}
	}
	return ""
}

// epoch is a node's config epoch.
func epoch(t *testing.T, n *Server) (e int) {
	t.Helper()
	if _, err := fmt.Sscan(strings.Fields(line(n))[6], &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestClusterIsReadyForAFailover(t *testing.T) {
	c := startCluster(t)
	nodes, masters := c.Nodes(), c.Masters()
	if len(nodes) != 6 || len(masters) != 3 || len(c.Addrs()) != 6 {
		t.Fatalf("%d nodes at %v, %d masters, want 6 and 3", len(nodes), c.Addrs(), len(masters))
	}
	for i, m := range masters {
		if r := c.ReplicasOf(m); m != nodes[i] || len(r) != 1 || r[0] != nodes[3+i] {
			t.Errorf("master %d is %s with the replicas %v", i, m.Addr(), r)
		}
		c.MasterOfSlot(i*16384/3+1).Do("SET", KeyIn(i*16384/3+1, ""), "v") // an error would end the test
	}
	for _, n := range nodes {
		if got := n.Do("CLUSTER", "INFO").(string); !strings.Contains(got, "cluster_state:ok") {
			t.Errorf("node %s: %s", n.Addr(), got)
		}
	}
	key := KeyIn(1, "k")
	old, replica := nodes[0], nodes[3]
	if c.MasterOf(key) != old || c.Node(old.Addr()) != old {
		t.Errorf("the master of slot 1 is %s, want %s", c.MasterOf(key).Addr(), old.Addr())
	}

	old.Do("SET", key, "v")
	c.Failover(replica)
	if got := c.WaitMaster(1, old, failoverPatience); got != replica {
		t.Errorf("master after a planned failover: %s, want %s", got.Addr(), replica.Addr())
	}
	c.WaitHealthy(failoverPatience)
	if got := replica.Do("GET", key); got != "v" {
		t.Errorf("GET = %v, want v", got)
	}

	nodes[1].Pause() // no majority could agree
	nodes[2].Pause()
	c.Takeover(old)
	eventually(t, "the replica has taken over", func() bool { return strings.Contains(line(old), "myself,master") })
	nodes[1].Resume()
	nodes[2].Resume()
	c.WaitHealthy(failoverPatience)

	old.Pause() // a planned one would wait for it
	c.ForceFailover(replica)
	if got := c.WaitMaster(1, old, failoverPatience); got != replica {
		t.Errorf("master after a forced failover: %s, want %s", got.Addr(), replica.Addr())
	}
	if got := replica.Log(); !strings.Contains(got, "Forced failover user request accepted") {
		t.Errorf("the replica was not asked for a forced failover: %s", got)
	}
	old.Resume()
	c.WaitHealthy(failoverPatience)
}

func TestKilledMasterOfAClusterIsReplacedAndReturnsAsReplica(t *testing.T) {
	c := startCluster(t, WithNodeTimeout(2*time.Second))
	old := c.MasterOfSlot(0)
	name := id(old)
	old.Kill()
	began := time.Now()
	m := c.WaitMaster(0, old, failoverPatience)
	t.Logf("another master after %v", time.Since(began).Round(time.Millisecond))
	m.Do("SET", KeyIn(0, ""), "v")
	old.Restart(Empty)
	c.WaitHealthy(failoverPatience)
	if got := line(old); !strings.HasPrefix(got, name) || !strings.Contains(got, "slave "+id(m)) {
		t.Errorf("the returned node says %s, want %s, slave of %s", got, name, id(m))
	}
	if got := c.ReplicasOf(m); len(got) != 1 || got[0] != old {
		t.Errorf("replicas of the new master: %v", got)
	}
}

// shardPair is two masters without replicas, and n keys in slot 7 of the first.
func shardPair(t *testing.T, n int, opts ...Option) (c *Cluster, from, to *Server) {
	t.Helper()
	c = startCluster(t, append(opts, WithMasters(2), WithReplicas(0))...)
	from, to = c.Nodes()[0], c.Nodes()[1]
	for i := range n {
		from.Do("SET", KeyIn(7, fmt.Sprint(i)), "v")
	}
	return c, from, to
}

func keysIn(n *Server, slot int) int64 {
	return n.Do("CLUSTER", "COUNTKEYSINSLOT", fmt.Sprint(slot)).(int64)
}

func TestReshardStopsWhereItIsToldAndGoesOn(t *testing.T) {
	const n = 121 // more than one MIGRATE takes
	c, from, to := shardPair(t, n)
	migrating, importing := "[7->-"+id(to)+"]", "[7-<-"+id(from)+"]"
	for _, tt := range []struct {
		name         string
		step         Step
		moved        int64
		atTo, atFrom bool // the marks
	}{
		{"Marked", Marked, 0, true, true},
		{"Half", Half, 61, true, true},
		{"Moved", Moved, n, true, true},
		{"Told", Told, n, false, true}, // the target's announcement takes the other mark away soon
	} {
		c.ReshardUntil(tt.step, from, to, OneSlot(7))
		if a, b := keysIn(from, 7), keysIn(to, 7); a != n-tt.moved || b != tt.moved {
			t.Errorf("%s: %d keys at the source and %d at the target, want %d to have moved", tt.name, a, b, tt.moved)
		}
		if got := strings.Contains(line(to), importing); got != tt.atTo {
			t.Errorf("%s: the target is importing: %v, want %v", tt.name, got, tt.atTo)
		}
		if got := strings.Contains(line(from), migrating); got != tt.atFrom && tt.step != Told {
			t.Errorf("%s: the source is migrating: %v, want %v", tt.name, got, tt.atFrom)
		}
	}
	if got := from.Do("INFO", "commandstats").(string); !strings.Contains(got, "cmdstat_cluster|setslot:calls=4,") {
		t.Errorf("the source was told more than four times that it is migrating: %s", got)
	}
	c.Reshard(from, to, SlotRange{6, 8})
	for slot := 6; slot <= 8; slot++ {
		if got := c.MasterOfSlot(slot); got != to {
			t.Errorf("slot %d belongs to %s, want %s", slot, got.Addr(), to.Addr())
		}
	}
	if got := to.Do("GET", KeyIn(7, "0")); got != "v" {
		t.Errorf("GET of a key that has moved = %v", got)
	}
	c.WaitHealthy(patience) // no mark is left, and both agree
	if l := line(from) + line(to); strings.Contains(l, "[") {
		t.Errorf("a mark is left: %s", l)
	}
}

func TestSlotsStayOrMoveAsOne(t *testing.T) {
	c, from, to := shardPair(t, 1)
	c.ReshardUntil(Marked, from, to, OneSlot(7))
	c.Abandon(OneSlot(7))
	if l := line(from) + line(to); strings.Contains(l, "[") {
		t.Errorf("a mark is left: %s", l)
	}
	if got := from.Do("GET", KeyIn(7, "0")); got != "v" {
		t.Errorf("GET = %v, want v", got)
	}

	before := epoch(t, from)
	c.ThereAndBack(from, to, 7)
	if got := c.MasterOfSlot(7); got != from || from.Do("GET", KeyIn(7, "0")) != "v" || epoch(t, from) <= before {
		t.Errorf("after there and back slot 7 belongs to %s, under epoch %d, before %d", got.Addr(), epoch(t, from), before)
	}

	err := c.AtomicReshard(from, to, SlotRange{7, 9})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Logf("no atomic moves: %v", err)
	} else if got := c.MasterOfSlot(9); got != to || to.Do("GET", KeyIn(7, "0")) != "v" {
		t.Errorf("after an atomic move the master of slot 9 is %s", got.Addr())
	}
}

func TestStolenSlotIsFollowedAndItsKeysAreGone(t *testing.T) {
	c, owner, thief := shardPair(t, 3)
	c.StealSlot(thief, 7)
	if got := c.WaitMaster(7, owner, patience); got != thief {
		t.Errorf("the slot belongs to %s, want %s", got.Addr(), thief.Addr())
	}
	eventually(t, "the owner gives way and drops its keys", func() bool { return keysIn(owner, 7) == 0 })
	if got := keysIn(thief, 7); got != 0 {
		t.Errorf("the thief has %d keys", got)
	}
}

func TestClusterWithEveryOption(t *testing.T) {
	clock := NewClock(t)
	clock.Set(time.Hour)
	c := startCluster(
		t,
		WithMasters(2), WithReplicas(1), WithNodeTimeout(7*time.Second), WithPartialCoverage(), WithHostnames("localhost"),
		WithPassword("node-pw"), WithUser("app", "x", "~*", "+@all"), WithTLSClientCerts(), WithPersistence(),
		WithConfig("maxmemory 32mb"), WithNodeClock(1, clock),
	)
	for _, n := range c.Nodes() {
		for name, want := range map[string]string{
			"cluster-node-timeout": "7000", "cluster-require-full-coverage": "no", "maxmemory": "33554432",
			"cluster-preferred-endpoint-type": "hostname", "cluster-announce-hostname": "localhost", "port": "0",
		} {
			if got := n.Do("CONFIG", "GET", name).([]any); len(got) != 2 || got[1] != want {
				t.Errorf("%s of %s: %v, want %s", name, n.Addr(), got, want)
			}
		}
	}
	from, to := c.Nodes()[0], c.Nodes()[1]
	if a, b := seconds(t, from), seconds(t, to); b-a < 3500 {
		t.Errorf("node 1 says %d, node 0 says %d, want an hour between them", b, a)
	}
	if err := ping(to.Addr(), c.TLSConfig()); err != nil || c.TLSFiles().CA == "" {
		t.Errorf("with the files' certificate: %v", err)
	}
	from.Do("SET", KeyIn(7, "0"), "v")
	c.Reshard(from, to, OneSlot(7)) // MIGRATE needs the password, and TLS
	to.Kill()
	to.Restart(KeepData)
	if got := c.MasterOfSlot(7).Do("GET", KeyIn(7, "0")); got != "v" {
		t.Errorf("GET after a move and a crash = %v, want v", got)
	}
}

func seconds(t *testing.T, n *Server) (s int64) {
	t.Helper()
	if _, err := fmt.Sscan(n.Do("TIME").([]any)[0].(string), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestClusterBehindProxies(t *testing.T) {
	c := startCluster(t, WithMasters(1), WithReplicas(1), WithProxies())
	master, replica := c.Nodes()[0], c.Nodes()[1]
	proxy := c.Proxy(master)
	if c.Addrs()[0] != proxy.Addr() || c.Node(proxy.Addr()) != master || proxy.Addr() == master.Addr() {
		t.Errorf("Addrs = %v, the proxy is at %s", c.Addrs(), proxy.Addr())
	}
	_, port, _ := net.SplitHostPort(proxy.Addr())
	announced := func() bool {
		slots := replica.Do("CLUSTER", "SLOTS").([]any)
		return fmt.Sprint(slots[0].([]any)[2].([]any)[1]) == port
	}
	if !announced() {
		t.Errorf("the replica does not name the proxy of its master, port %s", port)
	}
	proxy.Refuse(true)
	proxy.ResetAll()
	eventually(t, "the replica has lost its master", func() bool { return replica.Do("ROLE").([]any)[3] != "connected" })
	if got := replica.Do("CLUSTER", "INFO").(string); !strings.Contains(got, "cluster_state:ok") {
		t.Errorf("the nodes do not see each other: %s", got)
	}
	proxy.Heal()
	c.WaitHealthy(patience)
	master.Restart(KeepData)
	c.WaitHealthy(failoverPatience)
	if !announced() {
		t.Errorf("after a restart the replica does not name the proxy of its master, port %s", port)
	}
}

func TestReplacedNodeIsAStrangerUntilTheClusterIsRebuilt(t *testing.T) {
	c := startCluster(t, WithReplicas(0), WithPartialCoverage(), WithNodeTimeout(time.Second))
	nodes := c.Nodes()
	key := KeyIn(16000, "")
	nodes[2].Do("SET", key, "v")
	before := [2]string{id(nodes[0]), id(nodes[2])}
	nodes[0].Kill()
	eventually(t, "the others have given the node up", func() bool {
		return strings.Contains(nodes[2].Do("CLUSTER", "INFO").(string), "cluster_slots_fail:5461")
	})
	if got := nodes[2].Do("GET", key); got != "v" { // with full coverage: CLUSTERDOWN
		t.Errorf("GET of another master's key = %v, want v", got)
	}
	c.Replace(nodes[0])
	if got := line(nodes[0]); strings.HasPrefix(got, before[0]) || strings.Contains(got, "5460") {
		t.Errorf("the replaced node says %s, want another id and no slots", got)
	}

	c.Rebuild()
	if id(nodes[2]) == before[1] {
		t.Error("a node has its id from before")
	}
	if got := c.MasterOf(key); got != nodes[2] || got.Do("GET", key) != nil {
		t.Errorf("the master of %s is %s, and the value is still there", key, got.Addr())
	}
}

func TestFaultyUseOfAClusterEndsTheTest(t *testing.T) {
	need(t, redisproc.Server)
	t.Parallel()
	expectFatal(t, "StartCluster cannot follow WithQuorum", func(tb testing.TB) { StartCluster(tb, WithQuorum(2)) })
	expectFatal(t, "StartSentinel cannot follow WithMasters", func(tb testing.TB) { StartSentinel(tb, WithMasters(2)) })
	expectFatal(t, "Start cannot follow WithProxies, WithNodeClock", func(tb testing.TB) {
		Start(tb, WithProxies(), WithNodeClock(0, nil))
	})
	expectFatal(t, "Masters", func(tb testing.TB) { StartCluster(tb, WithMasters(0)) })
	expectFatal(t, "Replicas", func(tb testing.TB) { StartCluster(tb, WithReplicas(-1)) })
	expectFatal(t, "at most 30", func(tb testing.TB) { StartCluster(tb, WithReplicas(1000)) })
	expectFatal(t, "Hostnames[0]", func(tb testing.TB) { StartCluster(tb, WithHostnames("two words")) })
	expectFatal(t, "no-such-directive", func(tb testing.TB) { StartCluster(tb, WithConfig("no-such-directive 1")) })

	expectFatal(t, "not started WithProxies", func(tb testing.TB) { (&Cluster{tb: tb}).Proxy(nil) })
}

func TestFailedTestShowsTheLogsOfItsCluster(t *testing.T) {
	need(t, redisproc.Server)
	t.Parallel()
	f := tested(t, func(tb testing.TB) {
		c := StartCluster(tb, WithMasters(1), WithReplicas(0))
		n := c.Nodes()[0]
		n.Kill()
		n.Restart(KeepData)
	})
	if !strings.Contains(f.fatal, "nothing on disk to keep") { // its own nodes.conf is not its data
		t.Errorf("the test ended with Fatal(%q)", f.fatal)
	}
	if got := strings.Join(f.logs, "\n"); !strings.Contains(got, "Cluster state changed: ok") {
		t.Errorf("a failed test shows %q, want the node's log", got)
	}
	expectFatal(t, "no node has the address", func(tb testing.TB) { (&Cluster{tb: tb}).Node("127.0.0.1:1") })
}

func BenchmarkStartCluster(b *testing.B) {
	need(b, redisproc.Server)
	for b.Loop() {
		cluster, err := redisproc.StartCluster(b.Context(), redisproc.ClusterOptions{Replicas: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := cluster.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
