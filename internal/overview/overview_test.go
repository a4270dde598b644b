package overview

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/survey"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func server(addr string, info survey.Fields) survey.Server {
	return survey.Server{Addr: addr, Latency: time.Millisecond, Info: info}
}

func info(more ...string) survey.Fields {
	f := survey.Fields{"redis_version": "7.0.15", "used_memory": "43000000", "maxmemory": "536870912", "connected_clients": "7", "uptime_in_seconds": "90000"}
	for i := 0; i+1 < len(more); i += 2 {
		f[more[i]] = more[i+1]
	}
	return f
}

func master(addr string, replicas ...string) survey.Node {
	n := survey.Node{Server: server(addr, info()), Role: survey.Role{Name: "master", Offset: 1000}}
	for _, r := range replicas {
		n.Role.Replicas = append(n.Role.Replicas, survey.Attached{Addr: r, State: "online", Offset: 990})
	}
	return n
}

func replica(addr, of string) survey.Node {
	return survey.Node{Server: server(addr, info("slave_priority", "100")), Role: survey.Role{Name: "replica", Master: of, Link: "connected", Offset: 990}}
}

func away(addr string) survey.Node {
	return survey.Node{Server: survey.Server{Addr: addr, Fault: &survey.Fault{Text: "dial: dial tcp " + addr + ": connect: connection refused"}}}
}

func watcher(addr, names string) survey.Sentinel {
	return survey.Sentinel{
		Server: server(addr, info()), Named: names, Quorum: "OK 3 usable Sentinels.",
		Master: survey.Fields{"config-epoch": "7", "quorum": "2", "flags": "master", "role-reported-time": "200000"},
		Peers:  []survey.Fields{{}, {}},
	}
}

const (
	a, b, c = "10.0.0.11:6379", "10.0.0.12:6379", "10.0.0.13:6379"
	x, y, z = "10.0.0.21:26379", "10.0.0.22:26379", "10.0.0.23:26379"
)

func set(change func(*survey.Survey)) *survey.Survey {
	s := &survey.Survey{
		Mode: health.ModeSentinel, MasterName: "mymaster", At: noon,
		Nodes:     []survey.Node{replica(a, c), replica(b, c), master(c, a, b)},
		Sentinels: []survey.Sentinel{watcher(x, c), watcher(y, c), watcher(z, c)},
	}
	if change != nil {
		change(s)
	}
	return s
}

func one(n survey.Node) *survey.Survey {
	return &survey.Survey{Mode: health.ModeStandalone, At: noon, Nodes: []survey.Node{n}}
}

// shards is a Cluster of two masters, of which the second has no replica, after a change of the answers.
func shards(t *testing.T, change func(nodes []survey.Node) []survey.Node) *survey.Survey {
	t.Helper()
	ids := []string{strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 40)}
	lines := []string{
		ids[0] + " 10.0.0.11:6379@16379 SELFmaster - 0 0 1 connected 0-8000 8002",
		ids[1] + " 10.0.0.12:6379@16379 SELFmaster - 0 0 2 connected 8001 8003-16383",
		ids[2] + " 10.0.0.13:6379@16379 SELFslave " + ids[0] + " 0 0 1 connected",
	}
	nodes := []survey.Node{master(a, c), master(b), replica(c, a)}
	for i := range nodes {
		var text []string
		for j, l := range lines {
			self := ""
			if i == j {
				self = "myself,"
			}
			text = append(text, strings.Replace(l, "SELF", self, 1))
		}
		view, err := cluster.ParseNodes(strings.Join(text, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		nodes[i].Cluster = &survey.ClusterView{Info: survey.Fields{"cluster_state": "ok"}, Nodes: view}
	}
	if change != nil {
		nodes = change(nodes)
	}
	return &survey.Survey{Mode: health.ModeCluster, At: noon, Nodes: nodes}
}

func TestASurveyIsShown(t *testing.T) {
	tests := map[string]struct {
		s      *survey.Survey
		status Status
		first  string // the first problem
	}{
		"set": {set(nil), Well, ""},
		"dead master": {set(func(s *survey.Survey) {
			s.Nodes[2] = away(c)
			s.Nodes[0].Role.Link, s.Nodes[1].Role.Link = "connect", "connect"
			s.Sentinels[0].Master["flags"] = "s_down,master"
			s.Sentinels[1].Master["flags"] = "s_down,o_down,master,failover_in_progress"
		}), NotWell, "the master 10.0.0.13:6379 does not answer: connect: connection refused"},
		"ghost": {set(func(s *survey.Survey) { s.Nodes[0] = master(a); s.Nodes[2] = master(c, b) }), NotWell, "10.0.0.11:6379 says that it is a master too"},
		"sentinels": {set(func(s *survey.Survey) {
			s.Sentinels[0] = survey.Sentinel{Server: survey.Server{Addr: x, Fault: &survey.Fault{Text: "dial: i/o timeout"}}}
			s.Sentinels[1].Named = b
			s.Sentinels[2].Quorum, s.Sentinels[2].Info = "NOQUORUM 1 usable Sentinels.", survey.Fields{"sentinel_tilt": "1"}
		}), NotWell, "no majority of the sentinels names the same master: 1 for 10.0.0.12:6379, 2 are needed"},
		"no quorum": {set(func(s *survey.Survey) { s.Sentinels[2].Quorum = "NOQUORUM 1 usable" }), NotWell, "sentinel 10.0.0.23:26379 finds no quorum (SENTINEL CKQUORUM)"},
		"wrong name": {set(func(s *survey.Survey) {
			for i := range s.Sentinels {
				s.Sentinels[i].Fault, s.Sentinels[i].Master = &survey.Fault{Text: "it knows no master of this name"}, nil
			}
			s.Nodes = nil
		}), NotWell, "no sentinel answers that watches mymaster"},
		"a chain": {set(func(s *survey.Survey) { s.Nodes[1].Role.Master = a }), NotWell, "10.0.0.12:6379 follows 10.0.0.11:6379"},
		"min replicas": {set(func(s *survey.Survey) {
			s.Nodes[2].Config = survey.Fields{"min-replicas-to-write": "2"}
			s.Nodes[2].Info = info("min_slaves_good_slaves", "1")
		}), NotWell, "the master 10.0.0.13:6379: refuses writes"},
		"by another name": {set(func(s *survey.Survey) {
			s.Nodes[2].Aliases = []string{"redis-3.example:6379"}
			s.Sentinels[0].Named, s.Nodes[0].Role.Master = "redis-3.example:6379", "redis-3.example:6379"
		}), Well, ""},
		"demoted": {set(func(s *survey.Survey) { s.Nodes[2] = replica(c, a) }), NotWell, "the master that the sentinels name, 10.0.0.13:6379, says that it is a replica"},
		"nobody": {set(func(s *survey.Survey) {
			for i := range s.Sentinels {
				s.Sentinels[i] = survey.Sentinel{Server: survey.Server{Addr: s.Sentinels[i].Addr, Fault: &survey.Fault{Text: "dial: i/o timeout"}}}
			}
			s.Nodes = nil
		}), Unknown, "no sentinel answers that watches mymaster"},
		"one":         {one(master(a)), Well, ""},
		"one replica": {one(replica(a, b)), NotWell, "10.0.0.11:6379 is a replica of 10.0.0.12:6379: it takes no writes"},
		"one loading": {one(survey.Node{Server: server(a, info("loading", "1")), Role: survey.Role{Name: "master"}}), NotWell, "10.0.0.11:6379: loading"},
		"one away":    {one(away(a)), Unknown, "10.0.0.11:6379 does not answer: connect: connection refused"},
		"cluster":     {shards(t, nil), NotWell, "10.0.0.12:6379 has no replica in sync: nothing takes its place when it fails"},
		"cluster master away": {shards(t, func(nodes []survey.Node) []survey.Node {
			nodes[2].Role.Link = "connect"
			nodes[1].Cluster.Info["cluster_state"] = "fail"
			return []survey.Node{away(a), nodes[1], nodes[2]}
		}), NotWell, "8002 slots have no master that answers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := OfSurvey(tt.s)
			first := ""
			if len(v.Problems) > 0 {
				first = v.Problems[0]
			}
			if v.Status != tt.status || first != tt.first {
				t.Errorf("%s, %q; want %s, %q", v.Status, v.Problems, tt.status, tt.first)
			}
			golden(t, strings.ReplaceAll(name, " ", "_")+".golden", v.Text(0, false))
		})
	}
}

func TestTheJSONIsAsDocumented(t *testing.T) {
	for name, v := range map[string]View{"set": OfSurvey(set(nil)), "cluster": OfSurvey(shards(t, nil)), "nothing": OfSurvey(one(away(a)))} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", string(text)+"\n")
	}
}

func TestAMasterThatASentinelWasStartedForIsNotOneSinceThen(t *testing.T) {
	started := func(s *survey.Survey, uptime string) {
		for i := range s.Sentinels {
			s.Sentinels[i].Info = info("uptime_in_seconds", uptime)
		}
	}
	if v := OfSurvey(set(nil)); v.MasterSince == nil || !v.MasterSince.Equal(noon.Add(-200*time.Second)) {
		t.Errorf("since %v", v.MasterSince)
	}
	if v := OfSurvey(set(func(s *survey.Survey) { started(s, "201") })); v.MasterSince != nil {
		t.Errorf("sentinels that were started after it know since when it is master: %v", v.MasterSince)
	}
	if v := OfSurvey(set(func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Master["config-epoch"] = "0"
		}
	})); v.MasterSince != nil {
		t.Errorf("since %v, though there was no failover", v.MasterSince)
	}
}

func TestTheTextFitsATerminal(t *testing.T) {
	lines := strings.Split(OfSurvey(set(func(s *survey.Survey) { s.Nodes[0] = away(a) })).Text(40, true), "\n")
	coloured := 0
	for _, l := range lines {
		if strings.HasPrefix(l, "\x1b[") {
			coloured++
			l = strings.TrimSuffix(l[5:], "\x1b[0m")
		} else if strings.HasPrefix(l, "  - ") {
			continue // a sentence may wrap
		}
		if len([]rune(l)) > 40 {
			t.Errorf("too long: %q", l)
		}
	}
	if coloured < 3 {
		t.Errorf("only %d lines have a colour", coloured)
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s ago", 59 * time.Second: "59s ago", 3 * time.Minute: "3m ago", 5 * time.Hour: "5h ago", 50 * time.Hour: "2d ago"} {
		if got := ago(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

const sentinelHealth = `{"status":"up","redis":{"status":"up","connected":true,"message":"Redis is healthy (Sentinel mode)","mode":"sentinel",
"sentinel":{"enabled":true,"masterName":"mymaster","currentMaster":{"host":"10.0.0.13","port":6379},"failoverCount":1,"lastFailover":"2026-11-30T11:57:00Z","epoch":7,
"quorum":{"known":3,"reachable":3,"agreeing":3,"needed":2,"configured":2,"monitoring":3},
"nodes":[{"address":"10.0.0.11:6379","role":"replica","reachable":true,"follows":"10.0.0.13:6379","link":"online","lagBytes":5,"lagSeconds":0},
{"address":"10.0.0.12:6379","role":"replica","reachable":false},{"address":"10.0.0.13:6379","role":"master","reachable":true}],
"sentinelNodes":[{"address":"10.0.0.21:26379","reachable":true,"monitoring":true,"names":"10.0.0.13:6379","epoch":7,"tilt":false,"error":null},
{"address":"10.0.0.22:26379","reachable":false,"monitoring":false,"epoch":0,"tilt":false,"error":"dial: dial tcp 10.0.0.22:26379: i/o timeout"},
{"address":"10.0.0.23:26379","reachable":true,"monitoring":true,"names":"10.0.0.13:6379","epoch":7,"tilt":true,"error":null}]},
"state":"connected","master":"10.0.0.13:6379","outbox":{"entries":2}},
"findings":[{"code":"sentinel-unreachable","severity":"warning","title":"A sentinel does not answer","detail":"10.0.0.22:26379"},{"code":"x","severity":"info","title":"nothing"}]}`

const clusterHealth = `{"status":"degraded","redis":{"message":"1 of 2 shards away","mode":"cluster","state":"degraded","master":null,
"cluster":{"slots":{"owned":16384,"unowned":0,"moving":3},"shards":[
{"number":1,"state":"connected","stage":"healthy","master":"10.0.0.11:6379","epoch":1,"slots":8192,"ranges":"0-8191","replicas":["10.0.0.13:6379"]},
{"number":2,"state":"degraded","stage":"blocked","cause":"no answer","master":"10.0.0.12:6379","epoch":2,"slots":8192,"ranges":"8192-16383","replicas":[]}],
"unreachable":[{"address":"10.0.0.13:6379","error":"dial: i/o timeout"},{"address":"10.0.0.14:6379","error":null}]}},"findings":[]}`

func TestAHealthIsShown(t *testing.T) {
	for name, body := range map[string]string{
		"health sentinel": sentinelHealth, "health cluster": clusterHealth,
		"health standalone": `{"status":"degraded","redis":{"message":"Redis is unavailable","mode":"standalone","state":"degraded","master":"10.0.0.11:6379"},"findings":[]}`,
		"health memory":     `{"status":"up","redis":{"message":"only memory","mode":"memory","state":"connected"},"findings":[]}`,
		"health short":      `{"status":"up","redis":{"status":"up","connected":true,"message":"Redis is healthy","mode":"sentinel"},"details":"left out without the token"}`,
	} {
		t.Run(name, func(t *testing.T) {
			v, err := OfHealth([]byte(body), "http://127.0.0.1:3000", noon)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.ReplaceAll(name, " ", "_")+".golden", v.Text(0, false))
		})
	}
}

func TestWhatIsNoHealthIsRefused(t *testing.T) {
	for _, body := range []string{"", "ok", "{}", "[]", `{"status":"up"}`, `{"status":1,"redis":{"mode":"x"}}`, strings.Repeat(" ", MaxHealth) + sentinelHealth} {
		if _, err := OfHealth([]byte(body), "", noon); !errors.Is(err, ErrNoHealth) {
			t.Errorf("%.40q: %v", body, err)
		}
	}
}

func FuzzOfHealth(f *testing.F) {
	for _, body := range []string{sentinelHealth, clusterHealth, `{"status":"\u001b[2J","redis":{"mode":"\n","message":"\u202e"}}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := OfHealth(body, "http://x", noon)
		if err != nil {
			return
		}
		text := v.Text(80, false)
		if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f || c == 0x202e }) {
			t.Errorf("the text holds control characters: %q", text)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	})
}

func TestSentinelsThatNameNobodyAreToldSo(t *testing.T) {
	v := OfSurvey(set(func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Named = ""
		}
	}))
	if text := v.Text(0, false); !strings.Contains(text, "no sentinel names a master for mymaster") || strings.Contains(text, "0 for ,") {
		t.Errorf("%s", text)
	}
}
