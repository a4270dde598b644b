package check

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newComposeCluster is the six nodes of compose.cluster.yml on loopback, not yet started and
// no Cluster yet.
func newComposeCluster(t *testing.T, edit func(scripts string)) *set {
	t.Helper()
	s := newSet(t, edit)
	s.redis, s.sentinels, s.files = nil, nil, []string{"compose.cluster.yml"}
	for range 6 {
		n := &node{kind: "cluster", port: clusterPort(t), dir: t.TempDir(), set: s}
		n.environ = []string{
			"NODE_NAME=127.0.0.1", "ANNOUNCE_IP=127.0.0.1", "PORT=" + n.port, "DATA_DIR=" + n.dir, "SECRETS_DIR=" + s.secrets,
			"KEY_PREFIX=" + s.prefix, "MAXMEMORY=64mb", "NODE_TIMEOUT_MS=1500", "PERMIT=" + filepath.Join(n.dir, "start-empty"),
		}
		s.redis = append(s.redis, n)
	}
	for _, n := range s.redis {
		n.environ = append(n.environ, "NODES="+addrs(s.redis))
	}
	return s
}

// create runs cluster-form.sh as its container does, and returns what it says.
func (s *set) create() (string, error) {
	cmd := exec.CommandContext(s.t.Context(), "sh", filepath.Join(s.scripts, "cluster-form.sh"))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "NODE_NAME=create", "SECRETS_DIR=" + s.secrets,
		"NODES=" + addrs(s.redis), "FORM_LIMIT=30",
	}
	if s.certificates != "" {
		cmd.Env = append(cmd.Env, "TLS_DIR="+filepath.Join(s.certificates, "redis-1"))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *set) mustCreate() string {
	s.t.Helper()
	out, err := s.create()
	if err != nil {
		s.t.Fatalf("cluster-form.sh: %v\n%s", err, out)
	}
	return out
}

// awaitAlive waits until the node answers, whatever it says of a Cluster.
func (n *node) awaitAlive() {
	n.set.t.Helper()
	eventually(n.set.t, time.Minute, n.port+" answers", func() error {
		_, err := n.script("health.sh", "alive")
		if err != nil {
			return fmt.Errorf("%w; its log:\n%s", err, tail(n.log.String()))
		}
		return nil
	})
}

// stop ends a Redis node. It refuses while it writes a new append-only file.
func (n *node) stop() {
	n.set.t.Helper()
	eventually(n.set.t, time.Minute, n.port+" ends", func() error {
		n.signal(syscall.SIGTERM)
		select {
		case <-n.exited:
			return nil
		case <-time.After(time.Second):
			return fmt.Errorf("it goes on; its log:\n%s", tail(n.log.String()))
		}
	})
}

// startCluster starts the nodes and makes a Cluster of them.
func (s *set) startCluster() {
	s.t.Helper()
	for _, n := range s.redis {
		n.start()
	}
	for _, n := range s.redis {
		n.awaitAlive()
	}
	s.mustCreate()
	s.awaitCluster()
}

// awaitCluster waits until every node that runs is healthy as a part of the Cluster.
func (s *set) awaitCluster() {
	s.t.Helper()
	for _, n := range running(s.redis) {
		n.awaitHealthy()
	}
}

// shards counts the replicas of each node that is a master with slots.
func (s *set) shards() map[*node]int {
	s.t.Helper()
	all, byID := map[*node]int{}, map[string]*node{}
	lines := s.clusterNodes()
	for _, line := range lines {
		f := strings.Fields(line)
		addr, _, _ := strings.Cut(f[1], "@")
		i := slices.IndexFunc(s.redis, func(n *node) bool { return n.addr() == addr })
		if i >= 0 && strings.Contains(f[2], "master") && !strings.Contains(f[2], "fail") && len(f) > 8 {
			byID[f[0]] = s.redis[i]
			all[s.redis[i]] = 0
		}
	}
	for _, line := range lines {
		f := strings.Fields(line)
		if n := byID[f[3]]; n != nil && strings.Contains(f[2], "slave") && !strings.Contains(f[2], "fail") {
			all[n]++
		}
	}
	return all
}

// clusterNodes is what the node says that knows most others. One that lost its data may not
// listen yet, or know nobody.
func (s *set) clusterNodes() (most []string) {
	for _, n := range running(s.redis) {
		text, err := n.ask("CLUSTER", "NODES")
		if lines := strings.Split(strings.TrimSpace(text), "\n"); err == nil && len(lines) > len(most) {
			most = lines
		}
	}
	return most
}

// awaitMasters waits until three masters have these numbers of replicas.
func (s *set) awaitMasters(want ...int) map[*node]int {
	s.t.Helper()
	var all map[*node]int
	eventually(s.t, 30*time.Second, fmt.Sprintf("masters with %d replicas", want), func() error {
		all = s.shards()
		var have []int
		for _, n := range all {
			have = append(have, n)
		}
		if slices.Sort(have); !slices.Equal(have, want) {
			return fmt.Errorf("they have %d", have)
		}
		return nil
	})
	return all
}

// clusterEnvironment is what compose.cluster.yml gives to evercache, with the ports of this test.
func (s *set) clusterEnvironment() map[string]string {
	s.t.Helper()
	env := s.environment()
	for i, n := range s.redis {
		env["REDIS_CLUSTER_NODES"] = strings.ReplaceAll(env["REDIS_CLUSTER_NODES"], fmt.Sprintf("redis-%d:6379", i+1), n.addr())
	}
	return env
}

// lostIn are the acknowledged keys that the Cluster does not hold.
func (w *writer) lostIn(s *set, class string) (lost []string) {
	s.t.Helper()
	if len(w.acked) == 0 {
		s.t.Fatal("nothing was acknowledged")
	}
	held := map[string]bool{}
	for n := range s.shards() {
		for _, key := range strings.Fields(n.must("KEYS", s.prefix+class+":*")) {
			held[strings.TrimPrefix(key, s.prefix+class+":")] = true
		}
	}
	for _, k := range w.acked {
		if !held[k] {
			lost = append(lost, k)
		}
	}
	return lost
}

// The nodes of compose.cluster.yml, through what happens to containers: a master is
// killed and comes back, all of them are started again, one loses its volume.
func TestTheClusterSurvives(t *testing.T) {
	t.Parallel()
	s := newComposeCluster(t, nil)
	s.startCluster()
	s.awaitMasters(1, 1, 1)
	d := serve(t, s.clusterEnvironment())
	d.awaitStatus("up")
	if mode := d.health().Redis.Mode; mode != "cluster" {
		t.Fatalf("mode %q", mode)
	}
	ids := s.redis[0].must("CLUSTER", "MYID")
	if out := s.mustCreate(); strings.Contains(out, "joined") || s.redis[0].must("CLUSTER", "MYID") != ids {
		t.Errorf("cluster-form.sh changes a Cluster that is well:\n%s", out)
	}

	w := d.write("demo")
	var crashed *node
	for n := range s.shards() {
		crashed = n
		break
	}
	crashed.kill()
	eventually(t, 30*time.Second, "a replica takes over", func() error {
		if all := s.shards(); len(all) != 3 || hasKey(all, crashed) {
			return fmt.Errorf("%d masters", len(all))
		}
		return nil
	})
	d.awaitStatus("up")
	crashed.start()
	crashed.awaitHealthy()
	s.awaitMasters(1, 1, 1)
	w.end()
	if lost := w.lostIn(s, "demo"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged writes are lost, the first: %s", len(lost), len(w.acked), lost[0])
	}

	for _, n := range s.redis { // down and up
		n.stop()
	}
	for _, n := range s.redis {
		n.start()
	}
	s.mustCreate()
	s.awaitCluster()
	s.awaitMasters(1, 1, 1)
	d.awaitStatus("up")
	if lost := w.lostIn(s, "demo"); len(lost) > 0 {
		t.Errorf("a restart of all lost %d of %d keys, the first: %s", len(lost), len(w.acked), lost[0])
	}

	var emptied *node
	for n := range s.shards() {
		emptied = n
		break
	}
	emptied.kill()
	emptied.lose()
	emptied.start() // sooner than anybody notices
	eventually(t, 10*time.Second, "it hesitates", func() error {
		if !strings.Contains(emptied.log.String(), "this node has no data") {
			return errNotYet
		}
		return nil
	})
	eventually(t, 30*time.Second, "a replica takes over", func() error {
		if all := s.shards(); len(all) != 3 || hasKey(all, emptied) {
			return fmt.Errorf("%d masters", len(all))
		}
		return nil
	})
	emptied.awaitAlive()
	s.mustCreate()
	s.awaitMasters(1, 1, 1)
	s.awaitCluster()
	d.awaitStatus("up")
	if lost := w.lostIn(s, "demo"); len(lost) > 0 {
		t.Errorf("a node without data lost %d of %d keys, the first: %s", len(lost), len(w.acked), lost[0])
	}
	if nodes := s.redis[0].must("CLUSTER", "NODES"); strings.Contains(nodes, "noaddr") || strings.Contains(nodes, "fail") {
		t.Errorf("somebody still knows the node that is gone:\n%s", nodes)
	}
	for _, r := range s.refusals() {
		t.Errorf("somebody was refused something: %s", r)
	}
}

func hasKey(all map[*node]int, n *node) bool { _, ok := all[n]; return ok }

// TestTheClusterWithTLS: nodes and bus speak TLS, and a key goes through all of it.
func TestTheClusterWithTLS(t *testing.T) {
	t.Parallel()
	s := newComposeCluster(t, nil)
	s.certificates = filepath.Join(t.TempDir(), "certificates")
	s.files = append(s.files, "compose.cluster.tls.yml")
	if out, err := shell(t, s.certify(), certificates); err != nil {
		t.Fatalf("certificates.sh: %s %v", out, err)
	}
	for i, n := range s.redis {
		n.environ = append(n.environ, "TLS_DIR="+filepath.Join(s.certificates, fmt.Sprintf("redis-%d", i+1)))
	}
	s.startCluster()
	d := serve(t, s.clusterEnvironment())
	d.awaitStatus("up")
	w := d.write("demo")
	eventually(t, 10*time.Second, "100 writes", func() error {
		if n := d.keys(s, "demo"); n < 100 {
			return fmt.Errorf("%d keys", n)
		}
		return nil
	})
	w.end()
	if lost := w.lostIn(s, "demo"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged writes are lost, the first: %s", len(lost), len(w.acked), lost[0])
	}
	for _, n := range s.redis {
		if answer := plainAnswer(t, n.addr()); strings.Contains(answer, "PONG") || strings.Contains(answer, "NOAUTH") {
			t.Errorf("%s answers plain text: %q", n.addr(), answer)
		}
		if bus := n.must("CONFIG", "GET", "tls-cluster"); !strings.HasSuffix(bus, "yes") {
			t.Errorf("%s: %s", n.addr(), bus)
		}
	}
}

// keys counts what the masters hold of a class.
func (d *daemon) keys(s *set, class string) (all int) {
	for n := range s.shards() {
		all += len(strings.Fields(n.must("KEYS", s.prefix+class+":*")))
	}
	return all
}

// What cluster-form.sh meets that is no Cluster and not nothing.
func TestWhatIsNoWholeClusterIsNotOverwritten(t *testing.T) {
	t.Parallel()
	s := newComposeCluster(t, nil)
	for _, n := range s.redis {
		n.start()
	}
	for _, n := range s.redis {
		n.awaitAlive()
	}
	first := s.redis[0]
	first.must("CLUSTER", "ADDSLOTSRANGE", "0", "16383") // a run that was cut off
	eventually(t, 10*time.Second, "it serves its slots", func() error { _, err := first.ask("SET", "precious", "1"); return err })
	if out, err := s.create(); err == nil || !strings.Contains(out, first.addr()+" holds keys") {
		t.Fatalf("%v\n%s", err, out)
	}
	if v := first.must("GET", "precious"); v != "1" {
		t.Errorf("it holds %q", v)
	}
	first.must("DEL", "precious")
	s.mustCreate() // nothing can be lost: made anew
	s.awaitMasters(1, 1, 1)
}

func TestFaultsOfTheClusterAreFound(t *testing.T) {
	t.Parallel()
	t.Run("a node that is not there", func(t *testing.T) {
		t.Parallel()
		s := newComposeCluster(t, nil)
		for _, n := range s.redis[:5] {
			n.start()
		}
		s.redis = slices.Clone(s.redis)
		cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(s.scripts, "cluster-form.sh"))
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_NAME=create", "SECRETS_DIR=" + s.secrets, "NODES=" + addrs(s.redis), "FORM_LIMIT=3"}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "not within 3 s: every node answers") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("a setting that Redis does not know", func(t *testing.T) {
		t.Parallel()
		s := newComposeCluster(t, replace(t, "cluster.conf.tmpl", "cluster-enabled", "cluster-enable"))
		s.redis[0].start()
		select {
		case <-s.redis[0].exited:
		case <-time.After(15 * time.Second):
			t.Fatal("it goes on")
		}
		if log := s.redis[0].log.String(); !strings.Contains(log, "cluster-enable") {
			t.Errorf("its log:\n%s", log)
		}
	})
	t.Run("a right that evercache lacks", func(t *testing.T) {
		t.Parallel()
		s := newComposeCluster(t, replace(t, "cluster-users.acl.tmpl", "+cluster|nodes ", ""))
		n := s.redis[0]
		n.start()
		n.awaitAlive()
		if out, err := n.as("evercache", "redis-password", "CLUSTER", "NODES"); err == nil {
			t.Errorf("CLUSTER NODES: %q", out)
		}
		if out := n.must("--json", "ACL", "LIST"); !json.Valid([]byte(out)) || strings.Contains(out, "user sentinel") {
			t.Errorf("a user for sentinels that are not there: %s", out)
		}
	})
}

func TestEvercacheMayAskTheCluster(t *testing.T) {
	t.Parallel()
	s := newComposeCluster(t, nil)
	n := s.redis[0]
	n.start()
	n.awaitAlive()
	if wrong := n.refused("evercache", append(slices.Clone(allowed), "CLUSTER NODES", "CLUSTER INFO", "CLUSTER MYID", "ASKING")); len(wrong) > 0 {
		t.Errorf("refused: %s", strings.Join(wrong, "; "))
	}
	never := append(slices.Clone(forbidden), "CLUSTER FAILOVER", "CLUSTER RESET", "CLUSTER FORGET x", "CLUSTER ADDSLOTS 1", "CLUSTER MEET h 1")
	if wrong := n.refused("evercache", never); len(wrong) != len(never) {
		t.Errorf("not all is refused: only %s", strings.Join(wrong, "; "))
	}
	if _, err := n.script("health.sh", "cluster"); err == nil {
		t.Error("a node that is alone is healthy")
	}
}
