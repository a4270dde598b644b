package status_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
	"github.com/evercache/evercache/status"
)

// fake is a client in whatever condition a test needs.
type fake struct {
	health health.Report
	stats  stats.Snapshot
}

func (f fake) Health() health.Report { return f.health }
func (f fake) Stats() stats.Snapshot { return f.stats }

var since = time.Date(2026, 11, 21, 23, 25, 57, 0, time.FixedZone("CET", 3600))

func healthy() fake {
	return fake{
		health: health.Report{State: health.Connected, Since: since, Connected: true, Master: "redis:6379"},
		stats:  stats.Snapshot{Hits: 1000, Misses: 50, Sets: 500, Deletes: 20},
	}
}

func inOutage() fake {
	f := healthy()
	f.health.State, f.health.Connected = health.Degraded, false
	f.health.Cause = errors.Join(errors.New("dial redis:6379: connection refused"), errors.New("breaker is open"))
	f.health.RequestedMode = health.ModeSentinel
	f.health.OutboxEntries, f.health.OutboxBytes, f.health.OutboxOldest = 1, 321, 1500*time.Millisecond
	f.health.Findings = []health.Finding{{
		Code: "mode-fallback", Severity: health.SeverityError, Title: "Running on one server although Sentinel was asked for",
		Detail: "REDIS_SENTINELS names 2 sentinels", Fix: "name 3 or more",
	}}
	f.stats.Errors = 3
	return f
}

func afterFailover() fake {
	f := healthy()
	f.health.Mode, f.health.RequestedMode = health.ModeSentinel, health.ModeSentinel
	f.health.Master = "10.0.0.12:6379"
	f.health.Feed = health.Feed{On: true, Coherent: true, Lease: 412 * time.Millisecond, Epoch: 7, Announced: 900, Silences: 1}
	f.health.Recovery = health.Recovery{
		Unconfirmed: 12, UnconfirmedBytes: 3400, UnconfirmedOldest: 250 * time.Millisecond, Ring: 300, RingBytes: 90000,
		Uncovered: 96, Superseded: 2, Invalidated: 1, DroppedValues: 4, DroppedKeys: 5, DatasetResets: 1,
	}
	f.health.Sentinel = &health.Sentinel{
		MasterName: "mymaster", Configured: []string{"sentinel1:26379", "[fd00::1]:26379"}, CurrentMaster: "10.0.0.12:6379",
		Stage: "clear", Epoch: 7, FailoverCount: 1, Known: 3, Reachable: 2, Monitoring: 2, Agreeing: 2, Needed: 2, Quorum: 2, CanFailOver: true,
		Sentinels: []health.SentinelNode{
			{Addr: "sentinel1:26379", Reachable: true, Monitoring: true, Names: "10.0.0.12:6379", Epoch: 7},
			{Addr: "[fd00::1]:26379", Reachable: true, Monitoring: true, Names: "10.0.0.12:6379", Epoch: 7},
			{Addr: "sentinel3:26379", Err: errors.New("dial: connection refused")},
		},
		Nodes: []health.Node{
			{Addr: "10.0.0.12:6379", Role: "master", Reachable: true},
			{Addr: "10.0.0.11:6379", Role: "replica", Follows: "10.0.0.12:6379"},
			{Addr: "10.0.0.13:6379", Role: "replica", Reachable: true, Follows: "10.0.0.12:6379", Promotable: true, Link: "online", LagBytes: 140, Lag: time.Second},
		},
		Failovers: []health.Failover{{
			At: since, From: "10.0.0.11:6379", To: "10.0.0.12:6379", Cause: "failure", Epoch: 7, Blackout: 1461 * time.Millisecond, Replayed: 96,
			SDown: since.Add(-350 * time.Millisecond), ODown: since.Add(-270 * time.Millisecond), Promoted: since.Add(-40 * time.Millisecond),
		}},
	}
	return f
}

func atStart() fake {
	f := healthy()
	f.health.State, f.health.Connected, f.health.Master, f.stats = health.Degraded, false, "", stats.Snapshot{}
	f.health.Mode, f.health.RequestedMode = health.ModeSentinel, health.ModeSentinel
	f.health.Feed = health.Feed{Cause: errors.New("track: NOPERM"), Lease: -1}
	f.health.Sentinel = &health.Sentinel{MasterName: "mymaster", Configured: []string{"sentinels:26379"}, Stage: "fenced"}
	return f
}

func atStartOfACluster() fake {
	f := atStart()
	f.health.Mode, f.health.RequestedMode, f.health.Sentinel = health.ModeCluster, health.ModeCluster, nil
	f.health.Cluster = &health.Cluster{Configured: []string{"nodes:6379"}, Unowned: 16384}
	return f
}

func inACluster() fake {
	f := healthy()
	f.health.Mode, f.health.RequestedMode = health.ModeCluster, health.ModeCluster
	f.health.State, f.health.Connected, f.health.Master = health.Degraded, false, "10.0.0.1:6379"
	f.health.Cause = errors.New("the master does not answer")
	f.health.Feed = health.Feed{On: true, Lease: 412 * time.Millisecond, Epoch: 7, Idle: true}
	f.health.Cluster = &health.Cluster{
		Configured: []string{"node-1:6379", "[fd00::1]:6379"}, Known: 4, Reachable: 3, Owned: 16383, Unowned: 1, Moving: 2, FailoverCount: 1,
		Shards: []health.ClusterShard{
			{Number: 1, Master: "10.0.0.1:6379", NodeID: "07c37dfeb235213a872192d90877d0cd55635b91", Replicas: []string{"10.0.0.4:6379"}, Slots: 8192, Ranges: "0-8191", Epoch: 7, InUse: true, Stage: "healthy"},
			{Number: 2, Master: "10.0.0.2:6379", NodeID: "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1", Slots: 8191, Ranges: "8192-16382", Epoch: 2, Stage: "blocked", Since: since, Cause: errors.New("the master does not answer")},
		},
		Failovers: []health.Failover{{
			At: since, Shard: 1, From: "10.0.0.4:6379", To: "10.0.0.1:6379", Cause: "failure", Epoch: 7, Blackout: 1461 * time.Millisecond, Replayed: 96,
			SDown: since.Add(-350 * time.Millisecond), ODown: since.Add(-270 * time.Millisecond), Promoted: since.Add(-40 * time.Millisecond),
		}},
		Unreachable: []health.ClusterNode{{Addr: "10.0.0.2:6379", Err: errors.New("dial: connection refused")}},
	}
	return f
}

func get(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	return w
}

// The files in testdata are the contract with existing monitors: their names,
// their order and their types must not change, only more may be added.
func TestHealthKeepsItsShape(t *testing.T) {
	for _, tc := range []struct {
		file, word string
		source     fake
	}{
		{"up.json", "up", healthy()},
		{"degraded.json", "degraded", inOutage()},
		{"sentinel.json", "up", afterFailover()},
		{"sentinel_start.json", "degraded", atStart()},
		{"cluster.json", "degraded", inACluster()},
		{"cluster_start.json", "degraded", atStartOfACluster()},
	} {
		t.Run(tc.file, func(t *testing.T) {
			w := get(t, status.New(tc.source).Health(), "GET", "/health")
			want, err := os.ReadFile(filepath.Join("testdata", tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), indent(t, w.Body.Bytes())); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			if got := w.Header().Get("Evercache-Status"); got != tc.word {
				t.Errorf("Evercache-Status = %q, want %q", got, tc.word)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", got)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type = %q", got)
			}
		})
	}
}

func TestHealthHasTheBlockOfItsModeOnly(t *testing.T) {
	for _, tc := range []struct {
		source            fake
		sentinel, cluster bool
	}{{healthy(), false, false}, {afterFailover(), true, false}, {inACluster(), false, true}} {
		body := get(t, status.New(tc.source).Health(), "GET", "/health").Body.String()
		if strings.Contains(body, `"sentinel":{`) != tc.sentinel || strings.Contains(body, `"cluster":{`) != tc.cluster || strings.Contains(body, `"shard":`) != tc.cluster {
			t.Errorf("body = %s", body)
		}
	}
}

// TestOfManyShardsThoseInTroubleAreShown: the answer has a bound.
func TestOfManyShardsThoseInTroubleAreShown(t *testing.T) {
	f := inACluster()
	f.health.Cluster.Shards = nil
	for i := range 1000 {
		f.health.Cluster.Shards = append(f.health.Cluster.Shards, health.ClusterShard{Number: uint32(i + 1), InUse: i != 900, Stage: "healthy"})
	}
	f.health.Cluster.Shards[950].Since = since
	var body struct {
		Redis struct {
			Cluster struct {
				ShardCount int
				Shards     []struct{ Number int }
			}
		}
	}
	if err := json.Unmarshal(get(t, status.New(f).Health(), "GET", "/health").Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	c := body.Redis.Cluster
	if n := len(c.Shards); c.ShardCount != 1000 || n != 64 || c.Shards[0].Number != 1 || c.Shards[n-2].Number != 901 || c.Shards[n-1].Number != 951 {
		t.Errorf("of %d: %v", c.ShardCount, c.Shards)
	}
}

func TestHealthWordsAndCodes(t *testing.T) {
	with := func(change func(*health.Report)) fake {
		f := healthy()
		change(&f.health)
		return f
	}
	for _, tc := range []struct {
		name         string
		source       fake
		draining     bool
		word         string
		message      string
		code, strict int
	}{
		{"connected", healthy(), false, "up", "Redis is healthy (Standalone mode)", 200, 200},
		{"sentinel", with(func(h *health.Report) { h.Mode = health.ModeSentinel }), false, "up", "Redis is healthy (Sentinel mode)", 200, 200},
		{"cluster", with(func(h *health.Report) { h.Mode = health.ModeCluster }), false, "up", "Redis is healthy (Cluster mode)", 200, 200},
		{"degraded", with(func(h *health.Report) { h.State, h.Connected = health.Degraded, false }), false, "degraded", "Redis is unavailable, memory answers (Standalone mode)", 200, 503},
		{"a shard is away", with(func(h *health.Report) {
			h.State, h.Connected, h.Mode, h.OutboxEntries = health.Degraded, false, health.ModeCluster, 1
			h.Cluster = &health.Cluster{Shards: []health.ClusterShard{{InUse: true}, {}, {InUse: true}}}
		}), false, "degraded", "The masters of 1 of 3 shards are unavailable, memory answers and keeps 1 write for it (Cluster mode)", 200, 503},
		{"all shards are away", with(func(h *health.Report) {
			h.State, h.Connected, h.Mode = health.Degraded, false, health.ModeCluster
			h.Cluster = &health.Cluster{Shards: []health.ClusterShard{{}, {}}}
		}), false, "degraded", "Redis is unavailable, memory answers (Cluster mode)", 200, 503},
		{"recovering", with(func(h *health.Report) { h.State, h.OutboxEntries = health.Recovering, 12 }), false, "degraded", "Redis answers, still to be sent to it: 12 writes (Standalone mode)", 200, 503},
		{"memory only", with(func(h *health.Report) { h.State, h.Mode = health.Degraded, health.ModeMemoryOnly }), false, "up", "Memory answers; no Redis is used (Memory mode)", 200, 200},
		{"draining", healthy(), true, "down", "Shutting down (Standalone mode)", 503, 503},
		{"closed", with(func(h *health.Report) { h.State = health.Closed }), false, "down", "The client is closed (Standalone mode)", 503, 503},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := status.New(tc.source)
			if tc.draining {
				s.SetDraining()
			}
			w := get(t, s.Health(), "GET", "/health")
			if w.Code != tc.code {
				t.Errorf("code = %d, want %d", w.Code, tc.code)
			}
			if c := get(t, s.Health(), "GET", "/health?strict=1").Code; c != tc.strict {
				t.Errorf("code with strict=1 = %d, want %d", c, tc.strict)
			}
			if c := get(t, s.Health(), "GET", "/health?strict=0").Code; c != tc.code {
				t.Errorf("code with strict=0 = %d, want %d", c, tc.code)
			}
			var body struct {
				Status string
				Redis  struct{ Status, Message string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if body.Status != tc.word || body.Redis.Status != tc.word {
				t.Errorf("status = %q, redis.status = %q, want %q", body.Status, body.Redis.Status, tc.word)
			}
			if body.Redis.Message != tc.message {
				t.Errorf("message = %q, want %q", body.Redis.Message, tc.message)
			}
		})
	}
}

func TestHitRateHasFourDecimals(t *testing.T) {
	for _, tc := range []struct {
		hits, misses uint64
		want         string
	}{
		{0, 0, "0"}, {1, 0, "1"}, {0, 7, "0"}, {1, 1, "0.5"}, {2, 1, "0.6667"}, {1000, 50, "0.9524"},
	} {
		f := healthy()
		f.stats.Hits, f.stats.Misses = tc.hits, tc.misses
		body := get(t, status.New(f).Health(), "GET", "/health").Body.String()
		if !strings.Contains(body, `"hitRate":`+tc.want+`,`) {
			t.Errorf("%d hits, %d misses: want hitRate %s in %s", tc.hits, tc.misses, tc.want, body)
		}
	}
}

// indent keeps the order of the fields, unlike a trip through a map.
func indent(t *testing.T, b []byte) string {
	t.Helper()
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(json.RawMessage(b)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
