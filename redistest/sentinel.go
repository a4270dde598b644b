package redistest

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// masterPatience is how long Master waits: longer than a failover that goes well.
const masterPatience = 15 * time.Second

// Sentinel is a real master with real replicas, watched by real sentinels. Which node is the master
// changes; the nodes and sentinels are those it was started with, dead or alive.
type Sentinel struct {
	tb        testing.TB
	set       *redisproc.Set
	tls       *redisproc.TLS
	nodes     []*Server
	sentinels []*Server
}

// StartSentinel starts one master, two replicas and three sentinels, or what the options say, that
// end with the test. It returns when a failover is really possible, see WaitHealthy; this takes
// well under a second on an idle machine. From then on the sentinels have Sentinel's own timing,
// with 500 ms until a node counts as down.
func StartSentinel(tb testing.TB, opts ...Option) *Sentinel {
	tb.Helper()
	need(tb, redisproc.Server, redisproc.Sentinel)
	o := collect(opts).setOptions(tb)
	set, err := redisproc.StartSet(context.Background(), o)
	must(tb, err)
	s := &Sentinel{tb: tb, set: set, tls: o.TLS, nodes: servers(tb, set.Nodes()), sentinels: servers(tb, set.Sentinels())}
	tb.Cleanup(s.close)
	return s
}

func servers(tb testing.TB, processes []*redisproc.Process) []*Server {
	var all []*Server
	for _, p := range processes {
		all = append(all, &Server{tb, p})
	}
	return all
}

func (s *Sentinel) close() {
	s.tb.Helper()
	if s.tb.Failed() {
		for _, p := range append(s.Nodes(), s.sentinels...) {
			showLog(s.tb, p)
		}
	}
	if err := s.set.Close(); err != nil {
		s.tb.Errorf("redistest: %v", err)
	}
}

// Addrs are the addresses of the sentinels.
func (s *Sentinel) Addrs() []string {
	var addrs []string
	for _, p := range s.sentinels {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// MasterName is the name to ask the sentinels for.
func (s *Sentinel) MasterName() string { return s.set.MasterName() }

// Nodes are the data nodes, the first master first, wherever the master is.
func (s *Sentinel) Nodes() []*Server { return append([]*Server(nil), s.nodes...) }

// Sentinels are the sentinels.
func (s *Sentinel) Sentinels() []*Server { return append([]*Server(nil), s.sentinels...) }

// Node is the data node with this address. Another address ends the test.
func (s *Sentinel) Node(addr string) *Server {
	s.tb.Helper()
	for _, n := range s.nodes {
		if n.Addr() == addr {
			return n
		}
	}
	s.tb.Fatalf("redistest: no node has the address %q", addr)
	return nil
}

// Master is the node that a majority of all sentinels names and that says itself, by ROLE, that it
// is a master. While there is none it waits, at most 15 s. Right after a master was lost, and for
// up to a second after its successor was promoted, the sentinels still name the lost one.
func (s *Sentinel) Master() *Server {
	s.tb.Helper()
	return s.WaitMaster("", masterPatience)
}

// WaitMaster waits until there is a master, as Master says, other than the one at the address not.
// Allow for half a minute: Sentinel's election can fail, and is repeated after twice the failover
// timeout.
func (s *Sentinel) WaitMaster(not string, timeout time.Duration) *Server {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	p, err := s.set.WaitMaster(ctx, not)
	must(s.tb, err)
	return s.Node(p.Addr())
}

// WaitHealthy waits until a failover is possible: every node and sentinel answers, the replicas are
// in sync with one master, and every sentinel names that master, sees every replica linked to it,
// sees every other sentinel, and finds its quorum. The test fails with what is still missing.
//
// A master that was lost and returns becomes a replica only after about ten seconds, or five with
// SetFast.
func (s *Sentinel) WaitHealthy(timeout time.Duration) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	must(s.tb, s.set.WaitHealthy(ctx))
}

// KillMaster kills the master and returns it; see Server.Kill.
func (s *Sentinel) KillMaster() *Server {
	s.tb.Helper()
	m := s.Master()
	m.Kill()
	return m
}

// PauseMaster pauses the master and returns it; see Server.Pause.
func (s *Sentinel) PauseMaster() *Server {
	s.tb.Helper()
	m := s.Master()
	m.Pause()
	return m
}

// Failover begins a planned failover (SENTINEL FAILOVER). It does not wait for the new master:
// WaitMaster does.
func (s *Sentinel) Failover() {
	s.tb.Helper()
	must(s.tb, s.set.Failover(context.Background()))
}

// SetFast makes the sentinels that run notice changes of the topology sooner, or at their usual pace
// again; on Redis 7 and later, by SENTINEL DEBUG. It heals a set in half the time between two faults.
// Timing measured with it on is not what users will see. A restarted sentinel has its usual pace.
func (s *Sentinel) SetFast(on bool) {
	s.tb.Helper()
	must(s.tb, s.set.SetFast(context.Background(), on))
}

// TLSConfig is for a client of the nodes and sentinels; see Server.TLSConfig.
func (s *Sentinel) TLSConfig() *tls.Config { return clientConfig(s.tls) }

// TLSFiles are the PEM files for such a client.
func (s *Sentinel) TLSFiles() TLSFiles { return clientFiles(s.tls) }
