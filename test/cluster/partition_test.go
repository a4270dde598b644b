//go:build netns

package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// These tests need root, ip(8) and network namespaces; `make test-net` runs them.

const (
	mastersInNetwork = 3
	itsReplica       = mastersInNetwork     // the host of the first master's
	farClient        = 2 * mastersInNetwork // the host of the worker
)

// inNetwork prepares a drill in which the first master and the first client are on the
// near side of a network: the other masters, all replicas and the second client are far.
func inNetwork(t *testing.T, nodeTimeout time.Duration) (*testkit.Network, func(*drill)) {
	t.Helper()
	n := testkit.NewNetwork(t)
	for i := range farClient + 1 {
		n.AddHost(i == 0)
	}
	var addrs []string
	for i := range farClient {
		n.StartClusterNode(i, nodeTimeout)
		addrs = append(addrs, n.Hosts[i]+":6379")
	}
	n.FormCluster(mastersInNetwork)
	return n, func(d *drill) {
		d.access = func(o *evercache.Options) { o.ClusterNodes = addrs }
		d.where = func() [allSlots]chaos.Node { return ownersIn(n) }
		d.worker = testkit.StartWorker(t, d.log, "TestClusterWorker", n.Within(farClient), "REDIS_CLUSTER_NODES="+strings.Join(addrs, ","))
		d.traffic.Writers = allWriters / 2
		d.until("the far client does not connect", elsewhere{d.worker}.settled)
	}
}

// ownersIn are the masters by slot, as they say themselves.
func ownersIn(n *testkit.Network) [allSlots]chaos.Node {
	var nodes []chaos.Node
	said := map[string]string{}
	for i := range farClient {
		addr := n.Hosts[i] + ":6379"
		nodes = append(nodes, chaos.Node{Addr: addr})
		said[addr] = n.Ask(i, "6379", "CLUSTER", "NODES")
	}
	return owners(nodes, func(c chaos.Node) (int64, []redistest.SlotRange) { return ownOf(said[c.Addr]) })
}

// TestClusterWorker is the second client of a drill that has started it, and else nothing.
func TestClusterWorker(t *testing.T) {
	testkit.ServeWorker(t, func(c *evercache.Client) chaos.Party { return newParty(t, c, nil) },
		testkit.Questions{"settled": settled, "calm": calm})
}

// TestPartitionAMasterIsCutOffWithAClient: both go on with each other for the node timeout.
// What the master takes then is lost there, for its replica takes over on the far side.
func TestPartitionAMasterIsCutOffWithAClient(t *testing.T) {
	repeated(t, func(t *testing.T) {
		n, prepare := inNetwork(t, 3*time.Second)
		d := begin(t, nil, 1, prepare)
		d.rules.LongestWrite = 700 * time.Millisecond // many are taken back from the old master at once
		cut, healed := d.separate(n, func() {
			d.until("the replica does not take over", func() bool {
				_, slots := ownOf(n.AskThere(itsReplica, "6379", "CLUSTER", "NODES"))
				return len(slots) > 0
			})
			time.Sleep(2 * time.Second) // both sides go on
		})
		d.end()
		d.wentOn(cut, healed)
		d.nothingCoherent(cut+time.Second.Nanoseconds(), healed)
	})
}

// separate cuts the near side off until something has been waited for.
func (d *drill) separate(n *testkit.Network, wait func()) (cut, healed int64) {
	d.Helper()
	d.note("near and far are separated")
	d.apart.Store(true) // what it goes on to write at the near master nobody else can see
	n.CutLink()
	cut = d.trace.Now()
	wait()
	healed = d.trace.Now()
	d.note("and joined again")
	n.Heal()
	d.until("the first client does not settle", func() bool { return settled(d.clients[0]) })
	d.apart.Store(false)
	time.Sleep(time.Second)
	return cut, healed
}

// wentOn checks that both sides had a master for a while, each its own of the same slots:
// else there was nothing to lose.
func (d *drill) wentOn(cut, healed int64) {
	d.Helper()
	var near, far, reads int
	for _, e := range d.trace.Events() {
		switch {
		case e.Start < cut || e.Start >= healed:
		case e.Act == chaos.Look && e.Proc == 0:
			reads++
		case e.Act == chaos.Look || e.Outcome < chaos.AtMaster || e.Outcome > chaos.AtReplicas || redistest.Slot(d.name(e.Key)) >= allSlots/mastersInNetwork:
		case e.Proc == 0:
			near++
		default:
			far++
		}
	}
	d.Logf("separated for %v: the first master's keys were written %d times near and %d times far; %d reads near", time.Duration(healed-cut).Round(time.Millisecond), near, far, reads)
	if near == 0 || far == 0 || reads == 0 {
		d.Error("one side did not go on")
	}
}

// nothingCoherent checks that the first client called nothing coherent in that time.
func (d *drill) nothingCoherent(from, to int64) {
	d.Helper()
	var wrong []chaos.Event
	for _, e := range d.trace.Events() {
		if e.Proc == 0 && e.Act == chaos.Look && e.Coherent && e.Start >= from && e.Start < to {
			wrong = append(wrong, e)
		}
	}
	if len(wrong) > 0 {
		d.Errorf("%d answers were called coherent though nobody else could be heard for a second, the first:\n%v\nthe last:\n%v", len(wrong), wrong[0], wrong[len(wrong)-1])
	}
}
