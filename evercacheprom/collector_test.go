package evercacheprom_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

type fake struct {
	health health.Report
	stats  stats.Snapshot
}

func (f fake) Health() health.Report { return f.health }
func (f fake) Stats() stats.Snapshot { return f.stats }

func counters() fake {
	h := stats.Histogram{Bounds: []float64{0.001, 0.1}, Counts: []uint64{3, 2, 1}, Sum: 1.5}
	return fake{health.Report{
		State:         health.Recovering,
		RequestedMode: health.ModeSentinel,
		Clock:         health.Clock{Known: true, Ahead: 2 * time.Second},
		OutboxEntries: 4,
		Journal:       health.Journal{Enabled: true},
		Findings: []health.Finding{
			{Code: "redis-auth", Severity: health.SeverityError, Detail: "canary"},
			{Code: "redis-auth", Severity: health.SeverityError},
			{Code: "sentinel-tilt", Severity: health.SeverityWarning},
		},
		Certificates: []health.Certificate{{Peer: "redis", Expires: time.Unix(1700, 0)}},
		Sentinel: &health.Sentinel{
			MasterName: "shop", CurrentMaster: "10.0.0.2:6379", Epoch: 3, Known: 3, Reachable: 2,
			Failovers: []health.Failover{{At: time.UnixMilli(1500), Blackout: 1200 * time.Millisecond}},
			Nodes: []health.Node{
				{Addr: "10.0.0.2:6379", Role: "master", Reachable: true},
				{Addr: "10.0.0.1:6379", Role: "master"},
				{Addr: "10.0.0.3:6379", Role: "replica", Link: "online", LagBytes: 140, Lag: time.Second},
				{Addr: "10.0.0.4:6379", Role: "replica"},
			},
			Sentinels: []health.SentinelNode{{Addr: "10.0.0.9:26379", Tilt: true}},
		},
		Cluster: manyShards(),
	}, stats.Snapshot{
		Requests: []stats.RequestCount{
			{Op: stats.OpGet, Tier: stats.TierL1, Result: stats.ResultHit, Count: 7},
			{Op: stats.OpSet, Tier: stats.TierL2, Result: stats.ResultOK, Count: 0},
		},
		Durations:        map[stats.Op]stats.Histogram{stats.OpGet: h, stats.OpSet: {}},
		L1Entries:        3,
		L1Evictions:      map[string]uint64{"capacity": 1, "expired": 0},
		Loads:            map[string]uint64{"ok": 5, "error": 0},
		LoadDurations:    h,
		RedisRequests:    map[string]map[string]uint64{"get": {"ok": 9, "error": 0}},
		RedisErrors:      map[string]uint64{"timeout": 0, "readonly": 2},
		RedisDurations:   h,
		RedisDials:       map[string]uint64{"ok": 1, "error": 0},
		StateTransitions: map[stats.Transition]uint64{{From: "degraded", To: "recovering"}: 1},
		Degraded:         90 * time.Second,
		CircuitOpened:    map[string]uint64{"errors": 0, "slow": 1},
		Replicas:         &stats.Replicas{Answered: 7, Refused: map[string]uint64{"lagging": 2, "nil": 1}},
		Sentinel: &stats.Sentinel{
			FailoversByCause: map[string]uint64{"failure": 1, "planned": 0},
			Blackouts:        h,
			Events:           map[string]uint64{"+odown": 4},
		},
	}}
}

// manyShards are two more than have metrics of their own, of which one of the last two
// is down.
func manyShards() *health.Cluster {
	h := &health.Cluster{
		Known: 132, Reachable: 131, Owned: 16380, Unowned: 4, Moving: 2, FailoverCount: 3,
		Failovers: []health.Failover{{At: time.UnixMilli(2500), Shard: 7, Blackout: 1200 * time.Millisecond}},
	}
	for i := range 66 {
		h.Shards = append(h.Shards, health.ClusterShard{
			Number: uint32(i + 1), Master: fmt.Sprintf("n%d:6379", i+1), Slots: 248, Replicas: []string{"r:6379"}, Epoch: 5, InUse: i != 65,
		})
	}
	h.Shards[1].Since = time.UnixMilli(1)
	return h
}

func TestTheFirst64ShardsHaveMetricsAndTheRestAreOne(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(evercacheprom.New(counters()))
	body := scrape(r).String()
	for _, want := range []string{
		`evercache_cluster_nodes_known 132`, `evercache_cluster_nodes_reachable 131`, `evercache_cluster_shards 66`, `evercache_cluster_failovers_total 3`,
		`evercache_cluster_failover_last_timestamp_seconds 2.5`, `evercache_cluster_failover_last_duration_seconds 1.2`,
		`evercache_cluster_slots{state="owned"} 16380`, `evercache_cluster_slots{state="unowned"} 4`, `evercache_cluster_slots{state="moving"} 2`,
		`evercache_cluster_shard_up{shard="1"} 1`, `evercache_cluster_shard_up{shard="64"} 1`, `evercache_cluster_shard_up{shard="other"} 0`,
		`evercache_cluster_shard_healthy{shard="1"} 1`, `evercache_cluster_shard_healthy{shard="2"} 0`, `evercache_cluster_shard_slots{shard="1"} 248`,
		`evercache_cluster_shard_slots{shard="other"} 496`, `evercache_cluster_shard_replicas{shard="other"} 2`,
		`evercache_cluster_shard_config_epoch{shard="1"} 5`, `evercache_cluster_shard_master_info{addr="n1:6379",shard="1"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
	if n := strings.Count(body, "evercache_cluster_shard_up{"); n != 65 {
		t.Errorf("%d shards have metrics, want 65", n)
	}
}

func TestNamesAndValues(t *testing.T) {
	c := evercacheprom.New(counters())
	for _, want := range []string{
		`# HELP evercache_cache_requests_total Callers' requests by call, by the level that answered (l1 is memory, l2 is Redis, none is neither), and by how they ended: hit, stale (a hit past its time to live), miss, ok (an acknowledged write), error, rejected (refused by policy or for its arguments).
# TYPE evercache_cache_requests_total counter
evercache_cache_requests_total{op="get",result="hit",tier="l1"} 7
evercache_cache_requests_total{op="set",result="ok",tier="l2"} 0
`,
		`# HELP evercache_redis_errors_total Failed commands and connections, by kind.
# TYPE evercache_redis_errors_total counter
evercache_redis_errors_total{kind="readonly"} 2
evercache_redis_errors_total{kind="timeout"} 0
`,
		`# HELP evercache_redis_request_duration_seconds Time of commands sent to Redis, by the role of the node.
# TYPE evercache_redis_request_duration_seconds histogram
evercache_redis_request_duration_seconds_bucket{role="master",le="0.001"} 3
evercache_redis_request_duration_seconds_bucket{role="master",le="0.1"} 5
evercache_redis_request_duration_seconds_bucket{role="master",le="+Inf"} 6
evercache_redis_request_duration_seconds_sum{role="master"} 1.5
evercache_redis_request_duration_seconds_count{role="master"} 6
`,
		`# HELP evercache_state 1 for the state the client is in, 0 for the others.
# TYPE evercache_state gauge
evercache_state{state="closed"} 0
evercache_state{state="connected"} 0
evercache_state{state="degraded"} 0
evercache_state{state="recovering"} 1
`,
		`# HELP evercache_degraded 1 while memory answers in place of Redis, the replay afterwards included.
# TYPE evercache_degraded gauge
evercache_degraded 1
`,
		`# HELP evercache_degraded_seconds_total Time during which memory answered in place of Redis.
# TYPE evercache_degraded_seconds_total counter
evercache_degraded_seconds_total 90
`,
		`# HELP evercache_state_transitions_total Changes of state, by the state before and after.
# TYPE evercache_state_transitions_total counter
evercache_state_transitions_total{from="degraded",to="recovering"} 1
`,
		`# HELP evercache_mode_info How Redis is reached and what the configuration asked for; always 1. The two differ after a fallback.
# TYPE evercache_mode_info gauge
evercache_mode_info{mode="standalone",requested_mode="sentinel"} 1
`,
		`# HELP evercache_failovers_total Failovers that have ended, by cause: failure, planned, manual.
# TYPE evercache_failovers_total counter
evercache_failovers_total{cause="failure",master_name="shop"} 1
evercache_failovers_total{cause="planned",master_name="shop"} 0
`,
		`# HELP evercache_failover_last_timestamp_seconds When the last failover was followed, in Unix seconds; 0 for none.
# TYPE evercache_failover_last_timestamp_seconds gauge
evercache_failover_last_timestamp_seconds{master_name="shop"} 1.5
`,
		`# HELP evercache_replica_link_up 1 while the master in use has the replica online; 0 also for a node that does not answer, such as the old master after a failover.
# TYPE evercache_replica_link_up gauge
evercache_replica_link_up{addr="10.0.0.1:6379",master_name="shop"} 0
evercache_replica_link_up{addr="10.0.0.3:6379",master_name="shop"} 1
evercache_replica_link_up{addr="10.0.0.4:6379",master_name="shop"} 0
`,
		`# HELP evercache_replica_lag_bytes Bytes that the replica had not yet acknowledged when the master was last asked.
# TYPE evercache_replica_lag_bytes gauge
evercache_replica_lag_bytes{addr="10.0.0.3:6379",master_name="shop"} 140
`,
		`# HELP evercache_replica_lag_seconds For how long the replica had acknowledged nothing when the master was last asked.
# TYPE evercache_replica_lag_seconds gauge
evercache_replica_lag_seconds{addr="10.0.0.3:6379",master_name="shop"} 1
`,
		`# HELP evercache_finding 1 for each finding of /health that there is now, by code and severity; absent without findings. docs/runbook-findings.md explains each code.
# TYPE evercache_finding gauge
evercache_finding{code="redis-auth",severity="error"} 1
evercache_finding{code="sentinel-tilt",severity="warning"} 1
`,
		`# HELP evercache_tls_client_certificate_expiry_timestamp_seconds When the TLS certificate that servers are shown ends, in Unix seconds, by the peer: redis, sentinel; absent without one.
# TYPE evercache_tls_client_certificate_expiry_timestamp_seconds gauge
evercache_tls_client_certificate_expiry_timestamp_seconds{peer="redis"} 1700
`,
		`# HELP evercache_sentinel_tilt 1 while the sentinel is in TILT mode and acts on nothing.
# TYPE evercache_sentinel_tilt gauge
evercache_sentinel_tilt{sentinel="10.0.0.9:26379"} 1
`,
	} {
		name := strings.Fields(want)[2]
		if err := testutil.CollectAndCompare(c, strings.NewReader(want), name); err != nil {
			t.Error(err)
		}
	}
}

func TestMemoryOnlyIsNotDegraded(t *testing.T) {
	c := evercacheprom.New(fake{health: health.Report{Mode: health.ModeMemoryOnly}})
	want := "# HELP evercache_degraded 1 while memory answers in place of Redis, the replay afterwards included.\n" +
		"# TYPE evercache_degraded gauge\nevercache_degraded 0\n"
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "evercache_degraded"); err != nil {
		t.Error(err)
	}
}

// A pedantic registry checks that what Collect sends agrees with Describe.
func TestCollectAgreesWithDescribe(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(evercacheprom.New(counters()))
	got, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	described := make(chan *prometheus.Desc, 200)
	evercacheprom.New(fake{}).Describe(described)
	if len(got) != len(described) {
		t.Errorf("%d families were collected, %d are described", len(got), len(described))
	}
}

func TestMetricsPassTheLinters(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(evercacheprom.New(counters()))
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = scrape(r)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
}

func scrape(r *prometheus.Registry) *bytes.Buffer {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body
}
