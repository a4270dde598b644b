package cluster

import (
	"testing"
	"time"
)

// stranger is a node of another Cluster that has taken an address, with all slots
// under a high epoch.
func (w *world) stranger(at string) *peer {
	o := newCluster(w.t, "o", 1, 0).nodes[0]
	o.addr = w.node(at).addr
	o.line.Addr, o.line.Epoch, o.current = o.addr, 900, 900
	w.nodes = append(w.nodes, o)
	return o
}

func TestAnotherClusterAtADeadMastersAddressIsNotFollowed(t *testing.T) {
	for _, masters := range []int{1, 2, 3} {
		w := newWorld(t, masters, 1)
		w.node("n0").up = false
		w.hear("n0")
		w.stranger("n0")
		for range 20 {
			w.hear("o0", "n1", "o0")
			w.wantSlot("n0", 0)
			w.wantStage(0, Blocked, TroubleElsewhere)
			w.now = w.now.Add(time.Second)
		}
		if masters > 1 && !w.finding(CodeStranger) {
			t.Errorf("there is no finding: %+v", w.d.Findings)
		}
		if masters > 1 && w.shard(4).Trouble == TroubleElection {
			t.Error("its epoch is taken for an election of ours")
		}
	}
}

// TestSilenceIsNoProofThatOurClusterIsGone: nobody of ours answers, and one seed of
// three leads to another Cluster.
func TestSilenceIsNoProofThatOurClusterIsGone(t *testing.T) {
	w := newWorld(t, 3, 1)
	for _, n := range w.nodes {
		n.up = false
	}
	w.hearAll()
	w.stranger("n0")
	for range 100 {
		w.hear("o0", "n1", "n2")
		w.now = w.now.Add(time.Second)
	}
	w.wantSlot("n0", 0)
	w.wantSlot("n1", 4)
}

func TestANodeIsKnownByItsIDAtAnotherAddressToo(t *testing.T) {
	w := newWorld(t, 3, 1)
	n := w.node("n0")
	before := w.shard(0)
	w.hear("n1")
	n.up = false
	w.hear("n0")
	n.up, n.addr.Port = true, 7777
	n.line.Addr = n.addr
	w.gossipAll()
	w.hear("n1")
	asked := false
	for _, a := range w.d.Asks {
		asked = asked || a.Addr == n.addr
	}
	if !asked {
		t.Fatalf("the new address is not asked: %v", w.d.Asks)
	}
	w.hear("n0")
	if after := w.shard(0); after.Number != before.Number || after.Master.Addr != n.addr || !after.Writes() {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestAClaimantHasToBeListed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(w *world, n *peer)
		want    string
	}{
		{"by nobody", func(*world, *peer) {}, "n0"},
		{"by the owner", func(w *world, n *peer) { gossip(n, w.node("n0")) }, "n6"},
		{"by one of three others", func(w *world, n *peer) { gossip(n, w.node("n1")) }, "n0"},
		{"by two masters of three", func(w *world, n *peer) { gossip(n, w.node("n1")); gossip(n, w.node("n2")) }, "n6"},
		{"by replicas", func(w *world, n *peer) { gossip(n, w.node("n3")); gossip(n, w.node("n4")); gossip(n, w.node("n5")) }, "n0"},
		{"in a handshake", func(w *world, n *peer) { w.listAs(n, FlagMaster|FlagHandshake) }, "n0"},
		{"without an address", func(w *world, n *peer) { w.listAs(n, FlagMaster|FlagNoAddr) }, "n0"},
		{"under a higher epoch than its own", func(w *world, n *peer) {
			w.listAs(n, FlagMaster)
			n.line.Epoch--
		}, "n0"},
	} {
		w := newWorld(t, 3, 1)
		n := w.add("n", 6)
		n.slots.Add(0)
		n.line.Epoch, n.current = 50, 50
		tt.prepare(w, n)
		n.slots.Add(0)
		// The masters still own what they did: only the claimant's word is new.
		w.node("n0").slots.Add(0)
		w.hear("n0", "n1", "n2", "n3", "n4", "n5", "n6", "n6")
		if sh := w.shard(0); w.nameOf(sh.Master.ID) != tt.want {
			t.Errorf("listed %s: slot 0 is %s's", tt.name, w.nameOf(sh.Master.ID))
		}
	}
}

// listAs puts a node into every master's table.
func (w *world) listAs(n *peer, flags Flags) {
	for _, name := range []string{"n0", "n1", "n2"} {
		l := n.line
		l.Flags = flags
		w.node(name).table[n.id] = known{line: l}
	}
}
