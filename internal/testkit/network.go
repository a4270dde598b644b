package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Network is hosts, their cables, and what runs on them. The hosts are network
// namespaces on two bridges:
//
//	the test ── near ══ link ══ far
//	             │               ├ host 1
//	             └ host 0        └ host 2
//
// A cut cable (a link set down) loses packets; nothing is reset. It needs root,
// ip(8) and Linux.
type Network struct {
	*testing.T
	Hosts []string // addresses

	number int // of the subnet, and in every name
	dir    string
}

// NewNetwork makes the near and the far side, and the link between them.
func NewNetwork(t *testing.T) *Network {
	t.Helper()
	n := &Network{T: t, dir: t.TempDir()}
	n.claim()
	far := n.name("f")
	n.ip("link", "add", far, "type", "bridge")
	n.Cleanup(func() { n.ip("link", "del", far) })
	n.ip("link", "set", far, "up")
	n.ip("link", "add", n.name("l"), "type", "veth", "peer", "name", n.name("m"))
	n.Cleanup(func() { n.ip("link", "del", n.name("l")) })
	n.ip("link", "set", n.name("l"), "master", n.name("n"), "up")
	n.ip("link", "set", n.name("m"), "master", far, "up")
	n.ip("addr", "add", n.address(1)+"/24", "dev", n.name("n"))
	return n
}

// claim makes the near bridge. Its name is the number of the subnet: two tests
// at once have two.
func (n *Network) claim() {
	n.Helper()
	for n.number = 1; n.number < 255; n.number++ {
		out, err := exec.Command("ip", "link", "add", n.name("n"), "type", "bridge").CombinedOutput()
		if err == nil {
			near := n.name("n")
			n.Cleanup(func() { n.ip("link", "del", near) })
			n.ip("link", "set", near, "up")
			return
		}
		if !strings.Contains(string(out), "exists") {
			n.Fatalf("ip link add: %v\n%s", err, out)
		}
	}
	n.Fatal("every subnet is taken: earlier runs have left bridges, see `ip link`")
}

// ip runs one ip(8) command.
func (n *Network) ip(args ...string) {
	n.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (n *Network) name(part string) string { return fmt.Sprintf("ec%d%s", n.number, part) }
func (n *Network) address(host int) string { return fmt.Sprintf("10.213.%d.%d", n.number, host) }
func (n *Network) cable(i int) string      { return n.name(fmt.Sprint("c", i)) }
func (n *Network) namespace(i int) string  { return n.name(fmt.Sprint("h", i)) }
func (n *Network) side(near bool) (br string) {
	return n.name(map[bool]string{true: "n", false: "f"}[near])
}

// Within are the words that run a program on a host.
func (n *Network) Within(host int) []string {
	return []string{"ip", "netns", "exec", n.namespace(host)}
}

// AddHost adds the next one, on the near or the far side.
func (n *Network) AddHost(near bool) {
	n.Helper()
	i := len(n.Hosts)
	host, cable := n.namespace(i), n.cable(i)
	n.Hosts = append(n.Hosts, n.address(10+i))
	n.ip("netns", "add", host)
	n.Cleanup(func() { n.ip("netns", "del", host) })
	n.ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host)
	n.Cleanup(func() { n.ip("link", "del", cable) }) // before its namespace, which goes when nothing runs there
	n.ip("link", "set", cable, "master", n.side(near), "up")
	n.ip("-n", host, "addr", "add", n.Hosts[i]+"/24", "dev", "eth0")
	n.ip("-n", host, "link", "set", "eth0", "up")
	n.ip("-n", host, "link", "set", "lo", "up")
}

// CutHost pulls the cable of a host.
func (n *Network) CutHost(i int) { n.ip("link", "set", n.cable(i), "down") }

// CutLink separates near from far.
func (n *Network) CutLink() { n.ip("link", "set", n.name("l"), "down") }

// Heal joins everything again.
func (n *Network) Heal() {
	n.ip("link", "set", n.name("l"), "up")
	for i := range n.Hosts {
		n.ip("link", "set", n.cable(i), "up")
	}
}

// StartServer starts a data node; that of host 0 is the first master.
func (n *Network) StartServer(i int) {
	conf := fmt.Sprintf("bind %s\nport 6379\nprotected-mode no\nsave \"\"\nrepl-diskless-sync-delay 0\n", n.Hosts[i])
	if i > 0 {
		conf += fmt.Sprintf("replicaof %s 6379\n", n.Hosts[0])
	}
	n.start(i, "redis-server", conf)
}

// StartSentinel starts a sentinel of the set "mymaster".
func (n *Network) StartSentinel(i int) {
	n.start(i, "redis-sentinel", fmt.Sprintf("bind %s\nport 26379\nprotected-mode no\nsentinel monitor mymaster %s 6379 2\n"+
		"sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 10000\n", n.Hosts[i], n.Hosts[0]))
}

func (n *Network) start(i int, program, conf string) {
	n.Helper()
	dir := filepath.Join(n.dir, fmt.Sprint(program, i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		n.Fatal(err)
	}
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf+"dir "+dir+"\nlogfile "+filepath.Join(dir, "log")+"\n"), 0o600); err != nil {
		n.Fatal(err)
	}
	words := append(n.Within(i), program, file)
	cmd := exec.Command(words[0], words[1:]...)
	if err := cmd.Start(); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() {
		_ = cmd.Process.Kill() // ip has become the program
		_ = cmd.Wait()
	})
}

// Ask sends one command by redis-cli.
func (n *Network) Ask(i int, port string, args ...string) string {
	return n.ask(append([]string{"redis-cli", "-h", n.Hosts[i], "-p", port}, args...))
}

// AskThere is Ask on the host itself, which may be cut off from the test.
func (n *Network) AskThere(i int, port string, args ...string) string {
	return n.ask(append(append(n.Within(i), "redis-cli", "-h", n.Hosts[i], "-p", port), args...))
}

func (n *Network) ask(words []string) string {
	ctx, cancel := context.WithTimeout(n.Context(), time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	return string(out)
}

// Until waits for a condition.
func (n *Network) Until(within time.Duration, what string, ok func() bool) {
	n.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.Fatalf("%s within %v", what, within)
		}
	}
}

// WaitHealthy waits until a failover is possible: each sentinel sees the others
// and all replicas. Meanwhile the sentinels look for each other ten times a second.
func (n *Network) WaitHealthy(sentinels []int, replicas int) {
	n.Helper()
	n.pace(sentinels, "100", "100", "100", "100")
	n.Until(time.Minute, "the set is not healthy", func() bool {
		time.Sleep(50 * time.Millisecond) // a command is a process
		for _, i := range sentinels {
			if !strings.HasPrefix(n.Ask(i, "26379", "SENTINEL", "CKQUORUM", "mymaster"), fmt.Sprintf("OK %d usable", len(sentinels))) ||
				strings.Count(n.Ask(i, "26379", "SENTINEL", "REPLICAS", "mymaster"), "master-link-status\nok") != replicas {
				return false
			}
		}
		return true
	})
	n.pace(sentinels, "10000", "2000", "1000", "1000")
}

// pace says how many milliseconds lie between a sentinel's questions. Redis before
// 7 keeps its own pace, and everything takes longer.
func (n *Network) pace(sentinels []int, info, publish, ask, ping string) {
	n.Helper()
	for _, i := range sentinels {
		n.Until(20*time.Second, "a sentinel does not start", func() bool {
			return strings.HasPrefix(n.Ask(i, "26379", "PING"), "PONG")
		})
		n.Ask(i, "26379", "SENTINEL", "DEBUG", "INFO-PERIOD", info, "PUBLISH-PERIOD", publish, "ASK-PERIOD", ask, "PING-PERIOD", ping)
	}
}
