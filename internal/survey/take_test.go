package survey_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

func TestMain(m *testing.M) { testbed.Main(m, 6) }

const canary = "canary-of-the-survey"

// patience is enough for a server to answer on a busy machine.
const patience = 60 * time.Second

func take(t *testing.T, o evercache.Options) *survey.Survey {
	t.Helper()
	target := survey.TargetOf(o)
	target.Timeout = patience
	s := survey.Take(t.Context(), target)
	noSecret(t, s)
	return s
}

// noSecret fails the test where a password is in what was kept.
func noSecret(t *testing.T, s *survey.Survey) {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if all := string(data) + fmt.Sprintf("%+v", *s); strings.Contains(all, canary) {
		t.Errorf("the survey holds a password: %s", all)
	}
}

func TestASentinelSetIsSeenWhole(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithPassword(canary), redistest.WithSentinelPassword(canary+"-2"))
	s := take(t, evercache.Options{
		Sentinels: set.Addrs(), MasterName: set.MasterName(), Password: canary, SentinelPassword: canary + "-2",
	})
	if len(s.Sentinels) != 3 || len(s.Nodes) != 3 || len(s.Left) != 0 {
		t.Fatalf("%d sentinels, %d nodes, left %v; want 3, 3 and none", len(s.Sentinels), len(s.Nodes), s.Left)
	}
	master := set.Master().Addr()
	for _, one := range s.Sentinels {
		q, _ := one.Master.Int("quorum")
		if !one.Monitors() || !one.Configured || one.Named != master || q != 2 || len(one.Replicas) != 2 || len(one.Peers) != 2 || !strings.HasPrefix(one.Quorum, "OK 3") || len(one.ID) != 40 {
			t.Errorf("a sentinel is seen as %+v", one)
		}
		if len(one.NamedBy) != 2 || one.Info["redis_mode"] != "sentinel" || one.Settings["resolve-hostnames"] != "no" || one.Rights.How != survey.RightsDryRun || len(one.Rights.Denied) > 0 {
			t.Errorf("a sentinel is seen as %+v", one)
		}
	}
	masters := 0
	for _, n := range s.Nodes {
		if n.Fault != nil || n.Anonymous || len(n.NamedBy) < 3 || n.Config["masterauth"] != survey.IsSet || n.Config["save"] != "" || n.Info["redis_version"] == "" || n.Rights.How != survey.RightsDryRun || len(n.Rights.Denied) > 0 {
			t.Errorf("a node is seen as %+v", n)
		}
		if ahead, uncertainty, ok := n.Clock.Ahead(); !ok || ahead.Abs() > uncertainty+time.Second {
			t.Errorf("%s: the clock is %v ± %v ahead, %v", n.Addr, ahead, uncertainty, ok)
		}
		for _, other := range s.Nodes {
			if fits, known := n.Fits(other); !fits || !known {
				t.Errorf("masterauth of %s fits %s: %v, %v", n.Addr, other.Addr, fits, known)
			}
		}
		if n.Addr == master {
			masters++
			if n.Role.Name != "master" || len(n.Role.Replicas) != 2 || n.Role.Replicas[0].State != "online" {
				t.Errorf("the master is seen as %+v", n.Role)
			}
		} else if n.Role.Name != "replica" || n.Role.Master != master || n.Role.Link != "connected" {
			t.Errorf("a replica is seen as %+v", n.Role)
		}
	}
	if masters != 1 {
		t.Errorf("%d masters", masters)
	}
}

func TestAClusterIsSeenWholeThroughOneSeed(t *testing.T) {
	t.Parallel()
	set := redistest.StartCluster(t, redistest.WithPassword(canary), redistest.WithNodeTimeout(5*time.Second))
	s := take(t, evercache.Options{ClusterNodes: set.Addrs()[:1], Password: canary})
	if len(s.Nodes) != 6 || !s.Nodes[0].Configured || s.Nodes[1].Configured {
		t.Fatalf("%d nodes, want 6, the first one configured: %+v", len(s.Nodes), s.Nodes)
	}
	for _, n := range s.Nodes {
		if n.Fault != nil || n.Cluster == nil || n.Cluster.Info["cluster_state"] != "ok" || len(n.Cluster.Nodes.Lines) != 6 || n.Config["cluster-node-timeout"] != "5000" || len(n.Rights.Denied) > 0 {
			t.Errorf("a node is seen as %+v", n)
		}
	}
}

func TestTheDenylistIsSeen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := evercache.Options{Addr: server.Addr(), KeyPrefix: "shop:"}
	if s := take(t, o); s.Nodes[0].Denylist {
		t.Error("an empty server has a denylist")
	}
	client, err := evercache.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := revoke.Init(t.Context(), client, revoke.Policy{}); err != nil {
		t.Fatal(err)
	}
	if s := take(t, o); !s.Nodes[0].Denylist {
		t.Error("the denylist is not seen")
	}
}

func TestTheCertificateIsSeen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithTLS())
	s := take(t, evercache.Options{Addr: server.Addr(), TLS: server.TLSConfig()})
	if n := s.Nodes[0]; n.Fault != nil || !n.Certificate.After(time.Now()) {
		t.Errorf("fault %v, the certificate ends at %v", n.Fault, n.Certificate)
	}
}

// A user without the right to ask for his rights.
func TestRightsAreTriedWhereTheyCannotBeAsked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithUser("app", canary, "~*", "+@all", "-acl", "-evalsha", "-scan", "-config"))
	s := take(t, evercache.Options{Addr: server.Addr(), Username: "app", Password: canary})
	n := s.Nodes[0]
	if got := fmt.Sprint(n.Rights.How, n.Rights.Denied); n.Fault != nil || got != "tried[EVALSHA SCAN]" {
		t.Errorf("fault %v, rights %s", n.Fault, got)
	}
	if n.Refused["CONFIG GET"] == "" || len(n.Config) != 0 {
		t.Errorf("CONFIG GET was refused with %q, and brought %v", n.Refused["CONFIG GET"], n.Config)
	}
	if keys := server.Do("DBSIZE"); keys != int64(0) {
		t.Errorf("the survey has left %v keys", keys)
	}
}

func TestFaultsKeepTheirKind(t *testing.T) {
	t.Parallel()
	plain, secured := redistest.Start(t, redistest.WithPassword(canary)), redistest.Start(t, redistest.WithTLS())
	hung := redistest.NewProxy(t, plain.Addr())
	hung.Blackhole(true)
	for _, tt := range []struct {
		name string
		o    evercache.Options
		code string
	}{
		{"a wrong password", evercache.Options{Addr: plain.Addr(), Password: "wrong-" + canary}, health.CodeRedisAuth},
		{"no password", evercache.Options{Addr: plain.Addr()}, health.CodeRedisAuth},
		{"nobody", evercache.Options{Addr: "127.0.0.1:1", Password: canary}, health.CodeRedisUnreachable},
		{"no such name", evercache.Options{Addr: "no-such-host.invalid:6379", Password: canary}, health.CodeRedisUnresolved},
		{"TLS against plain", evercache.Options{Addr: plain.Addr(), TLS: secured.TLSConfig()}, health.CodeRedisTLS},
		{"plain against TLS", evercache.Options{Addr: secured.Addr()}, health.CodeRedisTLS},
		{"no such database", evercache.Options{Addr: plain.Addr(), Password: canary, DB: 99}, health.CodeRedisDB},
		{"a server among the sentinels", evercache.Options{Sentinels: []string{plain.Addr()}, MasterName: "m"}, health.CodeSentinelNotSentinel},
		{"a server outside of a Cluster", evercache.Options{ClusterNodes: []string{plain.Addr()}, Password: canary}, health.CodeClusterNotCluster},
		{"a hung server", evercache.Options{Addr: hung.Addr(), Password: canary}, health.CodeRedisTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := survey.TargetOf(tt.o)
			target.Timeout = 6 * time.Second
			s := survey.Take(context.WithoutCancel(t.Context()), target)
			noSecret(t, s)
			var f *survey.Fault
			if len(s.Nodes) > 0 {
				f = s.Nodes[0].Fault
			} else {
				f = s.Sentinels[0].Fault
			}
			if f == nil || f.Code() != tt.code {
				t.Errorf("the fault is %+v, want %s", f, tt.code)
			}
		})
	}
}

func TestASurveyIsBoundedInTime(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	for _, p := range set.Sentinels()[1:] {
		p.Pause()
	}
	set.Nodes()[2].Pause()
	target := survey.TargetOf(evercache.Options{Sentinels: set.Addrs(), MasterName: set.MasterName()})
	target.Timeout = 3 * time.Second
	began := time.Now()
	s := survey.Take(t.Context(), target)
	if took := time.Since(began); took > target.Timeout+time.Second {
		t.Errorf("it took %v, bounded by %v", took, target.Timeout)
	}
	if s.Sentinels[1].Fault == nil || s.Sentinels[1].Fault.Code() != health.CodeSentinelUnreachable {
		t.Errorf("a hung sentinel is seen as %+v", s.Sentinels[1])
	}
	if len(s.Nodes) != 3 {
		t.Errorf("%d nodes, want 3", len(s.Nodes))
	}
}

// One sentinel names a server that nobody else knows. It is asked, and told no password.
func TestAStrangerIsToldNoPassword(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithPassword(canary))
	stranger := listen(t)
	lost := set.Sentinels()[2]
	lost.Do("SENTINEL", "REMOVE", set.MasterName())
	host, port, err := net.SplitHostPort(stranger.addr)
	if err != nil {
		t.Fatal(err)
	}
	lost.Do("SENTINEL", "MONITOR", set.MasterName(), host, port, "1")
	target := survey.TargetOf(evercache.Options{Sentinels: set.Addrs(), MasterName: set.MasterName(), Password: canary})
	target.Timeout = 9 * time.Second
	s := survey.Take(t.Context(), target)
	var seen *survey.Node
	for i := range s.Nodes {
		if s.Nodes[i].Addr == stranger.addr {
			seen = &s.Nodes[i]
		}
	}
	if seen == nil || !seen.Anonymous || seen.Fault == nil || !seen.Fault.Connected {
		t.Fatalf("the stranger is seen as %+v", seen)
	}
	if heard := stranger.heard(); !strings.Contains(heard, "HELLO") || strings.Contains(heard, canary) {
		t.Errorf("the stranger has heard %q", heard)
	}
}

// ear is a server that listens and never answers.
type ear struct {
	addr string
	mu   sync.Mutex // guards said
	said []byte
}

func listen(t *testing.T) *ear {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	e := &ear{addr: ln.Addr().String()}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go e.hear(conn)
		}
	}()
	return e
}

func (e *ear) hear(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		e.mu.Lock()
		e.said = append(e.said, buf[:n]...)
		e.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (e *ear) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.said)
}

// What a server was asked, by its own count: nothing that changes it.
func TestNothingIsAskedThatChangesAServer(t *testing.T) {
	t.Parallel()
	harmless := []string{"hello", "client|setname", "client|setinfo", "client|tracking", "client|list", "select", "time", "role", "info", "exists", "ping", "config|get", "acl|whoami", "acl|dryrun", "cluster|info", "cluster|nodes", "readonly"}
	for name, start := range map[string]func() (*redistest.Server, evercache.Options){
		"standalone": func() (*redistest.Server, evercache.Options) {
			s := redistest.Start(t)
			return s, evercache.Options{Addr: s.Addr()}
		},
		"cluster": func() (*redistest.Server, evercache.Options) {
			c := redistest.StartCluster(t, redistest.WithReplicas(0), redistest.WithNodeTimeout(5*time.Second))
			return c.Nodes()[0], evercache.Options{ClusterNodes: c.Addrs(), ReplicaReads: true}
		},
	} {
		server, o := start()
		server.Do("CONFIG", "RESETSTAT")
		take(t, o)
		stats := fmt.Sprint(server.Do("INFO", "commandstats"))
		asked := 0
		for line := range strings.Lines(stats) {
			command, ok := strings.CutPrefix(line, "cmdstat_")
			if !ok {
				continue
			}
			command, _, _ = strings.Cut(command, ":")
			if command == "config|resetstat" { // ours, above
				continue
			}
			if asked++; !slices.Contains(harmless, command) {
				t.Errorf("%s: asked %s", name, line)
			}
		}
		if asked < 6 {
			t.Errorf("%s: only %d commands were asked:\n%s", name, asked, stats)
		}
	}
}
