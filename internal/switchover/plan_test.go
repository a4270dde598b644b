package switchover

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/doctor"
	"github.com/evercache/evercache/internal/survey"
)

func found(addr string) survey.Server { return survey.Server{Addr: addr, Latency: 1} }

func replica(addr, priority string) survey.Node {
	return survey.Node{Server: found(addr), Role: survey.Role{Name: "replica", Master: "m:1", Link: "connected"}, Config: survey.Fields{"replica-priority": priority}}
}

func watcher(addr, named string) survey.Sentinel {
	return survey.Sentinel{Server: found(addr), Named: named, Master: survey.Fields{"flags": "master"}}
}

// set is a well one: a master m:1, replicas a:1 and b:1, three sentinels.
func set(change ...func(*survey.Survey)) *survey.Survey {
	s := &survey.Survey{
		Mode: health.ModeSentinel, MasterName: "mymaster",
		Sentinels: []survey.Sentinel{watcher("s1:1", "m:1"), watcher("s2:1", "m:1"), watcher("s3:1", "m:1")},
		Nodes:     []survey.Node{{Server: found("m:1"), Role: survey.Role{Name: "master"}}, replica("a:1", "100"), replica("b:1", "100")},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func TestPlanOfASet(t *testing.T) {
	errorOf := func(code string) []doctor.Finding {
		return []doctor.Finding{{Finding: health.Finding{Code: code, Severity: health.SeverityError, Title: "Bad"}}}
	}
	priority := func(a, b string) func(*survey.Survey) {
		return func(s *survey.Survey) {
			s.Nodes[1].Config["replica-priority"], s.Nodes[2].Config["replica-priority"] = a, b
		}
	}
	for name, c := range map[string]struct {
		s        *survey.Survey
		told     []doctor.Finding
		to       string
		refused  string // part of the first refusal; "": none
		priority int64
		method   Method
	}{
		"well":                    {s: set()},
		"a harmless error":        {s: set(), told: errorOf("sentinel-few")},
		"an error":                {s: set(), told: errorOf("redis-masterauth"), refused: "redis-masterauth: Bad"},
		"a warning":               {s: set(), told: []doctor.Finding{{Finding: health.Finding{Code: "x", Severity: health.SeverityWarning}}}},
		"chosen":                  {s: set(), to: "b:1", priority: 99},
		"chosen, lowest already":  {s: set(priority("100", "10")), to: "b:1"},
		"chosen, none lower":      {s: set(priority("1", "1")), to: "b:1", refused: "none can be lower"},
		"chosen, never promoted":  {s: set(priority("100", "0")), to: "b:1", refused: "cannot be promoted"},
		"chosen, not known":       {s: set(priority("", "100")), to: "b:1", refused: "CONFIG GET"},
		"chosen, the master":      {s: set(), to: "m:1", refused: "the master already"},
		"chosen, a stranger":      {s: set(), to: "c:1", refused: "no such server; it has m:1, a:1, b:1"},
		"nobody can be promoted":  {s: set(priority("0", "0")), refused: "no replica of m:1"},
		"a failover is under way": {s: set(func(s *survey.Survey) { s.Sentinels[1].Master["flags"] = "master,failover_in_progress" }), refused: "under way"},
		"no majority":             {s: set(func(s *survey.Survey) { s.Sentinels[1].Named, s.Sentinels[2].Named = "a:1", "" }), refused: "do not agree"},
		"the master is silent":    {s: set(func(s *survey.Survey) { s.Nodes[0].Fault = &survey.Fault{} }), refused: "do not agree"},
		"the master was demoted":  {s: set(func(s *survey.Survey) { s.Nodes[0].Role.Name = "replica" }), refused: "do not agree"},
		"a replica is silent here": {s: set(func(s *survey.Survey) {
			s.Nodes[2].Fault = &survey.Fault{}
			s.Sentinels[0].Replicas = []survey.Fields{{"ip": "b", "port": "1", "flags": "slave"}}
		}), refused: "which does not answer here"},
		"a replica is known to be down": {s: set(func(s *survey.Survey) {
			s.Nodes[2].Fault = &survey.Fault{}
			s.Sentinels[0].Replicas = []survey.Fields{{"ip": "b", "port": "1", "flags": "slave,s_down"}}
		})},
		"a sentinel last saw a replica as a master": {s: set(func(s *survey.Survey) {
			s.Sentinels[2].Replicas = []survey.Fields{{"ip": "b", "port": "1", "flags": "slave", "role-reported": "master"}}
		}), refused: "sentinel s3:1 last saw the replica b:1 as a master"},
		"the replica that was a master is down": {s: set(func(s *survey.Survey) {
			s.Sentinels[2].Replicas = []survey.Fields{{"ip": "b", "port": "1", "flags": "s_down,slave", "role-reported": "master"}}
		})},
		"Valkey 9.1.2": {s: set(versions("9.1.2")), method: Coordinated},
		"Valkey 9.1.0": {s: set(versions("9.1.0"))},
		"standalone":   {s: &survey.Survey{Mode: health.ModeStandalone}, refused: "nobody to switch over to"},
	} {
		p := NewPlan(c.s, c.told, nil, c.to)
		if c.refused == "" && len(p.Refusals) > 0 || c.refused != "" && (len(p.Refusals) == 0 || !strings.Contains(p.Refusals[0], c.refused)) {
			t.Errorf("%s: refusals %q, want %q", name, p.Refusals, c.refused)
		}
		if want := cmp.Or(c.method, Paused); c.refused == "" && p.Method != want {
			t.Errorf("%s: %q", name, p.Method)
		}
		if p.priority != c.priority || p.priority != 0 && p.restore != 100 {
			t.Errorf("%s: priority %d, then %d; want %d", name, p.priority, p.restore, c.priority)
		}
	}
}

func versions(v string) func(*survey.Survey) {
	return func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Info = survey.Fields{"valkey_version": v}
		}
		s.Nodes[0].Info = survey.Fields{"valkey_version": v}
	}
}

func TestWhatIsMissingAfterASwitch(t *testing.T) {
	after := func(change func(*survey.Survey)) *survey.Survey {
		s := set(func(s *survey.Survey) {
			s.Nodes[1].Role = survey.Role{Name: "master"}
			s.Nodes[0].Role = survey.Role{Name: "replica", Master: "a:1", Link: "connected"}
			s.Nodes[2].Role.Master = "a:1"
			for i := range s.Sentinels {
				s.Sentinels[i].Named = "a:1"
			}
		})
		change(s)
		return s
	}
	for want, s := range map[string]*survey.Survey{
		"":                                     after(func(*survey.Survey) {}),
		"a:1 does not answer as a master":      after(func(s *survey.Survey) { s.Nodes[1].Role.Name = "replica" }),
		"sentinel s2:1 names m:1":              after(func(s *survey.Survey) { s.Sentinels[1].Named = "m:1" }),
		"sentinel s2:1 does not answer":        after(func(s *survey.Survey) { s.Sentinels[1].Fault = &survey.Fault{} }),
		"sentinel s1:1 has not ended the fail": after(func(s *survey.Survey) { s.Sentinels[0].Master["flags"] = "master,failover_in_progress" }),
		"m:1 does not follow a:1: role master": after(func(s *survey.Survey) { s.Nodes[0].Role = survey.Role{Name: "master"} }),
		"b:1 is not in sync with a:1":          after(func(s *survey.Survey) { s.Nodes[2].Role.Link = "sync" }),
		"b:1 does not answer":                  after(func(s *survey.Survey) { s.Nodes[2].Fault = &survey.Fault{} }),
	} {
		got := missing(s, []string{"m:1"}, "a:1")
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The next master hears a little later than others that the one before is a replica now. Until then it seems to have none.
func TestANewMasterOfAClusterHasToKnowItsReplica(t *testing.T) {
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	for knows, want := range map[string]string{"slave " + two: "", "master -": "a:1 does not list m:1 as its replica"} {
		view := func(self string) *survey.ClusterView {
			lines := one + " 127.0.0.1:1@10001 " + knows + " 0 0 1 connected\n" + two + " 127.0.0.1:2@10002 master - 0 0 2 connected 0-16383\n"
			nodes, err := cluster.ParseNodes(strings.Replace(lines, "@1000"+self[:1]+" ", "@1000"+self[:1]+" myself,", 1))
			if err != nil {
				t.Fatal(err)
			}
			return &survey.ClusterView{Nodes: nodes}
		}
		s := &survey.Survey{Mode: health.ModeCluster, Nodes: []survey.Node{
			{Server: found("m:1"), Role: survey.Role{Name: "replica", Master: "a:1", Link: "connected"}, Cluster: view(one)},
			{Server: found("a:1"), Role: survey.Role{Name: "master"}, Cluster: view(two)},
		}}
		if got := strings.Join(missing(s, []string{"m:1"}, "a:1"), "; "); got != want {
			t.Errorf("%s: %q, want %q", knows, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]bool{"9.1.1": true, "9.1.2": true, "9.2.0": true, "10.0.0": true, "9.1.0": false, "9.0.5": false, "8.9.9": false, "": false, "9.1": false, "x.y.z": false} {
		if fromVersion(version, 9, 1, 1) != want {
			t.Errorf("%q: want %v", version, want)
		}
	}
}

func TestAReplicaIsLevel(t *testing.T) {
	master := replication{role: "master", replID: "x", offset: 100}
	for _, c := range []struct {
		text string
		want bool
	}{
		{"role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:100\r\nmaster_replid:x\r\nmaster_repl_offset:100\r\n", true},
		{"role:slave\nmaster_link_status:up\nslave_repl_offset:114\nmaster_replid:x\n", true},
		{"role:slave\nmaster_link_status:up\nslave_repl_offset:99\nmaster_replid:x\nmaster_repl_offset:100\n", false},
		{"role:slave\nmaster_link_status:down\nslave_repl_offset:100\nmaster_replid:x\n", false},
		{"role:slave\nmaster_link_status:up\nslave_repl_offset:100\nmaster_replid:y\n", false},
		{"role:master\nmaster_repl_offset:100\nmaster_replid:x\n", false},
	} {
		r, err := parseReplication(c.text)
		if err != nil || r.level(master) != c.want {
			t.Errorf("%q: %+v, %v; want level %v", c.text, r, err, c.want)
		}
	}
}

func FuzzParseReplication(f *testing.F) {
	f.Add("role:master\r\nmaster_repl_offset:100\r\nmaster_replid:x\r\n")
	f.Add("role:slave\nslave_repl_offset:-1\nmaster_replid:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReplication(text)
		if (err == nil) != (slices.Contains([]string{"master", "slave"}, r.role) && r.replID != "") || r.offset < 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
