package cluster_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/status"
)

// openWith opens a client of the Cluster that seeds lead to.
func openWith(t *testing.T, o evercache.Options) *evercache.Client {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	c, err := evercache.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// waitReport waits until the report is as it should be.
func waitReport(t *testing.T, c *evercache.Client, what string, ok func(health.Report) bool) health.Report {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		r := c.Health()
		if ok(r) {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", what, answer(t, c))
		}
	}
}

// waitFinding waits for a finding, and checks that an operator is told what to do.
func waitFinding(t *testing.T, c *evercache.Client, code string) health.Finding {
	t.Helper()
	var found health.Finding
	waitReport(t, c, "no finding "+code, func(r health.Report) bool {
		for _, f := range r.Findings {
			if f.Code == code {
				found = f
				return true
			}
		}
		return false
	})
	if found.Title == "" || found.Detail == "" || found.Fix == "" {
		t.Errorf("incomplete: %+v", found)
	}
	return found
}

// answer is the body of /health.
func answer(t *testing.T, c *evercache.Client) string {
	w := httptest.NewRecorder()
	status.New(c).Health().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/health", nil))
	return w.Body.String()
}

func whole(r health.Report) bool {
	return r.Connected && r.State == health.Connected && r.Cluster.Confirmed && r.Cluster.Owned == 16384
}

// TestHealthTellsOfAClusterAndItsFailover follows one shard through the death of its
// master.
func TestHealthTellsOfAClusterAndItsFailover(t *testing.T) {
	t.Parallel()
	set := redistest.StartCluster(t, redistest.WithNodeTimeout(2*time.Second))
	failed := make(chan health.Failover, 16)
	c := openWith(t, evercache.Options{ClusterNodes: set.Addrs()[:2], Events: evercache.Events{Failover: func(f health.Failover) { failed <- f }}})
	r := waitReport(t, c, "the Cluster is not found whole", func(r health.Report) bool { return whole(r) && r.Cluster.Reachable == 6 })
	if r.Mode != health.ModeCluster || r.Sentinel != nil || len(r.Findings) > 0 || len(r.Cluster.Shards) != 3 || r.Cluster.Known != 6 {
		t.Errorf("a healthy Cluster: %s", answer(t, c))
	}
	old := set.MasterOfSlot(0)
	number := shardOf(t, r, old.Addr())
	for _, sh := range r.Cluster.Shards {
		if !sh.InUse || len(sh.Replicas) != 1 || sh.Slots < 5461 || sh.Stage != "healthy" {
			t.Errorf("shard %+v", sh)
		}
	}

	old.Kill()
	r = waitReport(t, c, "the dead master is not told", func(r health.Report) bool {
		i := place(r, number)
		return i >= 0 && !r.Cluster.Shards[i].InUse && !r.Connected
	})
	if sh := r.Cluster.Shards[place(r, number)]; sh.Cause == nil || !strings.HasPrefix(sh.Code, "cluster-") {
		t.Errorf("shard %+v", sh)
	}
	r = waitReport(t, c, "the next master is not used", func(r health.Report) bool {
		i := place(r, number)
		return r.Connected && i >= 0 && r.Cluster.Shards[i].Master != old.Addr()
	})
	next := r.Cluster.Shards[place(r, number)].Master
	r = waitReport(t, c, "the failover does not end", func(r health.Report) bool { return len(r.Cluster.Failovers) > 0 && r.Cluster.FailoverCount == 1 })
	f := r.Cluster.Failovers[0]
	if f.Shard != number || f.From != old.Addr() || f.To != next || f.Cause != "failure" || f.Epoch == 0 || f.Blackout <= 0 || f.Blackout > patience {
		t.Errorf("failover %+v, want one of shard %d from %s to %s", f, number, old.Addr(), next)
	}
	select {
	case e := <-failed:
		if e.Shard != number || e.To != next {
			t.Errorf("the event says %+v", e)
		}
	case <-time.After(patience):
		t.Error("there was no event")
	}
	waitFinding(t, c, health.CodeClusterNoReplica)
	waitFinding(t, c, health.CodeClusterUnreachable)
	var body struct {
		Redis struct {
			Mode    string
			Cluster struct {
				FailoverCount int
				LastFailover  *time.Time
				Slots         struct{ Owned int }
				Failovers     []struct{ Shard uint32 }
				Unreachable   []struct{ Address string }
			}
		}
	}
	if err := json.Unmarshal([]byte(answer(t, c)), &body); err != nil {
		t.Fatal(err)
	}
	b := body.Redis.Cluster
	if body.Redis.Mode != "cluster" || b.FailoverCount != 1 || b.LastFailover == nil || b.Slots.Owned != 16384 || b.Failovers[0].Shard != number ||
		len(b.Unreachable) != 1 || b.Unreachable[0].Address != old.Addr() {
		t.Errorf("/health: %s", answer(t, c))
	}
}

// TestAReshardIsNoOutage: a slot has no owner for a moment, between the word of the node that
// gives it away and that of the one that gets it.
func TestAReshardIsNoOutage(t *testing.T) {
	t.Parallel()
	set := redistest.StartCluster(t, redistest.WithMasters(2), redistest.WithReplicas(0), redistest.WithNodeTimeout(5*time.Second))
	var mu sync.Mutex // guards causes
	var causes []error
	c := openWith(t, evercache.Options{ClusterNodes: set.Addrs(), Events: evercache.Events{State: func(ch health.Change) {
		mu.Lock()
		defer mu.Unlock()
		causes = append(causes, ch.Cause)
	}}})
	waitReport(t, c, "the Cluster is not found whole", whole)
	set.Reshard(set.Nodes()[0], set.Nodes()[1], redistest.SlotRange{First: 1000, Last: 1039})
	waitReport(t, c, "the slots do not arrive", func(r health.Report) bool {
		return len(r.Cluster.Shards) == 2 && r.Cluster.Unowned+r.Cluster.Moving == 0 && strings.Contains(fmt.Sprint(r.Cluster.Shards), "1000-1039")
	})
	mu.Lock()
	defer mu.Unlock()
	for _, err := range causes {
		if err != nil && strings.Contains(err.Error(), "no owner") {
			t.Errorf("told as an outage: %v", causes)
			break
		}
	}
}

// TestAReshardThatWasLeftIsTold, with how to end it.
func TestAReshardThatWasLeftIsTold(t *testing.T) {
	t.Parallel()
	set := redistest.StartCluster(t, redistest.WithNodeTimeout(2*time.Second))
	c := openWith(t, evercache.Options{ClusterNodes: set.Addrs()[:1]})
	waitReport(t, c, "the Cluster is not found whole", whole)
	slots := redistest.SlotRange{First: 100, Last: 100}
	set.ReshardUntil(redistest.Marked, set.MasterOfSlot(100), set.MasterOfSlot(16000), slots)
	waitReport(t, c, "no slot is told to move", func(r health.Report) bool { return r.Cluster.Moving == 1 })
	f := waitFinding(t, c, health.CodeClusterSlotMoving)
	if !strings.Contains(f.Detail, "1 slot, the lowest is 100") || !strings.Contains(f.Fix, "redis-cli --cluster fix") {
		t.Errorf("%+v", f)
	}
	set.Abandon(slots)
	waitReport(t, c, "it is still told", func(r health.Report) bool { return r.Cluster.Moving == 0 && len(r.Findings) == 0 })
}

// TestWhatKeepsAClusterFromBeingFoundIsTold by its cause.
func TestWhatKeepsAClusterFromBeingFoundIsTold(t *testing.T) {
	t.Parallel()
	locked := redistest.StartCluster(t, redistest.WithPassword("right"), redistest.WithMasters(1), redistest.WithReplicas(0))
	plain := redistest.Start(t)
	good := redistest.StartCluster(t, redistest.WithMasters(1), redistest.WithReplicas(0)).Addrs()[0]
	sentinel := redistest.StartSentinel(t, redistest.WithSentinels(1), redistest.WithReplicas(1)).Addrs()[0]
	free := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
	for _, tt := range []struct {
		name string
		o    evercache.Options
		code string
		says []string
	}{
		{"nothing there", evercache.Options{ClusterNodes: []string{free}}, health.CodeClusterUnreachable, []string{free, "REDIS_CLUSTER_NODES"}},
		{"not in cluster mode", evercache.Options{ClusterNodes: []string{plain.Addr()}}, health.CodeClusterNotCluster, []string{plain.Addr(), "REDIS_HOST"}},
		{"a name that leads nowhere", evercache.Options{ClusterNodes: []string{"nobody.invalid:6379", free}}, health.CodeClusterUnresolved, []string{"nobody.invalid:6379"}},
		{"a name that leads nowhere beside a node", evercache.Options{ClusterNodes: []string{"nobody.invalid:6379", good}}, health.CodeClusterUnresolved, []string{"nobody.invalid:6379"}},
		{"a sentinel", evercache.Options{ClusterNodes: []string{sentinel}}, health.CodeClusterNotCluster, []string{sentinel, "a sentinel answers"}},
		{"a sentinel beside a node", evercache.Options{ClusterNodes: []string{sentinel, good}}, health.CodeClusterNotCluster, []string{sentinel, "a sentinel answers"}},
		{"no password", evercache.Options{ClusterNodes: locked.Addrs()}, health.CodeClusterAuth, []string{"NOAUTH", "REDIS_PASSWORD"}},
		{"another password", evercache.Options{ClusterNodes: locked.Addrs(), Password: "wrong-one"}, health.CodeClusterAuth, []string{"WRONGPASS"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := openWith(t, tt.o)
			f := waitFinding(t, c, tt.code)
			for _, want := range tt.says {
				if !strings.Contains(f.Detail+f.Fix, want) {
					t.Errorf("%q is missing in %+v", want, f)
				}
			}
			if body := answer(t, c); strings.Contains(body, "wrong-one") || !strings.Contains(body, `"mode":"cluster"`) {
				t.Errorf("/health: %s", body)
			}
		})
	}
}

func place(r health.Report, number uint32) int {
	for i, sh := range r.Cluster.Shards {
		if sh.Number == number {
			return i
		}
	}
	return -1
}

func shardOf(t *testing.T, r health.Report, master string) uint32 {
	t.Helper()
	for _, sh := range r.Cluster.Shards {
		if sh.Master == master {
			return sh.Number
		}
	}
	t.Fatalf("no shard has the master %s", master)
	return 0
}

// guide is the page that operators read.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide", "cluster.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rights are the ACL rules in the guide.
func rights(t *testing.T) []string {
	t.Helper()
	_, rest, ok := strings.Cut(guide(t), "```acl\n")
	rules, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatal("the guide has no rules")
	}
	return strings.Fields(rules)
}

// TestTheRightsInTheGuideSuffice, and without CLUSTER NODES the finding says so.
func TestTheRightsInTheGuideSuffice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		rules []string
		code  string // "": nothing is wrong
	}{
		{"as in the guide", rights(t), ""},
		{"without CLUSTER NODES", append(rights(t), "-cluster|nodes"), health.CodeClusterNoPerm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := redistest.StartCluster(t, redistest.WithUser("evercache", "pw", tt.rules...), redistest.WithNodeTimeout(5*time.Second))
			c := openWith(t, evercache.Options{ClusterNodes: set.Addrs()[:1], Username: "evercache", Password: "pw", KeyPrefix: "shop:"})
			if tt.code != "" {
				f := waitFinding(t, c, tt.code)
				if !strings.Contains(f.Fix, "+cluster|nodes") {
					t.Errorf("%+v", f)
				}
				return
			}
			waitReport(t, c, "the Cluster is not found whole", whole)
			cache, err := evercache.NewCache[string](c, "c", evercache.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 32 {
				key := fmt.Sprint(i)
				r, err := cache.Set(t.Context(), key, "v")
				if err == nil && r.Durability >= evercache.Master && i%2 == 0 {
					_, err = cache.Delete(t.Context(), key)
				}
				if err != nil || r.Durability < evercache.Master {
					t.Fatalf("%s: %+v, %v; %s", key, r, err, answer(t, c))
				}
			}
			if n, _, err := cache.DeletePrefix(t.Context(), ""); err != nil || n != 16 {
				t.Errorf("the prefix of 16 keys: %d, %v", n, err)
			}
			time.Sleep(1500 * time.Millisecond) // the rights are asked for a second after a connection
			if fs := c.Health().Findings; len(fs) > 0 {
				t.Errorf("findings %+v", fs)
			}
		})
	}
}
