//go:build netns

package chaos_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testkit"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
)

// TestPartitionChaos is TestChaos in a network whose cables can be cut. The
// first process is on the near side; the second, a worker, on the far side.
func TestPartitionChaos(t *testing.T) {
	t.Parallel()
	playAll(t, []scene{
		// Thousands of writes of the old master are taken back at once.
		{name: "partition of the master with a client", short: true, rules: chaos.Rules{LongestWrite: 700 * time.Millisecond}, world: inNetwork(near|server|sentinel, server|sentinel, server|sentinel), open: farClient, script: masterCutOff},
		{name: "partition of a client", short: true, world: inNetwork(server|sentinel, server|sentinel, server|sentinel), open: farClient, script: func(s *stage, r *rand.Rand) {
			partition(s, time.Duration(2000+r.IntN(4000))*time.Millisecond)
		}},
		{name: "master, replica and client cut from replica and sentinels", short: true, world: inNetwork(near|server, near|server, server|sentinel, sentinel, sentinel), open: farClient, script: func(s *stage, r *rand.Rand) {
			partition(s, time.Duration(6000+r.IntN(4000))*time.Millisecond)
		}},
	})
}

// masterCutOff leaves the old master time for thousands of writes, where the scenes run by
// themselves.
func masterCutOff(s *stage, _ *rand.Rand) {
	d := 6 * time.Second
	if asked() {
		d = 12 * time.Second
	}
	partition(s, d)
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
	*testkit.Network
	roles []host
}

func inNetwork(roles ...host) func(*stage) world {
	return func(s *stage) world {
		s.Helper()
		w := &netWorld{testkit.NewNetwork(s.T), roles}
		for _, r := range append(roles, 0) {
			w.AddHost(r&near != 0)
		}
		w.on(server, w.StartServer)
		w.on(sentinel, w.StartSentinel)
		var sentinels, replicas []int
		w.on(sentinel, func(i int) { sentinels = append(sentinels, i) })
		w.on(server, func(i int) { replicas = append(replicas, i) })
		w.WaitHealthy(sentinels, len(replicas)-1)
		return w
	}
}

// on does something for each host of a role.
func (w *netWorld) on(role host, do func(i int)) {
	for i, r := range w.roles {
		if r&role != 0 {
			do(i)
		}
	}
}

func (w *netWorld) sentinels() (addrs []string) {
	w.on(sentinel, func(i int) { addrs = append(addrs, w.Hosts[i]+":26379") })
	return addrs
}

func (w *netWorld) options(int) evercache.Options {
	return evercache.Options{Sentinels: w.sentinels(), MasterName: "mymaster"}
}

// settled is the address that all sentinels name and that answers as a master.
func (w *netWorld) settled() (addr string) {
	w.Helper()
	w.Until(time.Minute, "no master", func() bool {
		named := map[string]bool{}
		w.on(sentinel, func(i int) {
			ip, _, _ := strings.Cut(w.Ask(i, "26379", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"), "\n")
			named[ip] = true
		})
		ok := false
		w.on(server, func(i int) {
			if named[w.Hosts[i]] && len(named) == 1 && strings.HasPrefix(w.Ask(i, "6379", "ROLE"), "master") {
				addr, ok = w.Hosts[i]+":6379", true
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
	s.worker = startWorker(s, w.Within(last), sentinelEnv("mymaster", w.sentinels())...)
	return s.worker
}

// partition separates near from far.
func partition(s *stage, d time.Duration) {
	w, _ := s.world.(*netWorld)
	s.note("near and far are separated")
	// What the first process goes on to write at a near master nobody else can see.
	s.apart.Store(w.roles[0]&near != 0)
	defer s.apart.Store(false)
	w.CutLink()
	time.Sleep(d)
	s.note("and joined again")
	w.Heal()
	time.Sleep(3 * time.Second)
}
