package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

// single is the single server that is node n of wellSet.
func single(n int) *survey.Survey {
	set := wellSet()
	one := set.Nodes[n-1]
	one.Configured = true
	one.Info["master_replid"] = "of the set"
	return &survey.Survey{Mode: health.ModeStandalone, At: now, Nodes: []survey.Node{one}}
}

// withKeys is a set whose master has keys.
func withKeys(s *survey.Survey) *survey.Survey {
	for i := range s.Nodes {
		s.Nodes[i].Info["db0"], s.Nodes[i].Info["master_replid"] = "keys=42,expires=0,avg_ttl=0", "of the set"
	}
	return s
}

// stranger is a single server that has nothing to do with the set.
func stranger() *survey.Survey {
	s := wellServer()
	s.Nodes[0].Addr, s.Nodes[0].Info["run_id"], s.Nodes[0].Info["master_replid"] = "10.9.9.9:6379", "another", "another"
	return s
}

var planFixtures = map[string]Move{
	"plan-settings": {
		To: health.ModeSentinel, Now: wellServer(),
		Faults: config.Faults{{Name: "REDIS_SENTINELS", Problem: "is not set", Fix: "list them"}},
	},
	"plan-target-not-master": {To: health.ModeStandalone, Now: withKeys(wellSet()), Then: single(2)},
	"plan-master-unknown": {To: health.ModeStandalone, Now: in(wellSet(), func(s *survey.Survey) {
		for i := range s.Nodes {
			broken(&s.Nodes[i].Server, 0)
		}
	}).Survey, Then: single(1)},
	"plan-db":        {To: health.ModeCluster, Now: wellServer(), Then: wellCluster(), Change: Change{DB: "2"}},
	"plan-data-left": {To: health.ModeStandalone, Now: withKeys(wellSet()), Then: stranger()},
	"plan-denylist":  {To: health.ModeStandalone, Now: withKeys(wellSet()), Then: stranger(), Denylist: true},
	"plan-memory": {To: health.ModeStandalone, Now: withKeys(wellSet()), Then: func() *survey.Survey {
		s := single(1)
		s.Nodes[0].Info["maxmemory"] = "10"
		return s
	}()},
	"plan-lost":      {To: health.ModeStandalone, Now: withKeys(wellSet()), Then: single(1)},
	"plan-journal":   {To: health.ModeStandalone, Now: withKeys(wellSet()), Then: single(1), Journal: true},
	"plan-variables": {To: health.ModeStandalone, Now: withKeys(wellSet()), Then: single(1), Change: Change{Unset: []string{"REDIS_ZONE"}}},
	"plan-same-mode": {To: health.ModeStandalone, Now: wellServer(), Then: wellServer()},
}

func TestTheChecksOfAPlanAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range PlanChecks() {
		if seen[c.Code] || !strings.HasPrefix(c.Code, "plan-") {
			t.Errorf("%s is there twice, or does not begin with plan-", c.Code)
		}
		seen[c.Code] = true
		if c.Title == "" || c.Why == "" || c.When == "" {
			t.Errorf("%s is not complete", c.Code)
		}
		m, ok := planFixtures[c.Code]
		if !ok {
			t.Errorf("%s has no fixture that fires it", c.Code)
			continue
		}
		fs := Plan(m, wellSettings())
		if !slices.Contains(codesOf(fs), c.Code) {
			t.Errorf("%s is not found: %v", c.Code, codesOf(fs))
		}
		for _, f := range fs {
			if f.Fix == "" || f.Why == "" {
				t.Errorf("%s: the finding %+v is not complete", c.Code, f)
			}
		}
	}
	for code := range planFixtures {
		if !seen[code] {
			t.Errorf("a fixture is for %s, which does not exist", code)
		}
	}
}

// The way back to the master of the set meets nothing but what is lost.
func TestAPlanToTheMasterIsWell(t *testing.T) {
	t.Parallel()
	fs := Plan(Move{To: health.ModeStandalone, Now: withKeys(wellSet()), Then: single(1)}, wellSettings())
	if Worst(fs) != health.SeverityInfo {
		t.Errorf("found %+v", fs)
	}
	for _, f := range Plan(planFixtures["plan-target-not-master"], wellSettings()) {
		if f.Code == "plan-target-not-master" && !strings.Contains(f.Fix, "REDIS_HOST=10.0.0.1 and REDIS_PORT=6379") {
			t.Errorf("the fix does not name the master: %s", f.Fix)
		}
	}
}

func TestChangeTo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		environ    []string
		to         health.Mode
		set, unset []string
		db         string
		faults     int
	}{
		{"sentinel to standalone", []string{"REDIS_SENTINEL_ENABLED=true", "REDIS_REPLICA_READS=true", "REDIS_ZONE=a"}, health.ModeStandalone, []string{"REDIS_SENTINEL_ENABLED=false"}, []string{"REDIS_REPLICA_READS", "REDIS_ZONE"}, "", 0},
		{"cluster to standalone", []string{"REDIS_CLUSTER_NODES=a:1"}, health.ModeStandalone, nil, []string{"REDIS_CLUSTER_NODES"}, "", 0},
		{"standalone to sentinel", []string{"REDIS_HOST=a"}, health.ModeSentinel, []string{"REDIS_SENTINEL_ENABLED=true", "REDIS_STRICT=true"}, nil, "", 0},
		{"standalone to cluster", []string{"REDIS_DB=3"}, health.ModeCluster, nil, []string{"REDIS_DB"}, "3", 1},
		{"sentinel to cluster", []string{"REDIS_SENTINEL_ENABLED=true", "REDIS_CLUSTER_NODES=a:1"}, health.ModeCluster, []string{"REDIS_SENTINEL_ENABLED=false"}, nil, "", 0},
		{"the later of two counts", []string{"REDIS_STRICT=false", "REDIS_STRICT=true", "REDIS_SENTINEL_ENABLED=true"}, health.ModeSentinel, nil, nil, "", 0},
	} {
		before := slices.Clone(tt.environ)
		c := ChangeTo(tt.environ, tt.to)
		if d := cmp.Diff([]any{tt.set, tt.unset, tt.db, tt.faults}, []any{c.Set, c.Unset, c.DB, len(c.Faults)}); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if !slices.Equal(before, tt.environ) {
			t.Errorf("%s: the environment itself was changed", tt.name)
		}
	}
}

func TestBefore(t *testing.T) {
	t.Parallel()
	both := []string{"REDIS_HOST=a", "REDIS_CLUSTER_NODES=b:1"}
	if d := cmp.Diff([]string{"REDIS_HOST=a"}, Before(both, health.ModeCluster)); d != "" {
		t.Errorf("to the Cluster (-want +got):\n%s", d)
	}
	if d := cmp.Diff(both, Before(both, health.ModeStandalone)); d != "" {
		t.Errorf("from the Cluster (-want +got):\n%s", d)
	}
	if only := both[1:]; len(Before(only, health.ModeCluster)) != 1 {
		t.Error("a Cluster that is used already is the one of now")
	}
}

func TestKeysOf(t *testing.T) {
	t.Parallel()
	n := survey.Node{Server: survey.Server{Info: survey.Fields{"db0": "keys=3,expires=0", "db7": "keys=4,expires=1", "dbx": "nothing", "keys": "keys=9"}}}
	if got := keysOf(&n, &n); got != 14 {
		t.Errorf("keysOf = %d, want 14", got)
	}
}

// Whoever plans the way back to one server, and has not set it, is told which one it is.
func TestAPlanNamesTheMasterWhereNothingAnswers(t *testing.T) {
	t.Parallel()
	dead := func(reason findings.Reason) *survey.Survey {
		s := stranger()
		broken(&s.Nodes[0].Server, reason)
		return s
	}
	for reason, want := range map[findings.Reason]bool{findings.Unreachable: true, findings.Unresolved: true, findings.Login: false} {
		fs := Plan(Move{To: health.ModeStandalone, Now: withKeys(wellSet()), Then: dead(reason)}, wellSettings())
		i := slices.IndexFunc(fs, func(f Finding) bool { return f.Code == "plan-target-not-master" })
		if (i >= 0) != want {
			t.Errorf("reason %d: %v", reason, codesOf(fs))
		}
		if i >= 0 && !strings.HasPrefix(fs[i].Fix, "Set REDIS_HOST=10.0.0.1 and REDIS_PORT=6379.") {
			t.Errorf("the fix is %q", fs[i].Fix)
		}
	}
}
