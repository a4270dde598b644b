package watch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/redistest"
)

// TestANodeOfAnotherClusterIsNeverWrittenTo: it has come to the address of a dead master,
// claims all slots under a high epoch, and takes every write.
func TestANodeOfAnotherClusterIsNeverWrittenTo(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a := f.ownerOf(0)
	node := c.Nodes()[0]
	c.Replace(node)
	node.Do("CLUSTER", "SET-CONFIG-EPOCH", "99")
	node.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	asked := func() bool {
		text, _ := node.Do("INFO", "commandstats").(string)
		return strings.Contains(text, "cmdstat_cluster|nodes") && strings.Contains(text, "cmdstat_role")
	}
	f.until("the shard is without a master, and the node there was asked who it is", func() bool {
		return f.nodes[a] == nil && errors.Is(f.view.Reasons[a], ErrElsewhere) && asked()
	})
	dials := func() int {
		return len(slices.DeleteFunc(slices.Clone(f.failed), func(err error) bool { return !errors.Is(err, remote.ErrOtherNode) }))
	}
	f.until("dials have found another node", func() bool { return dials() >= 3 })
	if text, _ := node.Do("INFO", "commandstats").(string); strings.Contains(text, "cmdstat_set:") || node.Do("DBSIZE") != int64(0) {
		t.Errorf("it was written to: %s", text)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of(0) != a || len(f.promoted) != 0 {
		t.Errorf("slot 0 is shard %d's, promoted %v", f.of(0), f.promoted)
	}
}

// TestANodeWhoseCircuitOpensIsDialledAgain: the heartbeat's connection is well.
func TestANodeWhoseCircuitOpensIsDialledAgain(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a := f.ownerOf(0)
	f.mu.Lock()
	n := f.nodes[a]
	f.mu.Unlock()
	r, err := n.Raw(t.Context(), patience, []string{"CLIENT", "ID"})
	if err != nil {
		t.Fatal(err)
	}
	c.Nodes()[0].Do("CLIENT", "KILL", "ID", strconv.FormatInt(r[0].Value.(int64), 10))
	f.until("another connection", func() bool {
		_, _ = n.Raw(t.Context(), patience, []string{"PING"})
		return f.nodes[a] != nil && f.nodes[a] != n
	})
}

// TestTheSeatOfAShardWithoutSlotsIsGivenUp.
func TestTheSeatOfAShardWithoutSlotsIsGivenUp(t *testing.T) {
	d, st := seated(cluster.Shard{Number: 1})
	ended := false
	st.dialing = func() { ended = true }
	d.syncSeats()
	if len(d.seats) != 0 || !ended {
		t.Errorf("%d seats, its dial ended: %v", len(d.seats), ended)
	}
}

func TestAWrongPasswordIsTheReason(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm(), redistest.WithPassword("right"))
	f := follow(t, c.Addrs()[:3], func(c *ClusterConfig) { c.Node.Password = "wrong-one" })
	f.until("the reason", func() bool {
		return errors.Is(f.view.Reason, ErrNoCluster) && remote.KindOf(f.view.Reason) == remote.Auth && len(f.view.Troubles) == 3
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if text := f.view.Reason.Error(); strings.Contains(text, "wrong-one") {
		t.Errorf("the password is told: %s", text)
	}
	if len(f.ups) != 0 {
		t.Errorf("in use: %v", f.ups)
	}
}

// TestWithoutClusterNodesNothingIsDecided, and the command is named. ROLE, INFO and MYID
// can be missed.
func TestWithoutClusterNodesNothingIsDecided(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm(),
		redistest.WithUser("blind", "p", "~*", "+@all", "-cluster|nodes"),
		redistest.WithUser("short", "p", "~*", "+@all", "-role", "-cluster|myid", "-config"),
	)
	t.Run("NODES", func(t *testing.T) {
		f := follow(t, c.Addrs()[:3], func(c *ClusterConfig) { c.Node.Username, c.Node.Password = "blind", "p" })
		f.until("the reason", func() bool {
			return errors.Is(f.view.Reason, ErrNoCluster) && remote.KindOf(f.view.Reason) == remote.NoPerm && slices.Contains(f.view.Forbidden, "CLUSTER")
		})
	})
	t.Run("ROLE and MYID", func(t *testing.T) {
		f := follow(t, c.Addrs()[:3], func(c *ClusterConfig) { c.Node.Username, c.Node.Password = "short", "p" })
		f.use(3)
		f.until("what is forbidden is named", func() bool { return slices.Contains(f.view.Forbidden, "ROLE") })
	})
}

// TestAServerThatIsInNoClusterIsNamed.
func TestAServerThatIsInNoClusterIsNamed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	f := follow(t, []string{s.Addr()}, nil)
	f.until("the reason", func() bool { return errors.Is(f.view.Reason, ErrNotCluster) })
}

// TestAWatchEndsAllItsGoroutines, in the middle of an outage too.
func TestAWatchEndsAllItsGoroutines(t *testing.T) {
	c := redistest.StartCluster(t, calm())
	before := runtime.NumGoroutine()
	f := follow(t, c.Addrs(), nil)
	f.use(3)
	c.Nodes()[0].Pause()
	c.Nodes()[1].Kill()
	f.until("two are away", func() bool { return len(f.nodes) == 1 })
	f.stop()
	c.Nodes()[0].Resume()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before and %d now:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// TestOneNameLeadsToManyNodes: the first address may be dead.
func TestOneNameLeadsToManyNodes(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	f := followNamed(t, "cluster.invalid:6379", append([]string{nobody.Addr().String()}, c.Addrs()[:2]...))
	f.use(3)
}

// followNamed is follow with one name that leads to addresses.
func followNamed(t *testing.T, name string, leads []string) *following {
	t.Helper()
	return followBy(t, []string{name}, nil, func(d *Cluster) {
		d.lookup = func(_ context.Context, asked string) ([]string, error) {
			if asked != name {
				t.Errorf("%s is looked up", asked)
			}
			return leads, nil
		}
	})
}

// TestAnnouncedNamesAreDialled where the nodes call each other by them.
func TestAnnouncedNamesAreDialled(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"hostname": "localhost", "ip": "127.0.0.1"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, calm(), redistest.WithHostnames("localhost"), redistest.WithConfig("cluster-preferred-endpoint-type "+kind))
			f := follow(t, []string{fmt.Sprintf("localhost:%d", c.Nodes()[0].Port())}, nil)
			f.until("the masters are not used as they are announced", func() bool {
				for _, n := range f.nodes {
					if host, _, _ := net.SplitHostPort(n.Addr); host != want && n.Addr != f.d.c.Seeds[0] {
						return false
					}
				}
				return len(f.nodes) == 3
			})
		})
	}
}

func TestARedirectionTellsWhatOthersAreCalled(t *testing.T) {
	lines := []cluster.Line{{Addr: addrsOf([]string{"10.0.0.1:7000"})[0], Name: addrsOf([]string{"redis-1:7000"})[0]}}
	for text, want := range map[string]struct {
		calls cluster.Endpoint
		again bool // at once
	}{
		"MOVED 5 redis-1:7000":            {calls: cluster.EndpointName},
		"ASK 5 10.0.0.1:7000":             {calls: cluster.EndpointAddress},
		"MOVED 5 ?:7000":                  {},
		"":                                {},
		"NOPERM this user has no":         {},
		"CLUSTERDOWN The cluster is down": {again: true},
	} {
		if e := endpointOf(text, cluster.Addr{}, lines); e.calls != want.calls || e.at.IsZero() != want.again {
			t.Errorf("%q: %+v", text, e)
		}
	}
}

// TestWhoMapsAddressesKeepsThem: a map from before the nodes had names still counts.
func TestWhoMapsAddressesKeepsThem(t *testing.T) {
	lines := []cluster.Line{
		{Addr: addrsOf([]string{"10.0.0.1:7000"})[0], Name: addrsOf([]string{"redis-1:7000"})[0]},
		{Addr: addrsOf([]string{"10.0.0.2:7000"})[0]},
	}
	for _, tt := range []struct {
		mapped map[string]string
		want   bool
	}{
		{nil, false},
		{map[string]string{"redis-1:7000": "localhost:1"}, false},
		{map[string]string{"10.0.0.1:7000": "localhost:1"}, true},
		{map[string]string{"10.0.0.2:7000": "localhost:1"}, true},
		{map[string]string{"10.0.0.1:7000": "localhost:1", "redis-1:7000": "localhost:1"}, false},
		{map[string]string{"10.0.0.9:7000": "localhost:1"}, false},
	} {
		if got := mapsAddresses(tt.mapped, lines); got != tt.want {
			t.Errorf("%v: %v", tt.mapped, got)
		}
	}
	q := asker{mapped: map[string]string{"10.0.0.1:7000": "localhost:1"}}
	a := cluster.Answer{Lines: lines}
	if err := q.askEndpoint(t.Context(), &a); err != nil || a.Calls != cluster.EndpointAddress {
		t.Errorf("%v, %v", a.Calls, err)
	}
}

// TestAnnouncedAddressesOfAClusterAreMapped: the nodes announce names that nobody knows.
func TestAnnouncedAddressesOfAClusterAreMapped(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm(), redistest.WithProxies())
	broken := map[string]string{} // what is announced leads nowhere; the nodes themselves can be reached
	for _, n := range c.Nodes() {
		broken[c.Proxy(n).Addr()] = n.Addr()
	}
	f := follow(t, []string{c.Proxy(c.Nodes()[0]).Addr()}, func(cc *ClusterConfig) { cc.Map = broken })
	f.use(3)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		if c.Node(n.Addr).Addr() != n.Addr {
			t.Errorf("%s is not the address that leads there", n.Addr)
		}
	}
}
