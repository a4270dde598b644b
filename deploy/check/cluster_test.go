package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clusterPort is a free port whose bus port is free too, and below those that the
// kernel gives to connections.
func clusterPort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := freePort(t)
		var n int
		if _, err := fmt.Sscan(port, &n); err != nil || n+10000 > 32000 {
			continue
		}
		ln, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", n+10000))
		if err != nil {
			continue
		}
		_ = ln.Close() // it was opened only to see that it can be
		return port
	}
	t.Fatal("no port with a free bus port")
	return ""
}

// newCluster prepares the six nodes of the overlay cluster, as pods.
func newCluster(t *testing.T) *set {
	t.Helper()
	s := newPods(t, nil)
	s.sentinels, s.redis = nil, nil
	for range 6 {
		n := &node{kind: "cluster", port: clusterPort(t), dir: t.TempDir(), set: s, pod: true}
		s.redis = append(s.redis, n)
	}
	for _, n := range s.redis {
		n.environ = []string{
			"NODE_NAME=127.0.0.1", "PORT=" + n.port, "DATA_DIR=" + n.dir, "SECRETS_DIR=" + s.secrets, "FIRST_MASTER=" + s.redis[0].addr(),
			"NODES=" + addrs(s.redis), "SENTINELS=", "KEY_PREFIX=" + s.prefix, "MAXMEMORY=64mb", "NODE_TIMEOUT_MS=2000",
			"ADDRESSES=" + filepath.Join(t.TempDir(), "addresses"), "LOOKUP_LIMIT=2",
		}
	}
	return s
}

func (s *set) form() string {
	s.t.Helper()
	n := s.redis[0]
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(s.scripts, "pod.sh"), "cluster-form.sh")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "FORM_LIMIT=60"}, n.environ...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		s.t.Fatalf("cluster-form.sh: %v\n%s%s", err, out, exit.Stderr)
	}
	return string(out)
}

// whole waits until every node that runs says that the Cluster is whole and follows.
func (s *set) whole() {
	s.t.Helper()
	for _, n := range s.redis {
		n.awaitHealthy()
	}
}

// masters are the nodes that say that they are one.
func (s *set) masters() (all []*node) {
	s.t.Helper()
	for _, n := range running(s.redis) {
		if strings.Contains(n.must("INFO", "replication"), "role:master") {
			all = append(all, n)
		}
	}
	return all
}

func TestTheClusterIsFormedAndSurvives(t *testing.T) {
	t.Parallel()
	s := newCluster(t)
	for _, n := range s.redis {
		n.start()
	}
	s.form()
	s.whole()
	if out := s.form(); out != "" {
		t.Errorf("a Cluster that is made is made again: %s", out)
	}
	if n := len(s.masters()); n != 3 {
		t.Fatalf("%d masters", n)
	}
	var listed []string
	for _, n := range s.redis[:3] {
		listed = append(listed, n.addr())
	}
	d := serve(t, map[string]string{
		"REDIS_CLUSTER_NODES": strings.Join(listed, ","), "REDIS_USERNAME": "evercache", "REDIS_PASSWORD_FILE": filepath.Join(s.secrets, "redis-password"),
		"REDIS_KEY_PREFIX": s.prefix, "REDIS_STRICT": "true", "EVERCACHE_TOKEN_FILE": filepath.Join(s.secrets, "token"),
	})
	d.awaitStatus("up")
	w := d.write("demo")

	for i := 5; i >= 0; i-- { // a rolling restart, the highest first
		n := s.redis[i]
		was := strings.Contains(n.must("INFO", "replication"), "role:master")
		n.endPod()
		if was && len(s.masters()) != 3 {
			t.Errorf("node %d was a master, and after its handover there are %d", i, len(s.masters()))
		}
		n.start()
		s.whole()
	}

	lost := s.masters()[0]
	lost.kill()
	eventually(t, time.Minute, "its replica has taken over", func() error {
		if len(s.masters()) != 3 {
			return errNotYet
		}
		return nil
	})
	lost.lose() // its volume too: it is a new node, and empties nobody
	lost.start()
	eventually(t, 10*time.Second, "it answers", func() error { _, err := lost.ask("PING"); return err })
	if s.redis[0] != lost {
		s.form()
	} else { // the Job asks the others
		s.redis[0], s.redis[1] = s.redis[1], s.redis[0]
		s.form()
	}
	s.whole()
	d.awaitStatus("up")
	w.end()
	if missing := w.missingInCluster(s, "demo"); len(missing) > 0 {
		t.Errorf("%d of %d acknowledged writes are not there, the first: %s", len(missing), len(w.acked), missing[0])
	}
	for _, r := range s.refusals() {
		t.Errorf("somebody was refused something: %s", r)
	}
}

// missingInCluster asks the masters for every key that was acknowledged.
func (w *writer) missingInCluster(s *set, class string) (lost []string) {
	s.t.Helper()
	held := map[string]bool{}
	for _, n := range s.masters() {
		for key := range strings.FieldsSeq(n.must("--scan", "--pattern", s.prefix+class+":*")) {
			held[key] = true
		}
	}
	for _, k := range w.acked {
		if !held[s.prefix+class+":"+k] {
			lost = append(lost, k)
		}
	}
	return lost
}

// The overlay tls: nodes, sentinels and evercache by TLS, through a failover.
func TestTheSetSpeaksTLS(t *testing.T) {
	t.Parallel()
	s := newPods(t, nil)
	certificates := filepath.Join(t.TempDir(), "tls")
	if out, err := shell(t, nil, "sh", filepath.Join(kubernetes, "overlays/tls/certificates.sh"), certificates); err != nil {
		t.Fatalf("certificates.sh: %v %s", err, out)
	}
	for from, to := range map[string]string{"server.crt": "tls.crt", "server.key": "tls.key"} {
		if err := os.Rename(filepath.Join(certificates, from), filepath.Join(certificates, to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range s.nodes() {
		n.environ = append(n.environ, "TLS_DIR="+certificates)
	}
	s.start()
	if out, err := s.redis[0].as("admin", "admin-password", "PING"); err == nil {
		t.Errorf("a node answers without TLS: %q", out)
	}
	env := s.environment()
	env["REDIS_TLS"], env["REDIS_TLS_CA_FILE"], env["REDIS_TLS_SERVER_NAME"] = "true", filepath.Join(certificates, "ca.crt"), "redis"
	d := serve(t, env)
	master := s.settle(d)
	w := d.write("demo")
	master.kill()
	s.awaitMaster(master)
	now := s.settle(d)
	w.end()
	if lost := w.missing(now, s.prefix, "demo"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged writes are not on the master", len(lost), len(w.acked))
	}
}
