//go:build netns

package evercache_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
)

// TestPartitionChaos is TestChaos in a network whose cables can be cut. The
// first process is on the near side; the second, a worker, on the far side.
func TestPartitionChaos(t *testing.T) {
	playAll(t, []scene{
		// Thousands of writes of the old master are taken back at once.
		{name: "partition of the master with a client", short: true, rules: chaos.Rules{LongestWrite: 700 * time.Millisecond}, world: inNetwork(near|server|sentinel, server|sentinel, server|sentinel), open: farClient, script: func(s *stage, _ *rand.Rand) { partition(s, 12*time.Second) }},
		{name: "partition of a client", short: true, world: inNetwork(server|sentinel, server|sentinel, server|sentinel), open: farClient, script: func(s *stage, r *rand.Rand) {
			partition(s, time.Duration(2000+r.IntN(4000))*time.Millisecond)
		}},
		{name: "master, replica and client cut from replica and sentinels", short: true, world: inNetwork(near|server, near|server, server|sentinel, sentinel, sentinel), open: farClient, script: func(s *stage, r *rand.Rand) {
			partition(s, time.Duration(6000+r.IntN(4000))*time.Millisecond)
		}},
	})
}

// host is what a host is for, and where it is.
type host uint8

const (
	near host = 1 << iota
	server
	sentinel
)

// netWorld is a set in a network, and a last host on the far side for a client.
type netWorld struct {
	*network
	roles []host
}

func inNetwork(roles ...host) func(*stage) world {
	return func(s *stage) world {
		s.Helper()
		n := &network{T: s.T, id: fmt.Sprintf("%x", os.Getpid()%0xffff), dir: s.TempDir()}
		n.bridges()
		w := &netWorld{n, roles}
		for i, r := range append(roles, 0) {
			n.addHost(i, n.name(map[bool]string{true: "n", false: "f"}[r&near != 0]))
		}
		w.on(server, n.startServer)
		w.on(sentinel, n.startSentinel)
		w.waitHealthy()
		return w
	}
}

// bridges makes the near and the far side, and the link between them.
func (n *network) bridges() {
	n.Helper()
	for _, bridge := range []string{n.name("n"), n.name("f")} {
		n.ip("link", "add", bridge, "type", "bridge")
		n.Cleanup(func() { n.ip("link", "del", bridge) })
		n.ip("link", "set", bridge, "up")
	}
	n.ip("link", "add", n.name("l"), "type", "veth", "peer", "name", n.name("m"))
	n.Cleanup(func() { n.ip("link", "del", n.name("l")) })
	n.ip("link", "set", n.name("l"), "master", n.name("n"), "up")
	n.ip("link", "set", n.name("m"), "master", n.name("f"), "up")
	n.ip("addr", "add", subnet+"1/24", "dev", n.name("n"))
}

// on does something for each host of a role.
func (w *netWorld) on(role host, do func(i int)) {
	for i, r := range w.roles {
		if r&role != 0 {
			do(i)
		}
	}
}

func (w *netWorld) waitHealthy() {
	w.Helper()
	replicas := -1
	w.on(server, func(int) { replicas++ })
	w.until(30*time.Second, "the set is not healthy", func() bool {
		ok := true
		w.on(sentinel, func(i int) {
			ok = ok && strings.HasPrefix(w.ask(i, "26379", "SENTINEL", "CKQUORUM", "mymaster"), "OK 3 usable") &&
				strings.Count(w.ask(i, "26379", "SENTINEL", "REPLICAS", "mymaster"), "master-link-status\nok") == replicas
		})
		return ok
	})
}

func (w *netWorld) sentinels() (addrs []string) {
	w.on(sentinel, func(i int) { addrs = append(addrs, w.hosts[i]+":26379") })
	return addrs
}

func (w *netWorld) options(int) evercache.Options {
	return evercache.Options{Sentinels: w.sentinels(), MasterName: "mymaster"}
}

// settled is the address that all sentinels name and that answers as a master.
func (w *netWorld) settled() (addr string) {
	w.Helper()
	w.until(time.Minute, "no master", func() bool {
		named := map[string]bool{}
		w.on(sentinel, func(i int) {
			ip, _, _ := strings.Cut(w.ask(i, "26379", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"), "\n")
			named[ip] = true
		})
		ok := false
		w.on(server, func(i int) {
			if named[w.hosts[i]] && len(named) == 1 && strings.HasPrefix(w.ask(i, "6379", "ROLE"), "master") {
				addr, ok = w.hosts[i]+":6379", true
			}
		})
		return ok
	})
	return addr
}

// farClient is the second process, in the namespace of the last host.
func farClient(s *stage, proc int) chaos.Party {
	if proc == 0 {
		return nil
	}
	w, _ := s.world.(*netWorld)
	last := len(w.roles)
	s.worker = startWorker(s.T, s.log, []string{"ip", "netns", "exec", w.name(fmt.Sprint("h", last))}, sentinelEnv("mymaster", w.sentinels())...)
	return s.worker
}

// partition separates near from far.
func partition(s *stage, d time.Duration) {
	w, _ := s.world.(*netWorld)
	s.note("near and far are separated")
	// What the first process goes on to write at a near master nobody else can see.
	s.apart.Store(w.roles[0]&near != 0)
	defer s.apart.Store(false)
	w.cutLink()
	time.Sleep(d)
	s.note("and joined again")
	w.heal()
	time.Sleep(3 * time.Second)
}
