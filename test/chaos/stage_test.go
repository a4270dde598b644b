package chaos_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/internal/testkit"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// party is a Cache as the chaos runs drive it.
type party struct {
	cache *evercache.Cache[string]
	brief time.Duration // the life of what is put briefly
	large bool          // some values are
}

func (p party) text(v chaos.Value) string {
	if p.large {
		return v.Large()
	}
	return v.String()
}

func (p party) Do(ctx context.Context, act chaos.Act, key string, v chaos.Value) chaos.Answer {
	switch act {
	case chaos.Put:
		r, err := p.cache.Set(ctx, key, p.text(v))
		return testkit.Receipt(r, err)
	case chaos.PutBrief:
		r, err := p.cache.Set(ctx, key, p.text(v), evercache.TTL(p.brief))
		return testkit.Receipt(r, err)
	case chaos.Insert:
		added, r, err := p.cache.Add(ctx, key, p.text(v))
		if err == nil && !added {
			return chaos.Answer{Outcome: chaos.Unchanged}
		}
		return testkit.Receipt(r, err)
	case chaos.Prolong:
		r, err := p.cache.Touch(ctx, key)
		return testkit.Receipt(r, err)
	case chaos.Remove:
		r, err := p.cache.Delete(ctx, key)
		return testkit.Receipt(r, err)
	case chaos.RemovePrefix:
		_, r, err := p.cache.DeletePrefix(ctx, key)
		return testkit.Receipt(r, err)
	}
	return testkit.Looked(p.cache.Lookup(ctx, key))
}

// world is what the clients of a run talk to.
type world interface {
	// options are for the client of a process.
	options(proc int) evercache.Options
	// settled waits until the set is well, and returns its master.
	settled() string
}

// stage is a run: two clients at work, and a script that breaks something.
type stage struct {
	*testing.T
	scene   scene
	seed    uint64
	world   world
	set     *redistest.Sentinel // of a world of sets
	server  *redistest.Server   // of a world of one server
	lines   []*lines            // by process; nil unless the scene asks for proxies
	trace   *chaos.Trace
	traffic *chaos.Traffic
	tapes   tapes
	clients []*evercache.Client // nil where the process is a worker
	worker  *testkit.Worker     // the second process, of the scenes that have one
	journal bool                // it has a journal
	final   chaos.Final

	apart atomic.Bool // the first process has a master that is none any more

	log  *testkit.LateLog
	quit chan struct{}
	wg   sync.WaitGroup
}

const processes = 2

// play runs the scene once.
func (sc scene) play(t *testing.T, seed uint64) result {
	t.Helper()
	t.Logf("seed %d; EVERCACHE_CHAOS_SEED=%d repeats it", seed, seed)
	s := &stage{T: t, scene: sc, seed: seed, log: testkit.NewLateLog(t, "the clients' log ends"), quit: make(chan struct{})}
	s.trace = chaos.NewTrace()
	s.final.Away = make([][]chaos.Span, processes)
	if sc.world != nil {
		s.world = sc.world(s)
	} else {
		s.startSet()
	}
	var parties []chaos.Party
	for proc := range processes {
		parties = append(parties, s.open(proc))
	}
	s.waitClear(15 * time.Second)
	if sc.before != nil {
		sc.before(s)
	}
	s.traffic = &chaos.Traffic{
		Trace: s.trace, Parties: parties, Writers: testkit.Writers / processes, Readers: 2, Seed: seed, Every: cmp.Or(sc.every, pace()), Brief: sc.rules.Brief > 0 && !sc.extra.lives,
		Lives: sc.extra.lives, Repeats: sc.extra.repeats, Bursts: sc.extra.bursts, Prolongs: sc.extra.prolongs,
		NoPrefixes: os.Getenv("EVERCACHE_CHAOS_PREFIXES") == "off",
	}
	if !s.traffic.Prepare(t.Context()) {
		t.Fatal("the known keys could not be written and read")
	}
	s.sample()
	s.traffic.Start()
	t.Cleanup(s.traffic.Stop)
	s.nap(s.random(0), 500, 1500)
	sc.script(s, s.random(1))
	s.nap(s.random(0), 300, 800)
	return s.judge()
}

// pace is how long a caller waits between two calls, where the scene does not say
// it. `make chaos` has the quicker traffic.
func pace() time.Duration {
	if !asked() {
		return 8 * time.Millisecond
	}
	return 4 * time.Millisecond
}

// random is a stream of the seed: faults that overlap have one each.
func (s *stage) random(stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed, 1<<32+stream))
}

// nap sleeps for a random number of milliseconds: the traffic goes on.
func (s *stage) nap(r *rand.Rand, from, to int) {
	time.Sleep(time.Duration(from+r.IntN(to-from)) * time.Millisecond)
}

// note adds to the timeline of the run.
func (s *stage) note(format string, a ...any) { s.trace.Note(fmt.Sprintf(format, a...)) }

// startSet starts a Sentinel set and, if the scene asks for them, the proxies.
func (s *stage) startSet() {
	s.Helper()
	s.set = redistest.StartSentinel(s.T, s.scene.set...)
	s.world = setWorld{s}
	for range processes {
		if s.scene.proxied {
			s.lines = append(s.lines, newLines(s.T, s.set))
		}
	}
}

// setWorld is a Sentinel set on this machine.
type setWorld struct{ s *stage }

func (w setWorld) options(proc int) evercache.Options {
	o := evercache.Options{Sentinels: w.s.set.Addrs(), MasterName: w.s.set.MasterName()}
	if w.s.lines != nil {
		w.s.lines[proc].reroute(&o)
	}
	return o
}

func (w setWorld) settled() string { return w.s.set.WaitMaster("", time.Minute).Addr() }

// open is the cache of a process.
func (s *stage) open(proc int) chaos.Party {
	s.Helper()
	if s.scene.open != nil {
		if p := s.scene.open(s, proc); p != nil {
			s.clients = append(s.clients, nil)
			return p
		}
	}
	o := s.world.options(proc)
	o.Logger = slog.New(slog.NewTextHandler(s.log, nil)).With("process", proc)
	if s.scene.options != nil {
		s.scene.options(&o)
	}
	c, err := evercache.Open(s.Context(), o)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	cache, err := chaosCache(c, s.scene.policy(), s.scene.extra.slowWrites)
	if err != nil {
		s.Fatal(err)
	}
	s.clients = append(s.clients, c)
	return party{cache, s.scene.rules.Brief, s.scene.extra.large}
}

const chaosClass = "x"

func (sc scene) policy() evercache.Policy {
	ttl := cmp.Or(sc.rules.TTL, time.Hour)
	p := evercache.Policy{TTL: ttl, Stale: time.Hour}
	if sc.rules.Invalidates {
		p.Recovery = evercache.Invalidate
	}
	return p
}

// well reports whether a client has a confirmed master, nothing to send, and no alarm.
func well(c *evercache.Client) bool {
	h := c.Health()
	return settled(c) && (h.Sentinel == nil || h.Sentinel.Stage == "clear")
}

// masterIs: the client uses that master, as far as it chooses one.
func masterIs(c *evercache.Client, addr string) bool {
	h := c.Health()
	return h.Sentinel == nil || h.Sentinel.CurrentMaster == addr
}

// settled is well but for an alarm, which may take long to clear.
func settled(c *evercache.Client) bool {
	h := c.Health()
	return h.State == health.Connected && h.OutboxEntries == 0 && (h.Sentinel == nil || !h.Sentinel.Provisional)
}

// well asks a process, whichever kind it is.
func (s *stage) well(proc int) bool {
	if c := s.clients[proc]; c != nil {
		return well(c)
	}
	return s.worker.Is("well")
}

func (s *stage) settled(proc int) bool {
	if c := s.clients[proc]; c != nil {
		return settled(c)
	}
	return s.worker.Is("settled")
}

// calm is settled, and nothing is left to be asked: a late write of another process may
// have undone one of ours, and stands until that is known.
func calm(c *evercache.Client) bool { return settled(c) && kit.Of(c).Unasked() == 0 }

func (s *stage) calm(proc int) bool {
	if c := s.clients[proc]; c != nil {
		return calm(c)
	}
	return s.worker.Is("calm")
}

// calms and calmEach are how often in a row every process is to be found calm: what one
// of them sends makes another one ask, a moment later.
const (
	calms    = 6
	calmEach = 100 * time.Millisecond
)

func (s *stage) waitCalm() {
	s.Helper()
	found := 0
	s.until(2*time.Minute, "the clients go on asking what was undone", func() bool {
		found++
		for proc := range s.clients {
			if !s.calm(proc) {
				found = 0
			}
		}
		time.Sleep(calmEach)
		return found >= calms
	})
}

func (s *stage) waitClear(within time.Duration) {
	s.Helper()
	s.until(within, "the clients do not settle", func() bool { return s.well(0) && s.well(1) })
}

// until waits for a condition; when it does not come the clients are described.
func (s *stage) until(within time.Duration, what string, ok func() bool) bool {
	s.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Errorf("%s within %v%s", what, within, s.describe())
			return false
		}
	}
	return true
}

func (s *stage) describe() (all string) {
	for proc, c := range s.clients {
		if c == nil {
			continue
		}
		h := c.Health()
		all += fmt.Sprintf("\nprocess %d: %v, cause %v, outbox %d", proc, h.State, h.Cause, h.OutboxEntries)
		if h.Sentinel != nil {
			all += fmt.Sprintf(", master %s, stage %s, provisional %v", h.Sentinel.CurrentMaster, h.Sentinel.Stage, h.Sentinel.Provisional)
		}
	}
	return all
}

// sample notes when each process has no confirmed master, until the run is judged.
func (s *stage) sample() {
	for proc := range processes {
		s.wg.Go(func() {
			since := int64(-1)
			for {
				switch ok := s.well(proc) && (proc != 0 || !s.apart.Load()); {
				case !ok && since < 0:
					since = s.trace.Now()
				case ok && since >= 0:
					s.final.Away[proc] = append(s.final.Away[proc], chaos.Span{From: since, To: s.trace.Now()})
					since = -1
				}
				select {
				case <-s.quit:
					if since >= 0 {
						s.final.Away[proc] = append(s.final.Away[proc], chaos.Span{From: since, To: s.trace.Now()})
					}
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
}

// judge ends the traffic, waits until all is well, asks the master and the
// clients what there is, and checks the history.
func (s *stage) judge() result {
	s.Helper()
	s.traffic.Stop()
	stopped := s.trace.Now()
	master := ""
	s.until(time.Minute, "the clients do not settle on the set's master", func() bool {
		master = s.world.settled()
		for proc, c := range s.clients {
			if !s.settled(proc) || c != nil && !masterIs(c, master) {
				return false
			}
		}
		return true
	})
	s.waitCalm()
	close(s.quit)
	s.wg.Wait()
	s.note("all is well; the master is %s", master)
	events := s.trace.Events()
	s.ask(master, chaos.Keys(events))
	s.final.Full, s.final.Stolen = s.trace.Full(), s.traffic.Stolen()
	s.final.Overflowed = make([]bool, processes)
	out := result{seed: s.seed}
	for proc, c := range s.clients {
		if c != nil {
			st := c.Stats()
			s.final.Overflowed[proc] = st.OutboxOverflowed > 0
			out.replayed += st.OutboxReplayed
			out.superseded += c.Health().Recovery.Superseded
		}
	}
	violations, figures := chaos.Check(events, s.final, s.scene.limits(s.final.Stolen))
	out.figures, out.tally, out.stolen = figures, chaos.Tally(violations), s.final.Stolen
	shown := map[chaos.Kind]bool{}
	for _, v := range violations {
		if !shown[v.Kind] {
			shown[v.Kind] = true
			s.Errorf("%d violations, the first:\n%s", out.tally[v.Kind], chaos.Report(v, s.seed, events, s.trace.Notes(), s.final))
		}
	}
	s.Logf("%+v; violations %v; replayed %d; settled %v after the traffic; stolen %v",
		figures, out.tally, out.replayed, time.Duration(s.final.At-stopped).Round(time.Millisecond), out.stolen)
	return out
}

// limits are the scene's rules on a machine that keeps everybody waiting.
func (sc scene) limits(stolen time.Duration) chaos.Rules {
	r := sc.rules
	r.LongestRead = cmp.Or(r.LongestRead, 150*time.Millisecond)
	r.LongestWrite = cmp.Or(r.LongestWrite, 350*time.Millisecond)
	r.Lag = cmp.Or(r.Lag, 1100*time.Millisecond) + stolen
	if !asked() { // beside all other tests: a call that hangs is found, not one that is slow
		r.LongestRead, r.LongestWrite = max(r.LongestRead, time.Second), max(r.LongestWrite, time.Second)
	}
	return r
}

// asked reports whether the scenes run by themselves.
func asked() bool {
	return os.Getenv("EVERCACHE_CHAOS_TIME") != "" || os.Getenv("EVERCACHE_CHAOS_RUNS") != "" || os.Getenv("EVERCACHE_CHAOS_SEED") != ""
}

// ask fills in what the master holds and what each client answers.
func (s *stage) ask(master string, keys []chaos.Key) {
	s.Helper()
	held, err := chaos.Held(s.Context(), chaos.Node{Addr: master}, chaosClass+":", keys)
	if err != nil {
		s.Fatal(err)
	}
	s.final.At, s.final.Held = s.trace.Now(), held
	keys = testkit.Viewed(keys)
	s.final.Views = chaos.Views(s.Context(), s.traffic.Parties, keys, held)
	again, err := chaos.Held(s.Context(), chaos.Node{Addr: master}, chaosClass+":", keys)
	if err != nil {
		s.Fatal(err)
	}
	for proc, view := range s.final.Views {
		for k := range view { // what expires while we ask is nobody's fault
			if again[k] != held[k] {
				delete(s.final.Views[proc], k)
			}
		}
	}
}

// lines are the connections of one client, all through proxies.
type lines struct {
	nodes, sentinels map[string]*redistest.Proxy // by address
}

func newLines(t *testing.T, set *redistest.Sentinel) *lines {
	t.Helper()
	l := &lines{map[string]*redistest.Proxy{}, map[string]*redistest.Proxy{}}
	for _, n := range set.Nodes() {
		l.nodes[n.Addr()] = redistest.NewProxy(t, n.Addr())
	}
	for _, a := range set.Addrs() {
		l.sentinels[a] = redistest.NewProxy(t, a)
	}
	return l
}

// reroute sends a client over the lines.
func (l *lines) reroute(o *evercache.Options) {
	o.AddressMap = map[string]string{}
	for addr, p := range l.nodes {
		o.AddressMap[addr] = p.Addr()
	}
	for i, addr := range o.Sentinels {
		o.Sentinels[i] = l.sentinels[addr].Addr()
		_, port, _ := net.SplitHostPort(addr)
		o.AddressMap[net.JoinHostPort("127.0.0.1", port)] = o.Sentinels[i]
	}
}

// each does something to every line.
func (l *lines) each(do func(*redistest.Proxy)) {
	for _, all := range []map[string]*redistest.Proxy{l.nodes, l.sentinels} {
		for _, p := range all {
			do(p)
		}
	}
}
