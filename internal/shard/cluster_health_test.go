package shard

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/watch"
)

// clusterNode is the node with number n.
func clusterNode(n byte) cluster.Node {
	return cluster.Node{ID: cluster.ID{n}, Addr: cluster.Addr{Host: fmt.Sprintf("10.0.0.%d", n), Port: 6379}}
}

// threeShards is a view of three masters with a replica each, of which the second has
// no master in use.
func threeShards() *watch.ClusterView {
	v := &watch.ClusterView{
		Failovers: 1,
		Reasons:   map[uint32]error{2: watch.ErrNoAnswer},
		Troubles:  map[cluster.Addr]error{clusterNode(2).Addr: fmt.Errorf("ask: %w", io.EOF)},
		History: []cluster.Record{
			{Shard: 3, Cause: cluster.CauseAlarm, Opened: time.Unix(1, 0)},
			{
				Shard: 1, Cause: cluster.CauseFailure, From: clusterNode(4), To: clusterNode(1), Epoch: 7, Opened: time.Unix(10, 0), Suspected: time.Unix(11, 0),
				Failed: time.Unix(12, 0), Promoted: time.Unix(13, 0), Ended: time.Unix(14, 0), Blocked: 1500 * time.Millisecond,
			},
			{Shard: 2, Cause: cluster.CausePlanned, From: clusterNode(5), To: clusterNode(2), Epoch: 8, Opened: time.Unix(20, 0)},
		},
	}
	d := &v.Decision
	for i, r := range []slot.Range{{First: 0, Last: 5460}, {First: 5461, Last: 10922}, {First: 10923, Last: 16382}} {
		n := byte(i + 1)
		sh := cluster.Shard{Number: uint32(n), Master: clusterNode(n), Epoch: int64(n), Slots: slot.SetOf(r), Promotable: []cluster.Node{clusterNode(n + 3)}}
		if n == 2 {
			sh.Stage, sh.Since = cluster.Blocked, time.Unix(30, 0)
		}
		d.Shards = append(d.Shards, sh)
		d.Asks = append(d.Asks, cluster.Ask{Addr: clusterNode(n).Addr}, cluster.Ask{Addr: clusterNode(n + 3).Addr})
	}
	d.Asks = append(d.Asks, cluster.Ask{Addr: cluster.Addr{Host: "seed", Port: 6379}})
	d.Unowned.Add(16383)
	d.Moving.Add(7)
	return v
}

func TestWhatIsShownOfACluster(t *testing.T) {
	got := clusterShown(threeShards(), []string{"seed:6379"}, nil, map[uint32]bool{1: true, 3: true})
	id := func(n byte) string { return clusterNode(n).ID.String() }
	want := &health.Cluster{
		Configured: []string{"seed:6379"}, Known: 6, Reachable: 5, Owned: 16383, Unowned: 1, Moving: 1, FailoverCount: 1,
		Shards: []health.ClusterShard{
			{Number: 1, Master: "10.0.0.1:6379", NodeID: id(1), Replicas: []string{"10.0.0.4:6379"}, Slots: 5461, Ranges: "0-5460", Epoch: 1, InUse: true, Stage: "healthy"},
			{Number: 2, Master: "10.0.0.2:6379", NodeID: id(2), Replicas: []string{"10.0.0.5:6379"}, Slots: 5462, Ranges: "5461-10922", Epoch: 2, Stage: "blocked", Since: time.Unix(30, 0), Cause: watch.ErrNoAnswer, Code: "cluster-master-silent"},
			{Number: 3, Master: "10.0.0.3:6379", NodeID: id(3), Replicas: []string{"10.0.0.6:6379"}, Slots: 5460, Ranges: "10923-16382", Epoch: 3, InUse: true, Stage: "healthy"},
		},
		Unreachable: []health.ClusterNode{{Addr: "10.0.0.2:6379", Err: io.EOF, Code: "cluster-unreachable"}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateErrors()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, want := range []*health.Cluster{{Unowned: 16384}} {
		if d := cmp.Diff(want, clusterShown(nil, nil, nil, nil)); d != "" {
			t.Errorf("nothing is known (-want +got):\n%s", d)
		}
	}
}

// TestASeedIsNoNodeOfItsOwn: a name or a mapped address leads to a node that is known by
// another. A seed that nobody lists, and one that is a node's own address, count.
func TestASeedIsNoNodeOfItsOwn(t *testing.T) {
	ask := func(addrs ...string) (d cluster.Decision) {
		for _, a := range addrs {
			host, _, _ := net.SplitHostPort(a)
			d.Asks = append(d.Asks, cluster.Ask{Addr: cluster.Addr{Host: host, Port: 6379}})
		}
		return d
	}
	mapped := map[string]string{"10.0.0.1:6379": "127.0.0.1:6379"}
	seeds := []string{"seed:6379", "127.0.0.1:6379", "10.0.0.9:6379"}
	d := ask("seed:6379", "127.0.0.1:6379", "10.0.0.9:6379", "10.0.0.1:6379")
	if got := len(nodesOf(d, seeds, mapped, nil)); got != 4 {
		t.Errorf("nothing is found yet: %d nodes, want all 4 seeds", got)
	}
	d.Shards = []cluster.Shard{{Master: clusterNode(1)}}
	if got := nodesOf(d, seeds, mapped, nil); len(got) != 2 {
		t.Errorf("%v, want 10.0.0.1 and 10.0.0.9", got)
	}
	named := cluster.Node{Addr: cluster.Addr{Host: "seed", Port: 6379}}
	d.Shards = []cluster.Shard{{Master: named}}
	if got := nodesOf(d, seeds, nil, nil); !slices.Contains(got, named.Addr) {
		t.Errorf("%v lacks a seed that announces its name", got)
	}
}

func TestTheFailoversOfAClusterAreShown(t *testing.T) {
	want := []health.Failover{
		{
			At: time.Unix(13, 0), Shard: 1, From: "10.0.0.4:6379", To: "10.0.0.1:6379", Cause: "failure", Epoch: 7, Blackout: 1500 * time.Millisecond,
			SDown: time.Unix(11, 0), ODown: time.Unix(12, 0), Promoted: time.Unix(13, 0), Confirmed: time.Unix(14, 0),
		},
		{At: time.Unix(20, 0), Shard: 2, From: "10.0.0.5:6379", To: "10.0.0.2:6379", Cause: "planned", Epoch: 8},
	}
	var got []health.Failover
	for _, r := range threeShards().History[1:] {
		got = append(got, failoverOf(r))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestEveryNoteHasAFinding: what the decision notes is reported under a code of its own.
func TestEveryNoteHasAFinding(t *testing.T) {
	v := &watch.ClusterView{}
	for c := cluster.CodeUnowned; c <= cluster.CodeRival; c++ {
		v.Decision.Findings = append(v.Decision.Findings, cluster.Finding{Code: c, Node: clusterNode(2), Shard: 2, Slots: 3, First: 4, Since: time.Unix(5, 0)})
	}
	codes := map[string]bool{}
	for _, n := range clusterNotes(v) {
		if n.Code == "" || codes[n.Code] {
			t.Errorf("%+v", n)
		}
		codes[n.Code] = true
		n.Code = ""
		if d := cmp.Diff(findings.ClusterNote{Shard: 2, Node: "10.0.0.2:6379", ID: clusterNode(2).ID.String(), Slots: 3, First: 4, Since: time.Unix(5, 0)}, n); d != "" {
			t.Error(d)
		}
	}
	if len(codes) != len(noteCodes) {
		t.Errorf("%d codes, want %d", len(codes), len(noteCodes))
	}
}

func TestReasonsInAClusterAreKnown(t *testing.T) {
	auth := &remote.Error{Kind: remote.Auth, Err: errors.New("WRONGPASS")}
	for _, tt := range []struct {
		err  error
		want findings.Reason
	}{
		{fmt.Errorf("%w: %w", watch.ErrNotConnected, auth), findings.ClusterLogin},
		{fmt.Errorf("%w: %w", watch.ErrNoCluster, auth), findings.ClusterLogin},
		{&remote.Error{Kind: remote.NoPerm}, findings.ClusterRights},
		{&remote.Error{Kind: remote.TLS}, findings.ClusterTLS},
		{fmt.Errorf("dial: %w", remote.ErrWantsTLS), findings.ClusterTLS},
		{fmt.Errorf("dial: %w", remote.ErrPlain), findings.ClusterTLS},
		{&net.OpError{Op: "dial", Err: &net.DNSError{}}, findings.ClusterName},
		{fmt.Errorf("%w: n1: %w", watch.ErrNoCluster, watch.ErrNotCluster), findings.ClusterOther},
		{remote.ErrNotRedis, findings.ClusterOther},
		{remote.ErrSentinel, findings.ClusterOther},
		{remote.ErrOtherNode, findings.ClusterElsewhere},
		{watch.ErrElsewhere, findings.ClusterElsewhere},
		{watch.ErrDown, findings.ClusterDown},
		{&remote.Error{Kind: remote.ClusterDown}, findings.ClusterDown},
		{watch.ErrFailed, findings.ClusterFailover},
		{watch.ErrTakenOver, findings.ClusterFailover},
		{watch.ErrReplicaNow, findings.ClusterFailover},
		{watch.ErrNoAnswer, findings.ClusterSilent},
		{watch.ErrLongSilence, findings.ClusterSilent},
		{watch.ErrLoading, findings.ClusterRestarted},
		{&remote.Error{Kind: remote.Loading}, findings.ClusterRestarted},
		{watch.ErrNotConnected, findings.ClusterAway},
		{io.EOF, findings.ClusterAway},
	} {
		if got := NodeReason(tt.err); got != tt.want {
			t.Errorf("%v: reason %d (%s), want %d (%s)", tt.err, got, findings.ClusterCode(got), tt.want, findings.ClusterCode(tt.want))
		}
	}
	for _, tt := range []struct {
		err  error
		want findings.Reason
	}{
		{watch.ErrNoCluster, findings.ClusterNone},
		{fmt.Errorf("%w: the seeds lead to several", watch.ErrNoCluster), findings.ClusterSeveral},
		{fmt.Errorf("%w: n1: %w", watch.ErrNoCluster, io.EOF), findings.ClusterAway},
		{watch.ErrDown, findings.ClusterDown},
		{watch.ErrSilent, findings.Silent},     // of Sentinel mode
		{watch.ErrLoading, findings.Restarted}, // the same
		{auth, findings.Login},
	} {
		if got := ReasonOf(tt.err); got != tt.want {
			t.Errorf("ReasonOf(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestClocksOfMastersAreCompared(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name string
		all  []serverClock
		want *findings.ClocksDiffer
	}{
		{"none", nil, nil},
		{"one", []serverClock{{"a", 90 * ms, 91 * ms}}, nil},
		{"within what is certain", []serverClock{{"a", -100 * ms, 20 * ms}, {"b", 60 * ms, 90 * ms}}, nil},
		{"apart", []serverClock{{"a", 0, 2 * ms}, {"b", -81 * ms, -80 * ms}, {"c", 300 * ms, 310 * ms}}, &findings.ClocksDiffer{Behind: "b", Ahead: "c", By: 380 * ms}},
	} {
		if d := cmp.Diff(tt.want, clocksDiffer(tt.all)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// TestWhatAStoreShowsOfItsCluster: in Cluster mode alone, and the findings follow.
func TestWhatAStoreShowsOfItsCluster(t *testing.T) {
	st := &Store{Config: Config{Mode: health.ModeCluster, ClusterNodes: []string{"seed:6379"}}}
	if h := st.clusterHealth(); h == nil || len(h.Shards) > 0 || len(st.FailoverHistory()) > 0 {
		t.Errorf("before anything is known: %+v", h)
	}
	st.clusterView.Store(threeShards())
	h := st.clusterHealth()
	if len(h.Shards) != 3 || len(h.Failovers) > 0 || len(st.FailoverHistory()) != 2 {
		t.Errorf("%+v", h)
	}
	if sh := h.Shards[2]; sh.InUse || !errors.Is(sh.Cause, watch.ErrNotConnected) || sh.Code != "cluster-unreachable" {
		t.Errorf("a shard that is not in use yet, and the view does not say why: %+v", sh)
	}
	h.Shards = h.Shards[:2]
	h.Shards[0].InUse = true
	fs := findings.Of(findings.Input{Now: time.Unix(40, 0), Report: health.Report{Cluster: h}, Away: &findings.Away{Reason: findings.ClusterSilent, Cause: "x"}})
	var codes []string
	for _, f := range fs {
		codes = append(codes, f.Code)
	}
	if want := []string{"cluster-master-silent", "cluster-slot-uncovered"}; !slices.Equal(codes, want) {
		t.Errorf("findings %v, want %v", codes, want)
	}
	st.Config.Mode = health.ModeSentinel
	if h := st.clusterHealth(); h != nil {
		t.Errorf("in Sentinel mode: %+v", h)
	}
}
