package check

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const conf = "../conf"

// otherwise is where the files without containers differ from those of compose, and why.
var otherwise = []struct{ file, compose, conf, why string }{
	{"redis.conf", "aclfile @DATA_DIR@/users.acl", "aclfile @CONF_DIR@/users.acl", "a container has one folder that is its own"},
	{"redis.conf", "", "supervised auto", "systemd starts it, and wants to hear that it is ready"},
	{"sentinel.conf", "port @PORT@", "port @SENTINEL_PORT@", "the settings of a machine are about Redis and Sentinel"},
	{"sentinel.conf", "sentinel announce-port @PORT@", "sentinel announce-port @SENTINEL_PORT@", "the same"},
	{"sentinel.conf", "aclfile @DATA_DIR@/users.acl", "aclfile @CONF_DIR@/sentinel-users.acl", "both may be on one machine"},
	{"sentinel.conf", "sentinel monitor @MASTER_NAME@ @MASTER_HOST@ @MASTER_PORT@ @QUORUM@", "sentinel monitor @MASTER_NAME@ @FIRST_MASTER@ @PORT@ @QUORUM@", "a container may join a set that has another master"},
	{"sentinel.conf", "", "supervised auto", "as for Redis"},
}

// settingsOf lists the lines of a file that are no comments. What only a container
// knows is left out: whether the server takes CLIENT SETINFO.
func settingsOf(text string) (all []string) {
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(strings.ReplaceAll(line, "@SETINFO@", "")), " ")
		if line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

// disagreements compares a file with the template of compose.
func disagreements(name, composed, text string) (all []string) {
	want, have := settingsOf(composed), settingsOf(text)
	for _, o := range otherwise {
		if o.file != name {
			continue
		}
		if i := slices.Index(want, o.compose); i >= 0 {
			want = slices.Delete(want, i, i+1)
		} else if o.compose != "" {
			all = append(all, "compose no longer has "+o.compose)
		}
		want = append(want, o.conf)
	}
	for _, s := range want {
		if !slices.Contains(have, s) {
			all = append(all, name+" lacks "+s)
		}
	}
	for _, s := range have {
		if !slices.Contains(want, s) {
			all = append(all, name+" has "+s+", compose has not")
		}
	}
	return all
}

func TestTheFilesWithoutContainersAgreeWithThoseOfCompose(t *testing.T) {
	for name, template := range map[string]string{
		"redis.conf": "redis.conf.tmpl", "sentinel.conf": "sentinel.conf.tmpl", "users.acl": "redis-users.acl.tmpl", "sentinel-users.acl": "sentinel-users.acl.tmpl",
	} {
		composed, text := read(t, filepath.Join(compose, "set", template)), read(t, filepath.Join(conf, name))
		for _, f := range disagreements(name, composed, text) {
			t.Error(f)
		}
		settings := settingsOf(text)
		planted := strings.Replace(text, settings[len(settings)-1], settings[len(settings)-1]+" x", 1)
		if found := disagreements(name, composed, planted); len(found) != 2 {
			t.Errorf("%s: another setting: found %q", name, found)
		}
	}
}

// plainSet is a set from the files of deploy/conf, as its page says.
type plainSet struct {
	t        *testing.T
	settings map[string]string
	secrets  string
	redis    []*plainNode
	sentinel []*plainNode
}

type plainNode struct {
	set             *plainSet
	kind, port, dir string
	*process
}

func newPlainSet(t *testing.T) *plainSet {
	t.Helper()
	s := &plainSet{t: t, settings: map[string]string{}, secrets: filepath.Join(t.TempDir(), "secrets")}
	for line := range strings.Lines(read(t, filepath.Join(conf, "settings.example"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			s.settings[name] = value
		}
	}
	if out, err := exec.Command("sh", filepath.Join(compose, "setup.sh"), s.secrets).CombinedOutput(); err != nil {
		t.Fatalf("setup.sh: %v\n%s", err, out)
	}
	for name := range s.settings {
		if word, ok := strings.CutSuffix(name, "_PASSWORD"); ok {
			s.settings[name] = read(t, filepath.Join(s.secrets, strings.ToLower(word)+"-password"))
		}
	}
	maps.Copy(s.settings, map[string]string{"SECRETS_DIR": "/nowhere", "NODE_NAME": "127.0.0.1", "FIRST_MASTER": "127.0.0.1", "KEY_PREFIX": "shop:", "DOWN_AFTER_MS": "1000", "FAILOVER_TIMEOUT_MS": "5000"})
	for range 3 {
		s.redis = append(s.redis, &plainNode{set: s, kind: "redis", port: freePort(t), dir: t.TempDir()})
		s.sentinel = append(s.sentinel, &plainNode{set: s, kind: "sentinel", port: freePort(t), dir: t.TempDir()})
	}
	for i, n := range append(slices.Clone(s.redis), s.sentinel...) {
		n.install(i > 0 && n.kind == "redis")
	}
	return s
}

// render runs render.sh with the settings of the node.
func (n *plainNode) render(file string) (string, error) {
	settings := maps.Clone(n.set.settings)
	settings["CONF_DIR"], settings["DATA_DIR"] = n.dir, n.dir
	settings["PORT"] = n.set.redis[0].port
	if n.kind == "redis" {
		settings["PORT"] = n.port
	}
	settings["SENTINEL_PORT"] = n.port
	var lines strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&lines, "%s=%s\n", name, value)
	}
	name := filepath.Join(n.dir, "settings")
	if err := os.WriteFile(name, []byte(lines.String()), 0o600); err != nil {
		return "", err
	}
	return shell(n.set.t, nil, "sh", filepath.Join(conf, "render.sh"), name, file)
}

func (n *plainNode) install(replica bool) {
	n.set.t.Helper()
	files := []string{"redis.conf", "users.acl"}
	if n.kind == "sentinel" {
		files = []string{"sentinel.conf", "sentinel-users.acl"}
	}
	for _, file := range files {
		text, err := n.render(file)
		if err != nil {
			n.set.t.Fatal(err)
		}
		if replica && file == "redis.conf" {
			text += "\nreplicaof 127.0.0.1 " + n.set.redis[0].port
		}
		if err := os.WriteFile(filepath.Join(n.dir, file), []byte(text+"\n"), 0o600); err != nil {
			n.set.t.Fatal(err)
		}
	}
}

func (n *plainNode) start() {
	n.set.t.Helper()
	if n.kind == "sentinel" {
		n.process = spawn(n.set.t, nil, "redis-sentinel", filepath.Join(n.dir, "sentinel.conf"))
		return
	}
	n.process = spawn(n.set.t, nil, "redis-server", filepath.Join(n.dir, "redis.conf"))
}

func (n *plainNode) ask(args ...string) (string, error) {
	cli := []string{"redis-cli", "-e", "-p", n.port, "--user", "admin", "--no-auth-warning"}
	return shell(n.set.t, []string{"REDISCLI_AUTH=" + n.set.settings["ADMIN_PASSWORD"]}, append(cli, args...)...)
}

func TestTheSetWithoutContainersFailsOver(t *testing.T) {
	t.Parallel()
	s := newPlainSet(t)
	for _, n := range append(slices.Clone(s.redis), s.sentinel...) {
		n.start()
	}
	for _, n := range s.sentinel {
		eventually(t, 30*time.Second, "the sentinels know each other and the replicas", func() error {
			out, err := n.ask("SENTINEL", "CKQUORUM", "mymaster")
			if err == nil && !strings.HasPrefix(out, "OK 3 usable") {
				err = fmt.Errorf("%s", out)
			}
			if err == nil {
				out, err = n.ask("SENTINEL", "MASTER", "mymaster")
				if !strings.Contains(out, "num-slaves\n2\n") {
					err = errNotYet
				}
			}
			return err
		})
	}
	first := s.redis[0]
	script := "redis.call('HSET', KEYS[1], 'f', 'v') redis.call('ZADD', KEYS[2], 1, 'm') return 1"
	if out, err := first.ask("EVAL", script, "2", "shop:h", "shop:z"); err != nil {
		t.Fatalf("%q, %v", out, err)
	}
	if out, err := first.ask("WAIT", "2", "5000"); err != nil || out != "2" {
		t.Fatalf("%q, %v", out, err)
	}
	first.kill()
	eventually(t, 30*time.Second, "another node is the master", func() error {
		out, err := s.sentinel[1].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
		if err == nil && strings.HasSuffix(out, "\n"+first.port) {
			err = errNotYet
		}
		return err
	})
	first.start()
	eventually(t, 30*time.Second, "the old master follows, with all it had", func() error {
		info, err := first.ask("INFO", "replication")
		if err != nil {
			return err
		}
		if !strings.Contains(info, "role:slave") || !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("%s", info)
		}
		out, err := first.ask("EXISTS", "shop:h", "shop:z")
		if err == nil && out != "2" {
			err = fmt.Errorf("%s of 2 keys", out)
		}
		return err
	})
	for _, n := range append(slices.Clone(s.redis), s.sentinel...) {
		if log, err := n.ask("--json", "ACL", "LOG"); err != nil || log != "[]" {
			t.Errorf("somebody was refused something: %s %v", log, err)
		}
	}
}

func TestASettingThatIsMissingOrSpoilsAFileIsRefused(t *testing.T) {
	for what, planted := range map[string]struct{ name, value, want string }{
		"a password that would break the file": {"REDIS_PASSWORD", "a|b ~* +@all", "REDIS_PASSWORD: only letters"},
		"a password that ends with =":          {"REDIS_PASSWORD", "abc=", "REDIS_PASSWORD: only letters"},
		"no password":                          {"ADMIN_PASSWORD", "", "does not say @ADMIN_PASSWORD@"},
		"a name of another form":               {"node-name", "x", "node-name: a setting"},
	} {
		s := newPlainSet(t)
		s.settings[planted.name] = planted.value
		out, err := s.redis[0].render("users.acl")
		if out != "" || err == nil || !strings.Contains(err.Error(), planted.want) || planted.value != "" && planted.value != "x" && strings.Contains(err.Error(), planted.value) {
			t.Errorf("%s: %q, %v; want %q", what, out, err, planted.want)
		}
	}
}
