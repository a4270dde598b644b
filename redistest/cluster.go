package redistest

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Cluster is a real Redis Cluster. Which nodes are masters, and of which slots, changes; the nodes are those it was
// started with, dead or alive.
//
// Server.Kill, Pause and Restart do to its nodes what they say. Restart(Empty) takes a node's data and leaves its
// identity: it comes back as the member that it was, as what its nodes.conf says. Replace takes both.
type Cluster struct {
	tb      testing.TB
	cluster *redisproc.Cluster
	tls     *redisproc.TLS
	nodes   []*Server
	proxies map[*Server]*Proxy
}

// SlotRange is the hash slots from First to Last, both included.
type SlotRange struct{ First, Last int }

// OneSlot is the range of one slot.
func OneSlot(slot int) SlotRange { return SlotRange{slot, slot} }

// Slot is the hash slot of a key.
func Slot(key string) int { return redisproc.Slot(key) }

// KeyIn is a key whose slot is slot; what follows the brace may be anything. It is "{tag}" + suffix.
func KeyIn(slot int, suffix string) string { return "{" + redisproc.Tag(slot) + "}" + suffix }

// StartCluster starts three masters, which share the slots equally, with one replica each, or what the options say, that
// end with the test. It returns when a failover is really possible, see WaitHealthy; this takes about two and a
// half seconds, of which two are a master's own wait before it serves anything.
//
// What a cluster takes for a failure is set by WithNodeTimeout. The default of one second is for a machine that
// is not busy.
func StartCluster(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	need(tb, redisproc.Server)
	all := collect(opts)
	o := all.clusterOptions(tb)
	byAddr := map[string]*Proxy{}
	if all.proxies {
		o.Announce = proxied(tb, byAddr)
	}
	cluster, err := redisproc.StartCluster(context.Background(), o)
	must(tb, err)
	c := &Cluster{tb: tb, cluster: cluster, tls: o.TLS, nodes: servers(tb, cluster.Nodes()), proxies: map[*Server]*Proxy{}}
	for _, n := range c.nodes {
		if p := byAddr[n.Addr()]; p != nil {
			c.proxies[n] = p
		}
	}
	tb.Cleanup(c.close)
	return c
}

func (c *Cluster) close() {
	c.tb.Helper()
	if c.tb.Failed() {
		for _, n := range c.nodes {
			showLog(c.tb, n)
		}
	}
	if err := c.cluster.Close(); err != nil {
		c.tb.Errorf("redistest: %v", err)
	}
}

// Nodes are the nodes: first those that were masters at the start, in the order of their slots, then the replicas, one of
// each master in the same order, then another one of each.
func (c *Cluster) Nodes() []*Server { return append([]*Server(nil), c.nodes...) }

// Addrs are the addresses of all nodes, as a client should be given them: with WithProxies those of the proxies.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, c.announced(n))
	}
	return addrs
}

func (c *Cluster) announced(n *Server) string {
	if p := c.proxies[n]; p != nil {
		return p.Addr()
	}
	return n.Addr()
}

// Node is the node with this address, or with a Proxy of this address. Another address ends the test.
func (c *Cluster) Node(addr string) *Server {
	c.tb.Helper()
	for _, n := range c.nodes {
		if n.Addr() == addr || c.announced(n) == addr {
			return n
		}
	}
	c.tb.Fatalf("redistest: no node has the address %q", addr)
	return nil
}

// Proxy is what stands in front of a node of a cluster that was started WithProxies.
func (c *Cluster) Proxy(node *Server) *Proxy {
	c.tb.Helper()
	p := c.proxies[node]
	if p == nil {
		c.tb.Fatalf("redistest: the cluster was not started WithProxies")
	}
	return p
}

// Masters are the nodes that own slots, in the order of their first slot.
func (c *Cluster) Masters() []*Server {
	c.tb.Helper()
	return c.servers(c.cluster.Masters(context.Background()))
}

// MasterOf is the node that owns the slot of a key, see MasterOfSlot.
func (c *Cluster) MasterOf(key string) *Server {
	c.tb.Helper()
	return c.MasterOfSlot(Slot(key))
}

// MasterOfSlot is the node that says itself that it owns the slot, and that the cluster is well; the one with the
// highest epoch, if several say so. While there is none it waits, at most 15 s.
func (c *Cluster) MasterOfSlot(slot int) *Server {
	c.tb.Helper()
	return c.WaitMaster(slot, nil, masterPatience)
}

// WaitMaster waits until another node than not, which may be nil, owns the slot, as MasterOfSlot says it.
func (c *Cluster) WaitMaster(slot int, not *Server, timeout time.Duration) *Server {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var process *redisproc.Process
	if not != nil {
		process = not.process
	}
	p, err := c.cluster.WaitMaster(ctx, slot, process)
	must(c.tb, err)
	return c.server(p)
}

// ReplicasOf are the nodes that say that they follow master, whatever that says or whether it runs.
func (c *Cluster) ReplicasOf(master *Server) []*Server {
	c.tb.Helper()
	all, err := c.cluster.Replicas(context.Background(), master.process)
	must(c.tb, err)
	return c.servers(all)
}

// WaitHealthy waits until every node answers and says cluster_state:ok, all agree on who is master of which slots and who
// follows whom, every slot has an owner, and every replica is in sync. The test fails with what is still missing.
func (c *Cluster) WaitHealthy(timeout time.Duration) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	must(c.tb, c.cluster.WaitHealthy(ctx))
}

// TLSConfig is for a client of the nodes; see Server.TLSConfig.
func (c *Cluster) TLSConfig() *tls.Config { return clientConfig(c.tls) }

// TLSFiles are the PEM files for such a client.
func (c *Cluster) TLSFiles() TLSFiles { return clientFiles(c.tls) }

func (c *Cluster) server(p *redisproc.Process) *Server {
	for _, n := range c.nodes {
		if n.process == p {
			return n
		}
	}
	return nil
}

func (c *Cluster) servers(processes []*redisproc.Process) []*Server {
	var all []*Server
	for _, p := range processes {
		all = append(all, c.server(p))
	}
	return all
}
