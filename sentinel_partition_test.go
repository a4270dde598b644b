//go:build netns

package evercache_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
)

// These tests need root, ip(8) and network namespaces; `make test-net` runs
// them. Each starts three hosts, namespaces with a server and a sentinel each,
// on two bridges:
//
//	client ── near ══ link ══ far
//	           │               ├ host 1
//	           └ host 0        └ host 2
//
// A cut cable (a link set down) loses packets; nothing is reset.

// network is the hosts, their cables, and what runs on them.
type network struct {
	*testing.T
	id    string
	dir   string
	hosts []string // addresses
}

const subnet = "10.213.78."

// ip runs one ip(8) command.
func (n *network) ip(args ...string) {
	n.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (n *network) name(part string) string { return "ec" + n.id + part }

func startNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{T: t, id: fmt.Sprintf("%x", os.Getpid()%0xffff), dir: t.TempDir()}
	near, far := n.name("n"), n.name("f")
	for _, bridge := range []string{near, far} {
		n.ip("link", "add", bridge, "type", "bridge")
		t.Cleanup(func() { n.ip("link", "del", bridge) })
		n.ip("link", "set", bridge, "up")
	}
	n.ip("link", "add", n.name("l"), "type", "veth", "peer", "name", n.name("m"))
	t.Cleanup(func() { n.ip("link", "del", n.name("l")) })
	n.ip("link", "set", n.name("l"), "master", near, "up")
	n.ip("link", "set", n.name("m"), "master", far, "up")
	n.ip("addr", "add", subnet+"1/24", "dev", near)
	for i, bridge := range []string{near, far, far} {
		n.addHost(i, bridge)
	}
	for i := range n.hosts {
		n.startServer(i)
	}
	for i := range n.hosts {
		n.startSentinel(i)
	}
	n.waitHealthy()
	return n
}

func (n *network) addHost(i int, bridge string) {
	n.Helper()
	host, cable := n.name(fmt.Sprint("h", i)), n.cable(i)
	n.hosts = append(n.hosts, fmt.Sprint(subnet, 10+i))
	n.ip("netns", "add", host)
	n.Cleanup(func() { n.ip("netns", "del", host) })
	n.ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host)
	n.Cleanup(func() { n.ip("link", "del", cable) }) // before its namespace, which goes when nothing runs there
	n.ip("link", "set", cable, "master", bridge, "up")
	n.ip("-n", host, "addr", "add", n.hosts[i]+"/24", "dev", "eth0")
	n.ip("-n", host, "link", "set", "eth0", "up")
	n.ip("-n", host, "link", "set", "lo", "up")
}

func (n *network) cable(i int) string { return n.name(fmt.Sprint("c", i)) }

// cutHost pulls the cable of a host; cutLink separates near from far.
func (n *network) cutHost(i int) { n.ip("link", "set", n.cable(i), "down") }
func (n *network) cutLink()      { n.ip("link", "set", n.name("l"), "down") }

func (n *network) heal() {
	n.ip("link", "set", n.name("l"), "up")
	for i := range n.hosts {
		n.ip("link", "set", n.cable(i), "up")
	}
}

func (n *network) startServer(i int) {
	conf := fmt.Sprintf("bind %s\nport 6379\nprotected-mode no\nsave \"\"\nrepl-diskless-sync-delay 0\n", n.hosts[i])
	if i > 0 {
		conf += fmt.Sprintf("replicaof %s 6379\n", n.hosts[0])
	}
	n.start(i, "redis-server", conf)
}

func (n *network) startSentinel(i int) {
	n.start(i, "redis-sentinel", fmt.Sprintf("bind %s\nport 26379\nprotected-mode no\nsentinel monitor mymaster %s 6379 2\n"+
		"sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 10000\n", n.hosts[i], n.hosts[0]))
}

func (n *network) start(i int, program, conf string) {
	n.Helper()
	dir := filepath.Join(n.dir, fmt.Sprint(program, i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		n.Fatal(err)
	}
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf+"dir "+dir+"\nlogfile "+filepath.Join(dir, "log")+"\n"), 0o600); err != nil {
		n.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", n.name(fmt.Sprint("h", i)), program, file)
	if err := cmd.Start(); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() {
		_ = cmd.Process.Kill() // ip has become the program
		_ = cmd.Wait()
	})
}

// ask sends one command by redis-cli.
func (n *network) ask(i int, port string, args ...string) string {
	ctx, cancel := context.WithTimeout(n.Context(), time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "redis-cli", append([]string{"-h", n.hosts[i], "-p", port}, args...)...).CombinedOutput()
	return string(out)
}

func (n *network) until(within time.Duration, what string, ok func() bool) {
	n.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.Fatalf("%s within %v", what, within)
		}
	}
}

func (n *network) waitHealthy() {
	n.Helper()
	n.until(30*time.Second, "the set is not healthy", func() bool {
		for i := range n.hosts {
			if !strings.HasPrefix(n.ask(i, "26379", "SENTINEL", "CKQUORUM", "mymaster"), "OK 3 usable") ||
				strings.Count(n.ask(i, "26379", "SENTINEL", "REPLICAS", "mymaster"), "master-link-status\nok") != 2 {
				return false
			}
		}
		return true
	})
}

// separated is a client at work in the network.
type separated struct {
	*network
	client *evercache.Client
	run    *chaos.Run
	truth  *chaos.Truth
}

func (n *network) work() *separated {
	n.Helper()
	var addrs []string
	var nodes []chaos.Node
	for _, h := range n.hosts {
		addrs = append(addrs, h+":26379")
		nodes = append(nodes, chaos.Node{Addr: h + ":6379"})
	}
	c, err := evercache.Open(n.Context(), evercache.Options{
		Sentinels: addrs, MasterName: "mymaster",
		Logger: slog.New(slog.NewTextHandler(n.Output(), nil)),
	})
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { c.Close() })
	cache, err := evercache.NewCache[string](c, strings.TrimSuffix(class, ":"), evercache.Policy{TTL: time.Hour, Stale: time.Hour, L1TTL: evercache.Never})
	if err != nil {
		n.Fatal(err)
	}
	s := &separated{network: n, client: c}
	s.until(5*time.Second, "not connected", func() bool { return s.stage() == "clear" })
	l := chaos.Load{Store: caching{cache}, Writers: writers, Readers: readers, Prefix: class + "w-", Known: []string{class + "known"}}
	if err := l.Seed(n.Context()); err != nil {
		n.Fatal(err)
	}
	s.truth = chaos.Watch(nodes...)
	s.run = l.Start()
	n.Cleanup(s.run.Stop)
	n.Cleanup(s.truth.Stop)
	time.Sleep(200 * time.Millisecond)
	return s
}

func (s *separated) stage() string { return s.client.Health().Sentinel.Stage }

// end judges the run by what the master that the client has ended with holds.
func (s *separated) end(fault time.Time, limits chaos.Limits) chaos.Summary {
	s.Helper()
	s.run.Stop()
	s.until(5*time.Second, "the replay does not end", func() bool {
		h := s.client.Health()
		return h.State == evercache.Connected && h.OutboxEntries == 0 && !h.Sentinel.Provisional
	})
	h := s.client.Health()
	facts := s.run.Facts()
	facts.Fault = fault
	if p, ok := s.truth.Promoted(fault, h.Master, s.hosts[0]+":6379"); ok {
		facts.Promoted = p.At
	}
	var err error
	if facts.Unheld, err = chaos.Unheld(s.Context(), chaos.Node{Addr: h.Master}, s.run.History); err != nil {
		s.Fatal(err)
	}
	sum := chaos.Sum(s.run.History.Calls(), facts)
	for _, b := range sum.Breaches(limits) {
		s.Error(b)
	}
	if f := h.Sentinel.Failovers; h.Sentinel.FailoverCount != 1 || len(f) != 1 || f[0].To != h.Master {
		s.Errorf("failovers %d: %+v", h.Sentinel.FailoverCount, f)
	}
	return sum
}

func partitionLimits() chaos.Limits {
	return chaos.Limits{LongestRead: 150 * time.Millisecond, LongestWrite: 350 * time.Millisecond}
}

// TestPartitionTheMasterAndOneSentinelAreCutOff from the client and the rest.
func TestPartitionTheMasterAndOneSentinelAreCutOff(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		s := startNetwork(t).work()
		old := s.client.Health().Master
		fault := time.Now()
		s.cutHost(0)
		s.until(10*time.Second, "no other master is used", func() bool { return s.client.Health().Master != old && s.run.History.Landed(fault) > 100 })
		adopted := s.client.Health().Master
		s.heal()
		for range 20 { // the old master is back, and takes writes for seconds
			time.Sleep(100 * time.Millisecond)
			if m := s.client.Health().Master; m != adopted {
				t.Fatalf("after the heal the master is %s, it was %s", m, adopted)
			}
		}
		l := partitionLimits()
		l.Landing = landsWithin
		return s.end(fault, l)
	})
}

// TestPartitionTheClientIsWithTheMinority: with the old master and one sentinel.
// What the old master takes meanwhile is lost there; the client has to say that
// it is in the minority, and to follow the new master after the heal with all
// that it has acknowledged.
func TestPartitionTheClientIsWithTheMinority(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		s := startNetwork(t).work()
		old := s.client.Health().Master
		fault := time.Now()
		s.cutLink()
		s.until(3*time.Second, "the minority is not noticed", func() bool {
			return slices.ContainsFunc(s.client.Health().Findings, func(f evercache.Finding) bool { return f.Code == "sentinel-no-quorum" })
		})
		t.Logf("minority noticed after %v", time.Since(fault))
		time.Sleep(4 * time.Second)
		t.Logf("in the minority: %v, stage %s, master %s", s.client.State(), s.stage(), s.client.Health().Master)
		s.heal()
		healed := time.Now()
		s.until(10*time.Second, "the new master is not followed", func() bool { return s.client.Health().Master != old && s.run.History.Landed(healed) > 100 })
		t.Logf("followed %v after the heal", time.Since(healed))
		limits := partitionLimits()
		limits.LongestWrite = 700 * time.Millisecond // thousands of writes are taken back from the old master at once
		return s.end(fault, limits)
	})
}
