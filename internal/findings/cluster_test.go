package findings

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
)

// wellCluster is three shards in use.
func wellCluster() *health.Cluster {
	h := &health.Cluster{Configured: []string{"n1:6379", "n2:6379"}, Known: 6, Reachable: 6, Owned: 16384, Confirmed: true}
	for i, slots := range []int{5461, 5462, 5461} {
		h.Shards = append(h.Shards, health.ClusterShard{
			Number: uint32(i + 1), Master: fmt.Sprintf("10.0.0.%d:6379", i+1), Replicas: []string{fmt.Sprintf("10.0.0.%d:6379", i+4)},
			Slots: slots, InUse: true, Stage: "healthy",
		})
	}
	return h
}

// noted are notes of every code that has them.
func noted() (all []ClusterNote) {
	since := now.Add(-12 * time.Second)
	for _, n := range []ClusterNote{
		{Code: health.CodeClusterSlotUncovered, Slots: 5461, First: 10923},
		{Code: health.CodeClusterSlotMoving, Slots: 1, First: 7785},
		{Code: health.CodeClusterDown, Node: "10.0.0.3:6379", Shard: 3},
		{Code: health.CodeClusterNoReplica, Node: "10.0.0.1:6379", Shard: 1},
		{Code: health.CodeClusterNodesDisagree, Node: "10.0.0.6:6379"},
		{Code: health.CodeClusterStranger, Node: "10.0.0.2:6379", Shard: 2},
		{Code: health.CodeClusterReplaced},
		{Code: health.CodeClusterRival, Node: "10.0.0.9:6379", ID: "07c37dfeb235213a872192d90877d0cd55635b91", Slots: 3},
	} {
		n.Since = since
		all = append(all, n)
	}
	return append(all, ClusterNote{Code: health.CodeClusterTwoClusters})
}

// troubledClusters have a finding of each code between them.
func troubledClusters() (all []Input) {
	all = append(all, Input{Now: now, Report: health.Report{Cluster: &health.Cluster{}}, Away: &Away{Reason: ClusterNone, Cause: "none"}})
	for _, k := range clusterKinds {
		if k.reason == Unreachable {
			continue
		}
		some := wellCluster()
		some.Shards[0].InUse, some.Shards[0].Code, some.Shards[0].Cause = false, k.finding.Code, io.EOF
		none := &health.Cluster{Unreachable: []health.ClusterNode{{Addr: "n1:6379", Code: k.finding.Code, Err: io.EOF}}}
		all = append(all, Input{Now: now, Report: health.Report{Cluster: some}}, Input{Now: now, Report: health.Report{Cluster: none}})
	}
	h := wellCluster()
	h.Forbidden = []string{"WAIT"}
	return append(all, Input{Now: now, Report: health.Report{Cluster: h}, Cluster: Cluster{
		Notes: noted(), Clocks: &ClocksDiffer{Behind: "10.0.0.1:6379", Ahead: "10.0.0.2:6379", By: 80 * time.Millisecond},
	}})
}

func TestClusterFindings(t *testing.T) {
	fail := func(code, cause string, places ...int) func(*health.Cluster, *Input) {
		return func(h *health.Cluster, in *Input) {
			for _, i := range places {
				sh := &h.Shards[i]
				sh.InUse, sh.Code, sh.Cause = false, code, errors.New(cause)
			}
			in.Away = &Away{Reason: Unreachable, Cause: "refused"}
		}
	}
	away := func(code, cause string, addrs ...string) func(*health.Cluster, *Input) {
		return func(h *health.Cluster, _ *Input) {
			for _, a := range addrs {
				h.Unreachable = append(h.Unreachable, health.ClusterNode{Addr: a, Code: code, Err: errors.New(cause)})
			}
		}
	}
	found := func(change func(*health.Cluster, *Input)) func(*health.Cluster, *Input) {
		return func(h *health.Cluster, in *Input) {
			h.Shards, h.Owned, h.Unowned = nil, 0, 16384
			in.Away = &Away{Cause: "none yet"}
			change(h, in)
		}
	}
	note := func(n ClusterNote) func(*health.Cluster, *Input) {
		return func(_ *health.Cluster, in *Input) { in.Cluster.Notes = append(in.Cluster.Notes, n) }
	}
	nothing := func(*health.Cluster, *Input) {}
	since := now.Add(-12 * time.Second)
	for _, tt := range []struct {
		name     string
		spoil    func(*health.Cluster, *Input)
		code     string
		severity health.Severity
		says     []string
	}{
		{"all well", nothing, "", "", nil},
		{"a master is silent", fail(health.CodeClusterMasterSilent, "it does not answer", 1), "cluster-master-silent", "error", []string{"shard 2 (master 10.0.0.2:6379, 5462 slots): it does not answer", "TAKEOVER"}},
		{"a failover", fail(health.CodeClusterFailover, "a replica takes over", 0), "cluster-failover", "warning", []string{"shard 1 (", "Nothing to do"}},
		{"the others refuse everything", fail(health.CodeClusterDown, "down", 0, 2), "cluster-down", "error", []string{"shard 1 (", "shard 3 (", "require-full-coverage"}},
		{"a master loads", fail(health.CodeClusterMasterLoading, "loading", 0), "cluster-master-loading", "warning", []string{"loading_eta_seconds"}},
		{"another node is at a master's address", fail(health.CodeClusterStranger, "another node", 0), "cluster-stranger", "error", []string{"CLUSTER MYID"}},
		{"a master refuses the login", fail(health.CodeClusterAuth, "WRONGPASS", 2), "cluster-auth", "error", []string{"WRONGPASS", "REDIS_PASSWORD"}},
		{"a replica is gone", away(health.CodeClusterUnreachable, "refused", "10.0.0.4:6379"), "cluster-unreachable", "warning", []string{"10.0.0.4:6379: refused", "REDIS_ADDRESS_MAP"}},
		{"no node answers", found(away(health.CodeClusterUnreachable, "refused", "n1:6379", "n2:6379")), "cluster-unreachable", "error", []string{"No node of the Cluster answers", "n1:6379: refused; n2:6379: refused", "REDIS_CLUSTER_NODES"}},
		{"names lead nowhere", found(away(health.CodeClusterUnresolved, "no such host", "n1:6379")), "cluster-unresolved", "error", []string{"no such host", "getent"}},
		{"the login is wrong", found(away(health.CodeClusterAuth, "WRONGPASS", "n1:6379")), "cluster-auth", "error", []string{"REDIS_USERNAME"}},
		{"CLUSTER NODES is forbidden", found(away(health.CodeClusterNoPerm, "NOPERM", "n1:6379")), "cluster-noperm", "error", []string{"+cluster|nodes"}},
		{"TLS", found(away(health.CodeClusterTLS, "EOF", "n1:6379")), "cluster-tls", "error", []string{"REDIS_TLS"}},
		{"not in cluster mode", found(away(health.CodeClusterNotCluster, "disabled", "n1:6379")), "cluster-not-cluster", "error", []string{"REDIS_HOST", "REDIS_SENTINELS"}},
		{"nothing is known", found(nothing), "cluster-not-found", "error", []string{"cluster_slots_assigned"}},
		{"two Clusters", found(note(ClusterNote{Code: health.CodeClusterTwoClusters})), "cluster-two-clusters", "error", []string{"n1:6379; n2:6379"}},
		{"no owner", note(ClusterNote{Code: health.CodeClusterSlotUncovered, Slots: 5461, First: 10923, Since: since}), "cluster-slot-uncovered", "error", []string{"5461 slots, the lowest is 10923 for 12s", "--cluster fix"}},
		{"no owner, and that is why", func(h *health.Cluster, in *Input) { h.Unowned, in.Away = 3, &Away{} }, "cluster-slot-uncovered", "error", []string{"without an owner: 3"}},
		{"a reshard was left", note(ClusterNote{Code: health.CodeClusterSlotMoving, Slots: 1, First: 7785, Since: since}), "cluster-slot-moving", "warning", []string{"1 slot, the lowest is 7785 for 12s", "redis-cli --cluster fix"}},
		{"a node's own opinion", note(ClusterNote{Code: health.CodeClusterDown, Node: "10.0.0.3:6379", Shard: 3, Since: since}), "cluster-down", "error", []string{"10.0.0.3:6379 of shard 3"}},
		{"no replica", note(ClusterNote{Code: health.CodeClusterNoReplica, Node: "10.0.0.1:6379", Shard: 1, Since: since}), "cluster-no-replica", "error", []string{"shard 1 (master 10.0.0.1:6379", "add-node"}},
		{"a node disagrees", note(ClusterNote{Code: health.CodeClusterNodesDisagree, Node: "10.0.0.6:6379", Since: since}), "cluster-nodes-disagree", "warning", []string{"10.0.0.6:6379", "--cluster check"}},
		{"another Cluster", note(ClusterNote{Code: health.CodeClusterReplaced, Since: since}), "cluster-replaced", "warning", []string{"at 2027-01-15T07:59:48Z"}},
		{"a rival", note(ClusterNote{Code: health.CodeClusterRival, Node: "10.0.0.9:6379", ID: "07c3", Since: since}), "cluster-rival", "error", []string{"10.0.0.9:6379 node id 07c3", "CLUSTER RESET"}},
		{"clocks", func(_ *health.Cluster, in *Input) {
			in.Cluster.Clocks = &ClocksDiffer{Behind: "a:1", Ahead: "b:1", By: 80 * time.Millisecond}
		}, "cluster-clocks-differ", "warning", []string{"the clock of a:1 is at least 80ms behind that of b:1", "NTP"}},
		{"the ACL forbids WAIT", func(h *health.Cluster, _ *Input) { h.Forbidden = []string{"WAIT"} }, "cluster-unproven", "warning", []string{"missing: WAIT"}},
		{"a finding that explains nothing", func(h *health.Cluster, in *Input) {
			in.Away = &Away{Reason: TimedOut, Cause: "timeout"}
		}, "redis-timeout", "error", []string{"timeout"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := wellCluster()
			in := Input{Now: now}
			tt.spoil(h, &in)
			in.Report.Cluster = h
			fs := Of(in)
			if tt.code == "" {
				if len(fs) > 0 {
					t.Fatalf("findings %+v", fs)
				}
				return
			}
			if len(fs) != 1 || fs[0].Code != tt.code || fs[0].Severity != tt.severity {
				t.Fatalf("findings %+v, want %s (%s)", fs, tt.code, tt.severity)
			}
			wantWhole(t, fs[0])
			for _, want := range tt.says {
				if text := fs[0].Title + "\n" + fs[0].Detail + "\n" + fs[0].Fix; !strings.Contains(text, want) {
					t.Errorf("%q is missing in:\n%s", want, text)
				}
			}
		})
	}
}

// TestAFindingNamesManyShardsWithinABound: a Cluster can have a thousand.
func TestAFindingNamesManyShardsWithinABound(t *testing.T) {
	h := &health.Cluster{}
	for i := range 1000 {
		h.Shards = append(h.Shards, health.ClusterShard{Number: uint32(i), Master: fmt.Sprintf("n%d:6379", i), Code: health.CodeClusterDown, Cause: io.EOF})
	}
	fs := Of(Input{Now: now, Report: health.Report{Cluster: h}})
	if len(fs) != 1 || !strings.HasSuffix(fs[0].Detail, "; and 992 more") || strings.Count(fs[0].Detail, "shard ") != mostTexts {
		t.Errorf("%+v", fs)
	}
}

// TestWhatAShardAndItsNodeFailAtIsToldOnce: the master that is away is a node too.
func TestWhatAShardAndItsNodeFailAtIsToldOnce(t *testing.T) {
	h := wellCluster()
	h.Shards[0].InUse, h.Shards[0].Code, h.Shards[0].Cause = false, health.CodeClusterDown, io.EOF
	in := Input{Now: now, Report: health.Report{Cluster: h}, Cluster: Cluster{Notes: []ClusterNote{
		{Code: health.CodeClusterDown, Node: h.Shards[0].Master, Shard: 1}, {Code: health.CodeClusterDown, Node: "10.0.0.4:6379"},
	}}}
	fs := Of(in)
	if len(fs) != 1 || strings.Count(fs[0].Detail, "10.0.0.1:6379") != 1 || !strings.Contains(fs[0].Detail, "10.0.0.4:6379") {
		t.Errorf("%+v", fs)
	}
}

// TestAMasterThatIsAwayIsNoUnreachableNodeToo: one thing is told once.
func TestAMasterThatIsAwayIsNoUnreachableNodeToo(t *testing.T) {
	h := wellCluster()
	h.Shards[0].InUse, h.Shards[0].Code, h.Shards[0].Cause = false, health.CodeClusterMasterSilent, io.EOF
	h.Unreachable = []health.ClusterNode{{Addr: h.Shards[0].Master, Code: health.CodeClusterUnreachable, Err: io.EOF}}
	if fs := Of(Input{Now: now, Report: health.Report{Cluster: h}}); len(fs) != 1 || fs[0].Code != health.CodeClusterMasterSilent {
		t.Errorf("%+v", fs)
	}
}

// TestEachReasonOfAClusterHasACode, and no other reason has one.
func TestEachReasonOfAClusterHasACode(t *testing.T) {
	var codes []string
	for r := range reasonCount {
		code := ClusterCode(r)
		if is := r >= ClusterAway; is != (code != "") {
			t.Errorf("reason %d has the code %q", r, code)
		}
		if code != "" {
			codes = append(codes, code)
		}
	}
	if slices.Sort(codes); len(codes) != len(slices.Compact(codes)) {
		t.Errorf("codes %v", codes)
	}
}
