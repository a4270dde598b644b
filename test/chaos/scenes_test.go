package chaos_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

func options(all ...redistest.Option) []redistest.Option { return all }

// slowDown leaves time to restart a master before its sentinels fail over.
var slowDown = redistest.WithDownAfter(3 * time.Second)

// scenes are the rows of the table of faults. Those that need a network of
// their own are in partition_test.go.
func scenes() []scene {
	return append([]scene{
		{name: "kill", short: true, script: kill},
		{name: "stop and go on", script: pauseMaster},
		{name: "planned failover", short: true, script: planned},
		{name: "failover to a node by hand", set: options(redistest.WithFailoverTimeout(2 * time.Second)), script: byHand},
		{name: "one client cut off", short: true, proxied: true, script: func(s *stage, r *rand.Rand) { cutOff(s, r, 2000, 4000) }},
		{name: "one client cut off for 10 s", proxied: true, script: func(s *stage, r *rand.Rand) { cutOff(s, r, 10_000, 10_500) }},
		{name: "blip", proxied: true, script: blip},
		{name: "one flow silent", proxied: true, script: oneFlow},
		{name: "all Redis down for 10 s", set: options(redistest.WithPersistence()), script: func(s *stage, _ *rand.Rand) { allDown(s, 10*time.Second) }},
		{name: "all Redis down for longer than the TTL", set: options(redistest.WithPersistence()), rules: chaos.Rules{TTL: 4 * time.Second}, script: func(s *stage, _ *rand.Rand) { allDown(s, 6*time.Second) }},
		// In a class with several lives nobody can tell the order of two processes' writes
		// by the ends of the keys, so nothing is always an answer there.
		{name: "short lives over long ones, all Redis down", set: options(redistest.WithPersistence()), rules: chaos.Rules{Brief: 3 * time.Second, Ambiguity: time.Hour}, script: func(s *stage, _ *rand.Rand) { allDown(s, 6*time.Second) }},
		{name: "all Redis down, a class that invalidates", set: options(redistest.WithPersistence()), rules: chaos.Rules{Invalidates: true}, script: func(s *stage, _ *rand.Rand) { allDown(s, 3*time.Second) }},
		{name: "replication cut before a kill", script: cutReplication},
		{name: "a stall, then a kill", set: options(slowDown), script: stall},
		{name: "restart from the append-only file", set: options(redistest.WithPersistence(), slowDown), script: restart},
		{name: "restart from an older snapshot", set: options(slowDown), script: restartOlder},
		{name: "restart empty", short: true, set: options(slowDown), script: restart},
		{name: "two promotions while a client is away", proxied: true, script: twoPromotions},
		{name: "outbox overflow", proxied: true, options: smallOutbox, rules: chaos.Rules{WritesMayFail: true}, script: overflow},
		{name: "the first replica attaches", set: options(redistest.WithReplicas(1)), before: detachReplica, script: attachReplica},
		{name: "two faults at once", proxied: true, set: options(redistest.WithPersistence()), script: twoAtOnce},
	}, workerScenes()...)
}

func smallOutbox(o *evercache.Options) { o.OutboxEntries = 100 }

// overflow is an outage that lasts until writes are acknowledged at once, which
// is after 5 s, and then for more of them than have room.
func overflow(s *stage, r *rand.Rand) {
	cutOff(s, r, 6000, 8000)
	if s.clients[0].Stats().OutboxOverflowed == 0 {
		s.Error("the outbox did not overflow")
	}
}

// another waits until the set has another master.
func (s *stage) another(not *redistest.Server) *redistest.Server {
	s.Helper()
	m := s.set.WaitMaster(not.Addr(), 2*time.Minute)
	s.note("the master is %s", m.Addr())
	return m
}

func kill(s *stage, r *rand.Rand) {
	m := s.set.Master()
	s.note("kill -9 of the master")
	m.Kill()
	s.another(m)
	s.nap(r, 100, 1500)
	s.note("the killed node starts, empty")
	m.Start()
	s.nap(r, 500, 1500)
}

// stall holds the master up for longer than a write waits: what was given up is
// executed late, and the master lost when it has been replayed.
func stall(s *stage, r *rand.Rand) {
	m := s.set.Master()
	for range 3 {
		s.note("the master stalls")
		m.Pause()
		s.nap(r, 300, 600)
		m.Resume()
		s.nap(r, 50, 300)
	}
	s.note("kill -9 of the master")
	m.Kill()
	s.another(m)
	s.nap(r, 300, 800)
}

// pauseMaster lets the master go on before the sentinels notice, or after they
// have replaced it.
func pauseMaster(s *stage, r *rand.Rand) {
	m := s.set.Master()
	s.note("SIGSTOP of the master")
	m.Pause()
	if r.IntN(2) == 0 {
		s.nap(r, 100, 480)
	} else {
		s.another(m)
		s.nap(r, 100, 2000)
	}
	s.note("SIGCONT")
	m.Resume()
	s.nap(r, 500, 2000)
}

func planned(s *stage, r *rand.Rand) {
	m := s.set.Master()
	s.note("SENTINEL FAILOVER")
	s.failover()
	s.another(m)
	s.nap(r, 500, 1500)
}

// failover repeats the request: a sentinel refuses it for a while after the last one.
func (s *stage) failover() {
	s.Helper()
	s.until(30*time.Second, "SENTINEL FAILOVER was refused", func() bool {
		_, err := s.set.Sentinels()[0].Try(context.Background(), "SENTINEL", "FAILOVER", s.set.MasterName())
		return err == nil
	})
}

func byHand(s *stage, r *rand.Rand) {
	m := s.set.Master()
	to := s.replicas(m)[0]
	s.note("FAILOVER TO %s", to.Addr())
	m.Do("FAILOVER", "TO", to.Host(), strconv.Itoa(to.Port()))
	s.set.SetFast(true)
	s.nap(r, 6000, 8000)
}

func (s *stage) replicas(master *redistest.Server) (all []*redistest.Server) {
	for _, n := range s.set.Nodes() {
		if n.Addr() != master.Addr() {
			all = append(all, n)
		}
	}
	return all
}

// cutOff separates the first client from everything for a while.
func cutOff(s *stage, r *rand.Rand, from, to int) {
	s.note("process 0 is cut off")
	s.lines[0].each(func(p *redistest.Proxy) { p.Blackhole(true) })
	s.nap(r, from, to)
	s.note("process 0 is back")
	if r.IntN(2) == 0 { // else what waits in the network is delivered
		s.lines[0].each((*redistest.Proxy).ResetAll)
	}
	s.lines[0].each((*redistest.Proxy).Heal)
	s.nap(r, 1000, 2000)
}

// blip cuts every connection of both clients; none can be made for two seconds.
func blip(s *stage, r *rand.Rand) {
	s.note("connections are reset and refused")
	for _, l := range s.lines {
		l.each(func(p *redistest.Proxy) { p.Refuse(true); p.ResetAll() })
	}
	s.nap(r, 1900, 2100)
	s.note("connections can be made again")
	for _, l := range s.lines {
		l.each((*redistest.Proxy).Heal)
	}
	s.nap(r, 1000, 2000)
}

// oneFlow makes one direction between the first client and the master silent.
func oneFlow(s *stage, r *rand.Rand) {
	m := s.set.Master()
	way := []redistest.Direction{redistest.ToServer, redistest.ToClient}[r.IntN(2)]
	s.note("process 0 and the master: direction %d is silent", way)
	s.lines[0].nodes[m.Addr()].HalfOpen(way)
	s.nap(r, 1000, 4000)
	s.note("and is heard again")
	s.lines[0].nodes[m.Addr()].Heal()
	s.nap(r, 1000, 2000)
}

func allDown(s *stage, d time.Duration) {
	s.note("every Redis is killed")
	each(s.set.Nodes(), (*redistest.Server).Kill)
	time.Sleep(d)
	s.note("every Redis starts again")
	each(s.set.Nodes(), (*redistest.Server).Start)
	time.Sleep(2 * time.Second)
}

func each(nodes []*redistest.Server, do func(*redistest.Server)) {
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() { do(n) })
	}
	wg.Wait()
}

// cutReplication ends the replicas' links 0.8 s before the master is killed. A
// replica that logs in with a password to a master that has none is refused,
// again and again; it answers clients and sentinels meanwhile, and is as fit to
// be promoted as ever. (Proxied links do not stay: Sentinel points a replica that
// follows another address than the master's back to that.)
func cutReplication(s *stage, r *rand.Rand) {
	m := s.set.Master()
	s.note("the replicas lose the master")
	for _, n := range s.replicas(m) {
		n.Do("CONFIG", "SET", "masterauth", "wrong")
	}
	m.Do("CLIENT", "KILL", "TYPE", "replica")
	time.Sleep(800 * time.Millisecond)
	for _, n := range s.replicas(m) {
		if role, _ := n.Do("ROLE").([]any); len(role) < 4 || role[3] == "connected" {
			s.Errorf("the replication was not cut: %v", role)
		}
	}
	s.note("kill -9 of the master")
	m.Kill()
	for _, n := range s.replicas(m) {
		n.Do("CONFIG", "SET", "masterauth", "")
	}
	s.another(m)
	s.nap(r, 500, 1500)
	m.Start()
	s.nap(r, 500, 1000)
}

// restart kills the master and starts it before anybody fails over.
func restart(s *stage, r *rand.Rand) {
	m := s.set.Master()
	s.note("kill -9 of the master")
	m.Kill()
	s.nap(r, 1, 500)
	s.note("it starts again")
	m.Start()
	s.nap(r, 2000, 3000)
}

func restartOlder(s *stage, r *rand.Rand) {
	s.note("SAVE")
	s.set.Master().Do("SAVE")
	s.nap(r, 500, 2500)
	restart(s, r)
}

func twoPromotions(s *stage, r *rand.Rand) {
	s.set.SetFast(true)
	first := s.set.Master()
	s.note("process 0 is cut off")
	s.lines[0].each(func(p *redistest.Proxy) { p.Blackhole(true) })
	s.nap(r, 0, 1000)
	s.failover()
	second := s.another(first)
	s.set.WaitHealthy(30 * time.Second)
	s.failover()
	s.another(second)
	s.nap(r, 0, 1000)
	s.note("process 0 is back")
	s.lines[0].each((*redistest.Proxy).ResetAll)
	s.lines[0].each((*redistest.Proxy).Heal)
	s.nap(r, 1500, 2500)
}

// detachReplica leaves the master without a replica and without a backlog: the
// next replica to attach changes its replication id.
func detachReplica(s *stage) {
	m := s.set.Master()
	m.Do("CONFIG", "SET", "repl-backlog-ttl", "1")
	s.replicas(m)[0].Kill()
	time.Sleep(2500 * time.Millisecond)
}

// attachReplica must not make anybody leave the master, unless a plain client waits as
// well: a master that forks to fill its replica, on a busy machine, keeps everybody waiting.
// A write that is put back passes through the outbox, and is no outage.
func attachReplica(s *stage, r *rand.Rand) {
	m := s.set.Master()
	before := make([]uint64, len(s.clients))
	for proc, c := range s.clients {
		before[proc] = outages(c)
	}
	longest := longestAnswer(s, m)
	s.note("the first replica attaches")
	s.replicas(m)[0].Start()
	s.nap(r, 3000, 4000)
	waited := longest()
	for proc, c := range s.clients {
		h, left := c.Health(), outages(c)-before[proc]
		if h.Sentinel.FailoverCount != 0 || (left > 0 || !h.Connected) && waited < readTimeout {
			s.Errorf("process %d: %d failovers, left the master %d times, %v since %v; a plain PING took %v at most", proc, h.Sentinel.FailoverCount, left, h.State, h.Since, waited)
		}
	}
}

// outages is how often a client has been without a master.
func outages(c *evercache.Client) (n uint64) {
	for change, times := range c.Stats().StateTransitions {
		if change.To == health.Degraded.String() {
			n += times
		}
	}
	return n
}

// twoAtOnce lets two faults of different kinds overlap.
func twoAtOnce(s *stage, r *rand.Rand) {
	faults := []func(*stage, *rand.Rand){
		kill, pauseMaster, planned, blip, oneFlow, killReplica, killSentinel,
		func(s *stage, r *rand.Rand) { cutOff(s, r, 500, 4000) },
	}
	one := r.IntN(len(faults))
	two := (one + 1 + r.IntN(len(faults)-1)) % len(faults)
	var wg sync.WaitGroup
	for i, n := range []int{one, two} {
		random := s.random(uint64(10 + i))
		wg.Go(func() {
			s.nap(random, 0, 1500)
			faults[n](s, random)
		})
	}
	wg.Wait()
}

func killReplica(s *stage, r *rand.Rand) {
	replica := s.replicas(s.set.Master())[r.IntN(2)]
	s.note("kill -9 of a replica")
	replica.Kill()
	s.nap(r, 500, 4000)
	replica.Start()
}

func killSentinel(s *stage, r *rand.Rand) {
	sentinel := s.set.Sentinels()[r.IntN(3)]
	s.note("kill -9 of a sentinel")
	sentinel.Kill()
	s.nap(r, 500, 4000)
	sentinel.Start()
}
