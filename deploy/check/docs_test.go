package check

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are those whose commands are run. A block says by whom: check=NAME by
// the tests of this package, live=NAME by live.sh, which wants an engine. host=NAME
// needs what no test has: systemd, a Kubernetes, somebody else's Redis.
var documents = []string{
	"docs/quick-reference.md", "docs/guide/failover-test.md", "docs/guide/migrate.md",
	"docs/guide/compose.md", "docs/guide/systemd.md", "docs/guide/kubernetes.md", "docs/guide/managed-redis.md",
}

// runHere are the blocks that the tests of a document run.
var runHere = map[string][]string{
	"docs/guide/migrate.md": {
		"replicas", "min-replicas", "sentinel", "quorum", "sentinel-mode", "health", "failover", "who", "single-mode", "remove",
	},
	"docs/guide/systemd.md":    {"settings", "redis", "replica", "sentinel", "evercache"},
	"docs/guide/kubernetes.md": {"secrets", "certificates"},
}

// notHere are the blocks that nobody can run here, by document.
var notHere = map[string][]string{
	"docs/guide/systemd.md":       {"stop", "redis-start", "sentinel-start", "evercache-start", "afterwards"},
	"docs/guide/kubernetes.md":    {"apply", "look"},
	"docs/guide/managed-redis.md": {"ask"},
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)(?: (\\w+)=([\\w-]+))?\n(.*?)^```$")

// block is a fenced part of a document.
type block struct{ lang, by, name, text string }

func blocks(text string) (all []block) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		all = append(all, block{m[1], m[2], m[3], m[4]})
	}
	return all
}

// idle lists the blocks that nobody runs.
func idle(document, text, live string) (all []string) {
	for _, b := range blocks(text) {
		switch {
		case b.lang == "text": // it only shows, and says so
		case b.by == "check" && slices.Contains(runHere[document], b.name):
		case b.by == "host" && slices.Contains(notHere[document], b.name):
		case b.by == "live" && regexp.MustCompile(`block `+regexp.QuoteMeta(document+" "+b.name)+`\s`).MatchString(live):
		default:
			all = append(all, fmt.Sprintf("%s: nobody runs %s=%s:\n%s", document, b.by, b.name, b.text))
		}
	}
	return all
}

func TestEveryDocumentedCommandIsRun(t *testing.T) {
	live := read(t, "../live.sh") + read(t, "../live/tls.sh") + read(t, "../live/cluster.sh") + read(t, "../live/monitoring.sh")
	for _, document := range documents {
		text := read(t, filepath.Join("../..", document))
		if len(blocks(text))*2 != strings.Count(text, "```") {
			t.Errorf("%s: not every block can be read", document)
		}
		for _, f := range idle(document, text, live) {
			t.Error(f)
		}
	}
	for planted, want := range map[string]string{
		"```sh\nls\n```\n":                "nobody runs =",
		"```sh check=nonsense\nls\n```\n": "nobody runs check=nonsense",
		"```sh live=nonsense\nls\n```\n":  "nobody runs live=nonsense",
	} {
		if found := idle("docs/quick-reference.md", planted, live); len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%q: found %q", planted, found)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestTheDocumentsLinkToFilesThatExist(t *testing.T) {
	for _, document := range documents {
		for _, m := range link.FindAllStringSubmatch(read(t, filepath.Join("../..", document)), -1) {
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(document), m[1])); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}

// migration runs the blocks of migrate.md on processes of loopback.
type migration struct {
	t         *testing.T
	redis     []string // ports
	sentinels []string
	text      string
	daemon    *daemon // the instance that answers on localhost:3000
}

// block is one of the document with the names of this machine.
func (m *migration) block(name string) string {
	m.t.Helper()
	for _, b := range blocks(m.text) {
		if b.name == name {
			return m.here(b.text)
		}
	}
	m.t.Fatalf("migrate.md has no block %s", name)
	return ""
}

func (m *migration) here(text string) string {
	var old []string
	for i, port := range m.redis {
		name := fmt.Sprintf("redis-%d", i+1)
		old = append(old, "-h "+name, "-h 127.0.0.1 -p "+port, name+" 6379", "127.0.0.1 "+port)
	}
	for i, port := range m.sentinels {
		name := fmt.Sprintf("sentinel-%d", i+1)
		old = append(old, "-h "+name+" -p 26379", "-h 127.0.0.1 -p "+port, name+":26379", "127.0.0.1:"+port)
	}
	if m.daemon != nil {
		old = append(old, "localhost:3000", strings.TrimPrefix(m.daemon.url, "http://"))
	}
	return strings.NewReplacer(old...).Replace(text)
}

// run runs a block and returns what it printed.
func (m *migration) run(name string) string {
	m.t.Helper()
	out, err := shell(m.t, nil, "sh", "-euc", m.block(name))
	if err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
	return out
}

// awaitOutput repeats a block until it prints something.
func (m *migration) awaitOutput(name, want string, times int) {
	m.t.Helper()
	eventually(m.t, 30e9, name+" prints "+want, func() error {
		out, err := shell(m.t, nil, "sh", "-euc", m.block(name))
		if err == nil && strings.Count(out, want) != times {
			err = fmt.Errorf("it prints %s", out)
		}
		return err
	})
}

// env reads a block of NAME=value lines.
func (m *migration) env(name string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(m.block(name)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		all[k] = v
	}
	return all
}

// restart replaces the instance by one with other settings, as a rolling restart
// does: first the new one, then the end of the old one.
func (m *migration) restart(env map[string]string) {
	m.t.Helper()
	old := m.daemon
	m.daemon = serve(m.t, env)
	m.daemon.awaitStatus("up")
	if status := old.end(m.t); status != 0 {
		m.t.Errorf("the old instance ends with status %d; its log:\n%s", status, tail(old.log.String()))
	}
}

func (m *migration) startRedis() string {
	port, dir := freePort(m.t), m.t.TempDir()
	spawn(m.t, nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--repl-diskless-sync-delay", "0")
	eventually(m.t, 10e9, "redis-server", func() error { _, err := m.cli(port, "PING"); return err })
	return port
}

func (m *migration) cli(port string, args ...string) (string, error) {
	return shell(m.t, nil, append([]string{"redis-cli", "-e", "-p", port}, args...)...)
}

func (m *migration) startSentinel() {
	port, dir := freePort(m.t), m.t.TempDir()
	conf := strings.NewReplacer("port 26379", "port "+port+"\ndir "+dir, "3000", "1000").Replace(m.block("sentinel"))
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		m.t.Fatal(err)
	}
	spawn(m.t, nil, "redis-sentinel", file)
	m.sentinels = append(m.sentinels, port)
}

// put writes a key through the instance of the moment and, where a master is
// known, finds it there.
func (m *migration) put(key, at string) {
	m.t.Helper()
	if status, text, err := m.daemon.call(m.t.Context(), "PUT", "/v1/cache/demo/"+key+"?ttl=10m", key); err != nil || status != 204 {
		m.t.Fatalf("PUT %s: %d %s %v", key, status, text, err)
	}
	eventually(m.t, 10e9, key+" is on the master", func() error {
		v, err := m.cli(at, "GET", "demo:"+key)
		if err == nil && v != key {
			err = fmt.Errorf("it holds %q", v)
		}
		return err
	})
}

func TestTheMigration(t *testing.T) {
	t.Parallel()
	m := &migration{t: t, text: read(t, "../../docs/guide/migrate.md")}
	m.redis = append(m.redis, m.startRedis())
	before := map[string]string{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": m.redis[0]}
	m.daemon = serve(t, before)
	m.daemon.awaitStatus("up")
	m.put("first", m.redis[0])

	m.redis = append(m.redis, m.startRedis(), m.startRedis())
	m.run("replicas")
	m.awaitOutput("replicas", "state=online", 2)
	m.run("min-replicas")
	for range 3 {
		m.startSentinel()
	}
	m.awaitOutput("quorum", "OK 3 usable Sentinels", 3)
	m.put("second", m.redis[0])

	after := maps.Clone(before)
	maps.Copy(after, m.env("sentinel-mode"))
	m.restart(after)
	m.put("third", m.redis[0])
	m.awaitOutput("health", `"mode": "sentinel"`, 1)
	eventually(t, 30e9, "the sentinels know the replicas", func() error { _, err := shell(t, nil, "sh", "-euc", m.block("failover")); return err })

	var host, port string
	eventually(t, 30e9, "two sentinels name another master", func() error {
		words := strings.Fields(m.run("who"))
		if len(words) != 4 || words[1] != words[3] || words[1] == m.redis[0] {
			return fmt.Errorf("they name %q", words)
		}
		host, port = words[0], words[1]
		return nil
	})
	m.daemon.awaitStatus("up")
	m.put("fourth", port)

	back := maps.Clone(after)
	maps.Copy(back, m.env("single-mode"))
	back["REDIS_HOST"], back["REDIS_PORT"] = host, port
	m.restart(back)
	m.run("remove")
	m.put("fifth", port)
	for _, key := range []string{"first", "second", "third", "fourth", "fifth"} {
		if v, err := m.cli(port, "GET", "demo:"+key); v != key {
			t.Errorf("%s: the master holds %q, %v", key, v, err)
		}
	}
}
