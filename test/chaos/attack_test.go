package chaos_test

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// attackSpace is the space of the keys that a script itself writes, beside the
// traffic: what it does to them comes in a certain order.
const attackSpace = 'd'

// attackScenes do to some keys what the traffic does only by chance: two processes
// after one another, while what one of them has sent is still under way.
func attackScenes() []scene {
	everything := extra{large: true, repeats: true, bursts: true}
	// A key that somebody writes with another TTL tells nobody when it was written.
	severalLives := chaos.Rules{Brief: 30 * time.Minute, Ambiguity: time.Hour, MayHoldNothing: 600}
	return []scene{
		{name: "hundreds of prefixes", short: true, world: oneServer, options: longRing, script: manyPrefixes},
		{name: "hundreds of prefixes by another", world: oneServer, script: prefixesByAnother},
		{name: "writes at once, restart empty", short: true, world: oneServer, options: longRing, extra: extra{bursts: true, repeats: true, slowWrites: true}, script: atOnce},
		{name: "writes at once, quick codec, restart empty", world: oneServer, options: longRing, extra: extra{bursts: true}, script: atOnce},
		{name: "one link stalls, another writes", world: oneServer, every: 16 * time.Millisecond, extra: everything, script: stallLink},
		{name: "the server stalls, another writes", world: oneServer, every: 16 * time.Millisecond, extra: everything, script: stallServer},
		{name: "equal values, several lives", short: true, world: oneServer, rules: severalLives, extra: extra{repeats: true, lives: true, prolongs: true}, script: severalTTLs},
		{name: "a server that evicts", short: true, world: oneServer, set: options(redistest.WithConfig("maxmemory 8mb", "maxmemory-policy allkeys-lru")), rules: chaos.Rules{Evicts: true}, script: evicting},
		{name: "two writers a moment apart, kill", script: momentApart},
		{name: "large and equal values, kill", every: 16 * time.Millisecond, extra: everything, script: kill},
	}
}

// plainWorld is one server, which each process reaches over a link of its own.
type plainWorld struct{ s *stage }

func oneServer(s *stage) world {
	s.Helper()
	s.server = redistest.Start(s.T, s.scene.set...)
	for range processes {
		s.lines = append(s.lines, &lines{nodes: map[string]*redistest.Proxy{s.server.Addr(): redistest.NewProxy(s.T, s.server.Addr())}})
	}
	return plainWorld{s}
}

func (w plainWorld) options(proc int) evercache.Options {
	return evercache.Options{Addr: w.s.lines[proc].nodes[w.s.server.Addr()].Addr()}
}

func (w plainWorld) settled() string { return w.s.server.Addr() }

// key is one that a script itself writes. No two scripts' prefixes cover it.
func key(group, n int) chaos.Key {
	return chaos.Key{Space: attackSpace, Group: uint16(group), N: uint32(n)}
}

// do is a call of the script's own.
func (s *stage) do(proc int, act chaos.Act, k chaos.Key) chaos.Answer {
	return s.doWith(proc, act, k, chaos.Nothing)
}

// doWith is one with a value that is given.
func (s *stage) doWith(proc int, act chaos.Act, k chaos.Key, v chaos.Value) chaos.Answer {
	tape := s.tapes.take(s.trace, proc)
	defer s.tapes.put(proc, tape)
	return s.traffic.Call(proc, tape, act, k, v)
}

// tapes are those that no call of the script uses now. A tape is large.
type tapes struct {
	mu   sync.Mutex // guards free
	free [processes][]*chaos.Tape
}

func (p *tapes) take(trace *chaos.Trace, proc int) *chaos.Tape {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free[proc])
	if n == 0 {
		return trace.Tape(proc)
	}
	tape := p.free[proc][n-1]
	p.free[proc] = p.free[proc][:n-1]
	return tape
}

func (p *tapes) put(proc int, tape *chaos.Tape) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free[proc] = append(p.free[proc], tape)
}

// all does something to many keys at once.
func all(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// leave takes a process its master, and waits until it knows.
func (s *stage) leave(proc int) {
	s.Helper()
	s.note("process %d is cut off", proc)
	s.lines[proc].each(func(p *redistest.Proxy) { p.Refuse(true); p.ResetAll() })
	s.until(time.Minute, "the process has a master", func() bool { return !s.settled(proc) })
}

func (s *stage) comeBack(proc int) {
	s.Helper()
	s.note("process %d is back", proc)
	s.lines[proc].each((*redistest.Proxy).Heal)
	s.until(time.Minute, "the process is not back", func() bool { return s.settled(proc) })
}

// prefixes deletes distinct prefixes that cover nothing which is written.
func (s *stage) prefixes(proc int) {
	s.note("process %d deletes 200 prefixes", proc)
	const callers, each = 10, 20
	all(callers, func(caller int) {
		for i := range each {
			s.do(proc, chaos.RemovePrefix, chaos.Key{Space: 'n', Group: uint16(caller*each + i)})
		}
	})
}

// longRing: on a busy machine a script takes longer than the minute that a ring
// covers by default.
func longRing(o *evercache.Options) { o.RingAge = evercache.MaxRingAge }

// restartEmpty takes everything from the server. What is older than the ring is
// lost then, and that is no fault: a run that took so long proves nothing.
func (s *stage) restartEmpty() {
	s.Helper()
	if took := time.Duration(s.trace.Now()); took > evercache.MaxRingAge-30*time.Second {
		s.Fatalf("the first writes are %v old and the ring covers %v: the machine is too slow to judge this run", took, evercache.MaxRingAge)
	}
	s.note("the server is killed and starts empty")
	s.server.Kill()
	s.server.Restart(redistest.Empty)
}

// manyPrefixes deletes more prefixes than there are marks, in an outage and after
// it: they cover none of the keys written before.
func manyPrefixes(s *stage, r *rand.Rand) {
	s.leave(0)
	all(20, func(i int) { s.do(0, chaos.Put, key(0, i)) })
	s.prefixes(0)
	s.do(0, chaos.RemovePrefix, key(2, 0)) // and one that covers something
	s.comeBack(0)
	all(20, func(i int) { s.do(0, chaos.Put, key(1, i)) })
	s.prefixes(0)
	s.restartEmpty()
	s.nap(r, 1000, 1500)
}

// prefixesByAnother does so by one process while another is cut off.
func prefixesByAnother(s *stage, r *rand.Rand) {
	s.leave(0)
	all(20, func(i int) { s.do(0, chaos.Put, key(0, i)) })
	s.prefixes(1)
	s.comeBack(0)
	s.nap(r, 500, 1000)
}

// atOnce writes keys several times at once, and reads which write was the last,
// before the server loses everything.
func atOnce(s *stage, r *rand.Rand) {
	for round := range 8 {
		all(25, func(i int) {
			k := key(round, i)
			all(3, func(int) { s.do(0, chaos.Put, k) })
			s.do(0, chaos.Look, k)
		})
	}
	s.restartEmpty()
	s.nap(r, 1000, 1500)
}

// late lets process 1 overwrite or delete what process 0 gave up a moment ago.
func (s *stage) late(round int) {
	k := func(i int) chaos.Key { return key(round, i) }
	const n = 6
	all(n, func(i int) {
		s.doWith(0, chaos.Put, k(i), s.sized(i))
	})
	time.Sleep(100 * time.Millisecond)
	all(n, func(i int) {
		if i%2 == 0 {
			s.do(1, chaos.Remove, k(i))
		} else {
			s.do(1, chaos.Put, k(i))
		}
	})
}

// sized is a value not written yet that is small, large or huge.
func (s *stage) sized(i int) chaos.Value {
	v := s.trace.NextValue()
	want := []int{100, chaos.LargeBytes, chaos.HugeBytes}[i/2%3]
	for len(v.Large()) > want || len(v.Large()) < want/2 && want > 100 {
		v = s.trace.NextValue()
	}
	return v
}

// stallLink holds back what process 0 sends, and process 1 goes on. It is delivered
// late, though process 0 has given the connection up meanwhile.
func stallLink(s *stage, r *rand.Rand) {
	for round := range 3 {
		s.note("the link of process 0 stalls")
		hold := time.Duration(600+r.IntN(600)) * time.Millisecond // longer than a write waits
		s.lines[0].each(func(p *redistest.Proxy) { p.SetLatency(redistest.ToServer, hold) })
		s.late(round)
		time.Sleep(hold)
		s.note("and goes on")
		s.lines[0].each((*redistest.Proxy).Heal)
		s.until(time.Minute, "process 0 does not settle", func() bool { return s.settled(0) })
		s.nap(r, 200, 400)
	}
}

// stallServer stops the server for a while; what both have sent is read by turns.
func stallServer(s *stage, r *rand.Rand) {
	for round := range 4 {
		s.note("SIGSTOP of the server")
		s.server.Pause()
		var stalled sync.WaitGroup
		stalled.Go(func() {
			s.nap(r, 300, 1000)
			s.note("SIGCONT")
			s.server.Resume()
		})
		s.late(round)
		stalled.Wait()
		s.until(time.Minute, "the processes do not settle", func() bool { return s.settled(0) && s.settled(1) })
	}
}

// severalTTLs writes what was there before over what another has kept meanwhile,
// with a TTL that is not the class's.
func severalTTLs(s *stage, r *rand.Rand) {
	on := s.trace.NextValue()
	const n = 10
	all(n, func(i int) { s.doWith(1, chaos.PutBrief, key(0, i), on) })
	all(n, func(i int) { s.do(0, chaos.Look, key(0, i)) })
	s.leave(0)
	all(n, func(i int) { s.do(0, []chaos.Act{chaos.PutBrief, chaos.Put}[i%2], key(0, i)) })
	s.nap(r, 1000, 2000)
	all(n, func(i int) { s.doWith(1, chaos.PutBrief, key(0, i), on) })
	s.comeBack(0)
	s.nap(r, 300, 600)
}

// evicting lets other writes push the traces of deletes out of Redis, while a
// process is away that has kept older values.
func evicting(s *stage, r *rand.Rand) {
	s.leave(0)
	const n = 30
	all(n, func(i int) { s.do(0, chaos.Put, key(0, i)) })
	all(n, func(i int) { s.do(1, chaos.Put, key(0, i)) })
	all(n, func(i int) { s.do(1, chaos.Remove, key(0, i)) })
	s.note("other writes fill the server")
	// The server makes room before a script, so each has little to write.
	const fill = "for i = 1, 20 do redis.call('SET', 'fill:' .. ARGV[1] .. '-' .. i, string.rep('x', 20000)) end"
	for i := range 50 {
		s.server.Do("EVAL", fill, "0", strconv.Itoa(i))
	}
	s.comeBack(0)
	s.nap(r, 300, 600)
}

// momentApart lets one process write what the other has written less than a
// millisecond ago, again and again, on a busy machine while the master changes.
func momentApart(s *stage, r *rand.Rand) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for group := range 4 {
		tapes := []*chaos.Tape{s.trace.Tape(0), s.trace.Tape(1)}
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				first := n % 2
				s.traffic.Call(first, tapes[first], chaos.Put, key(group, n), chaos.Nothing)
				s.traffic.Call(1-first, tapes[1-first], chaos.Put, key(group, n), chaos.Nothing)
				time.Sleep(time.Millisecond)
			}
		})
	}
	kill(s, r)
	close(stop)
	wg.Wait()
}
