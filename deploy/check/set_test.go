package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// compose is the folder that is checked.
const compose = "../compose"

// set is the three Redis nodes and three sentinels of compose.yml, on loopback:
// started by the same scripts from the same templates with the same users, only the
// names are ports. It differs in the periods, which are short.
type set struct {
	t         *testing.T
	scripts   string // the folder that compose.yml mounts as /set
	secrets   string
	redis     []*node
	sentinels []*node
	prefix    string // of the keys

	files        []string // the compose files whose environment evercache gets
	certificates string   // what certificates.sh has made; "": no TLS
}

// node is one of the containers.
type node struct {
	kind, port, dir string
	environ         []string
	pod             bool // started as in a pod of Kubernetes
	set             *set
	*process
}

func (n *node) addr() string { return "127.0.0.1:" + n.port }

// newSet prepares a set and starts nothing. edit may spoil the scripts and templates.
func newSet(t *testing.T, edit func(scripts string)) *set {
	t.Helper()
	s := &set{t: t, scripts: filepath.Join(t.TempDir(), "set"), secrets: filepath.Join(t.TempDir(), "secrets"), prefix: "shop:", files: []string{"compose.yml"}}
	if err := os.CopyFS(s.scripts, os.DirFS(filepath.Join(compose, "set"))); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(s.scripts)
	}
	if out, err := exec.Command("sh", filepath.Join(compose, "setup.sh"), s.secrets).CombinedOutput(); err != nil {
		t.Fatalf("setup.sh: %v\n%s", err, out)
	}
	for range 3 {
		s.redis = append(s.redis, &node{kind: "redis", port: freePort(t), dir: t.TempDir(), set: s})
		s.sentinels = append(s.sentinels, &node{kind: "sentinel", port: freePort(t), dir: t.TempDir(), set: s})
	}
	for _, n := range s.nodes() {
		n.environ = []string{
			"NODE_NAME=127.0.0.1", "PORT=" + n.port, "DATA_DIR=" + n.dir, "SECRETS_DIR=" + s.secrets,
			"FIRST_MASTER=" + s.redis[0].addr(), "NODES=" + addrs(s.redis), "SENTINELS=" + addrs(s.sentinels),
			"KEY_PREFIX=" + s.prefix, "MAXMEMORY=64mb", "DOWN_AFTER_MS=1000", "FAILOVER_TIMEOUT_MS=5000",
			"FOUNDING_WAIT=2", "PERMIT=" + filepath.Join(n.dir, "start-empty"),
		}
	}
	return s
}

func (s *set) nodes() []*node { return append(append([]*node(nil), s.redis...), s.sentinels...) }

func addrs(nodes []*node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.addr())
	}
	return strings.Join(all, " ")
}

// start starts the whole set in the order of compose.yml and returns when every
// health check is content.
func (s *set) start() {
	s.t.Helper()
	for _, nodes := range [][]*node{s.redis, s.sentinels} {
		for _, n := range nodes {
			n.start()
		}
		for _, n := range nodes {
			n.awaitHealthy()
		}
	}
}

func (n *node) start() {
	n.set.t.Helper()
	args := []string{"sh", filepath.Join(n.set.scripts, n.kind+".sh")}
	if n.pod {
		args = []string{"sh", filepath.Join(n.set.scripts, "pod.sh"), n.kind + ".sh"}
	}
	n.process = spawn(n.set.t, n.environ, args...)
}

func (n *node) awaitHealthy() {
	n.set.t.Helper()
	eventually(n.set.t, time.Minute, "health of "+n.kind+" "+n.port, func() error {
		_, err := n.script("health.sh", n.kind)
		if err != nil {
			return fmt.Errorf("%w; its log:\n%s", err, tail(n.log.String()))
		}
		return nil
	})
}

var errNotYet = errors.New("not yet")

func tail(log string) string { return log[max(0, len(log)-2000):] }

// script runs one of the scripts as in the container of the node.
func (n *node) script(name string, args ...string) (string, error) {
	return shell(n.set.t, n.environ, append([]string{"sh", filepath.Join(n.set.scripts, name)}, args...)...)
}

// shell runs a program to its end and returns what it printed.
func shell(t *testing.T, environ []string, args ...string) (string, error) {
	t.Helper()
	return feed(t, "", environ, args...)
}

// feed is shell with something to read.
func feed(t *testing.T, input string, environ []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s%s", err, out, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// ask sends a command as admin.
func (n *node) ask(args ...string) (string, error) { return n.script("cli.sh", args...) }

func (n *node) must(args ...string) string {
	n.set.t.Helper()
	out, err := n.ask(args...)
	if err != nil {
		n.set.t.Fatalf("%s %s: %v", n.kind, args, err)
	}
	return out
}

// write writes a key. A master takes writes once it has heard of its replica: a healthy
// replica may not have told it yet.
func (n *node) write(key, value string) {
	n.set.t.Helper()
	eventually(n.set.t, time.Minute, "it takes writes", func() error { _, err := n.ask("SET", key, value); return err })
}

// as runs redis-cli as one of the other users.
func (n *node) as(user, secret string, args ...string) (string, error) {
	password, err := os.ReadFile(filepath.Join(n.set.secrets, secret))
	if err != nil {
		n.set.t.Fatal(err)
	}
	cli := []string{"redis-cli", "-e", "-p", n.port, "--user", user, "--no-auth-warning"}
	return shell(n.set.t, []string{"REDISCLI_AUTH=" + string(password)}, append(cli, args...)...)
}

// running leaves out what was killed.
func running(nodes []*node) (up []*node) {
	for _, n := range nodes {
		if n.process == nil {
			continue
		}
		select {
		case <-n.exited:
		default:
			up = append(up, n)
		}
	}
	return up
}

// master is the node that the first living sentinel names.
func (s *set) master() *node {
	s.t.Helper()
	named := running(s.sentinels)[0].must("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
	for _, n := range s.redis {
		if strings.HasSuffix(named, "\n"+n.port) {
			return n
		}
	}
	s.t.Fatalf("the sentinels name %q, which is no node of ours", named)
	return nil
}

// awaitMaster waits until all living sentinels name the same master, which is not
// old, and every other node that runs follows it.
func (s *set) awaitMaster(old *node) *node {
	s.t.Helper()
	var now *node
	eventually(s.t, time.Minute, "one master, followed by all", func() error {
		if now = s.master(); now == old {
			return errors.New("it is the old one")
		}
		for _, n := range running(s.sentinels) {
			if named := n.must("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"); !strings.HasSuffix(named, "\n"+now.port) {
				return fmt.Errorf("sentinel %s names %q", n.port, named)
			}
		}
		for _, n := range running(s.redis) {
			want := "role:slave"
			if n == now {
				want = "role:master"
			}
			info, err := n.ask("INFO", "replication")
			if err != nil {
				return fmt.Errorf("%w; its log:\n%s", err, tail(n.log.String()))
			}
			if !strings.Contains(info, want) || n != now && (!strings.Contains(info, "master_link_status:up") || !strings.Contains(info, "master_port:"+now.port)) {
				return fmt.Errorf("%s: %s", n.port, info)
			}
		}
		return nil
	})
	return now
}

// refusal is an entry of ACL LOG.
type refusal struct{ Reason, Object, Username, Context string }

// tried is what evercache does without where it is refused: to close connections that
// it has left behind, and to read the node timeout of a Cluster. Both commands could do
// harm in the hands of others.
var tried = []string{"client|kill", "config|get"}

// refusals lists what ACL LOG holds on all nodes: whoever was refused something.
func (s *set) refusals() []string {
	s.t.Helper()
	var all []string
	for _, n := range append(running(s.redis), running(s.sentinels)...) {
		var entries []refusal
		if err := json.Unmarshal([]byte(n.must("--json", "ACL", "LOG")), &entries); err != nil {
			s.t.Fatal(err)
		}
		for _, e := range entries {
			if e.Username != "evercache" || !slices.Contains(tried, e.Object) {
				all = append(all, fmt.Sprintf("%s %+v", n.kind, e))
			}
		}
	}
	return all
}
