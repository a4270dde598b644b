package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// A drill breaks something in a Cluster while clients are at work, and judges the
// history of all their calls. EVERCACHE_CLUSTER_RUNS=20 repeats each scene.

const (
	allWriters = 8 // of all clients together
	class      = "x"
	allSlots   = 16384 // of a Cluster
)

// twoAtATime: a Cluster is six processes.
var twoAtATime = make(chan struct{}, 2)

// scene runs a drill on a Cluster of its own, as often as it is asked for.
func scene(t *testing.T, play func(*testing.T, *redistest.Cluster), options ...redistest.Option) {
	t.Helper()
	repeated(t, func(t *testing.T) { play(t, redistest.StartCluster(t, options...)) })
}

// repeated runs a drill as often as it is asked for.
func repeated(t *testing.T, play func(*testing.T)) {
	t.Helper()
	t.Parallel()
	runs, _ := strconv.Atoi(os.Getenv("EVERCACHE_CLUSTER_RUNS"))
	for i := range max(1, runs) {
		t.Run(fmt.Sprint("run", i), func(t *testing.T) {
			twoAtATime <- struct{}{}
			t.Cleanup(func() { <-twoAtATime })
			play(t)
		})
	}
}

// drill is clients at work on a Cluster.
type drill struct {
	*testing.T
	cluster *redistest.Cluster          // nil: the nodes are in a network
	where   func() [allSlots]chaos.Node // the masters by slot, as the judge reaches them
	access  func(*evercache.Options)    // how clients reach the nodes, and log in
	secure  chaos.Node                  // how the judge logs in
	prefix  string                      // before every key
	clients []*evercache.Client         // of this process
	worker  *testkit.Worker             // one more client, in a process of its own; or nil
	apart   atomic.Bool                 // the first client is with a master that is none any more
	rules   chaos.Rules                 // of the judge
	trace   *chaos.Trace
	traffic *chaos.Traffic
	final   chaos.Final
	seed    uint64
	log     *testkit.LateLog
	tags    []string // see crowd

	quit chan struct{}
	wg   sync.WaitGroup
	once sync.Once
}

// begin opens that many clients and puts them to work. What prepare changes of the drill
// counts from the beginning.
func begin(t *testing.T, c *redistest.Cluster, clients int, prepare ...func(*drill)) *drill {
	t.Helper()
	d := &drill{
		T: t, cluster: c, trace: chaos.NewTrace(), seed: rand.Uint64N(1 << 32), log: testkit.NewLateLog(t, "the clients' log ends"), quit: make(chan struct{}),
		rules: chaos.Rules{Ambiguity: 20 * time.Millisecond, LongestRead: 150 * time.Millisecond, LongestWrite: 350 * time.Millisecond, Lag: 1100 * time.Millisecond},
	}
	d.traffic = &chaos.Traffic{
		Trace: d.trace, Writers: max(1, allWriters/clients), Readers: 2, Seed: d.seed, Every: 8 * time.Millisecond, Prolongs: true,
		NoPrefixes: os.Getenv("EVERCACHE_CLUSTER_RUNS") == "",
	} // see docs/guide/cluster.md, Limits
	d.where = d.masters
	for _, f := range prepare {
		f(d)
	}
	for range clients {
		d.join(d.open())
	}
	if d.worker != nil {
		d.take(d.worker)
	}
	if !d.traffic.Prepare(t.Context()) {
		t.Fatalf("the keys of memory could not be written and read: %s", d.describe())
	}
	d.sample()
	d.traffic.Start()
	t.Cleanup(d.stop)
	time.Sleep(500 * time.Millisecond)
	return d
}

// options are those of a client of the drill.
func (d *drill) options() evercache.Options {
	o := evercache.Options{Logger: slog.New(slog.NewTextHandler(d.log, nil)).With("process", len(d.clients))}
	if d.cluster != nil {
		o.ClusterNodes = d.cluster.Addrs()
	}
	if d.access != nil {
		d.access(&o)
	}
	return o
}

// open opens a client, which is waited for.
func (d *drill) open() *evercache.Client {
	d.Helper()
	c := d.openWith(d.options())
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	if err := c.WaitConnected(ctx); err != nil {
		d.Fatalf("%v; %+v", err, c.Health())
	}
	return c
}

func (d *drill) openWith(o evercache.Options) *evercache.Client {
	d.Helper()
	c, err := evercache.Open(d.Context(), o)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = c.Close() })
	return c
}

// join makes a client one of those at work, before they begin.
func (d *drill) join(c *evercache.Client) {
	d.Helper()
	d.clients = append(d.clients, c)
	d.take(newParty(d.T, c, d.tags))
}

func (d *drill) take(p chaos.Party) {
	d.traffic.Parties = append(d.traffic.Parties, p)
	d.final.Away = append(d.final.Away, nil)
}

// note adds to the history of the run, which a failure shows.
func (d *drill) note(format string, a ...any) { d.trace.Note(fmt.Sprintf(format, a...)) }

// during does something to the Cluster while the clients are at work, and lets them go on
// for a moment afterwards.
func (d *drill) during(f func()) {
	d.Helper()
	d.note("now")
	f()
	d.note("done")
	time.Sleep(500 * time.Millisecond)
}

// settled: the client has every master, and nothing waits.
func settled(c *evercache.Client) bool {
	h := c.Health()
	return h.State == health.Connected && h.OutboxEntries == 0
}

// calm is settled, and nothing is left to be asked of what others may have undone.
func calm(c *evercache.Client) bool { return settled(c) && kit.Of(c).Unasked() == 0 }

// process is one of those at work.
type process interface {
	settled() bool
	calm() bool
}

// here is a client of this process, elsewhere one of another.
type (
	here      struct{ *evercache.Client }
	elsewhere struct{ *testkit.Worker }
)

func (p here) settled() bool      { return settled(p.Client) }
func (p here) calm() bool         { return calm(p.Client) }
func (p elsewhere) settled() bool { return p.Is("settled") }
func (p elsewhere) calm() bool    { return p.Is("calm") }

func (d *drill) processes() (all []process) {
	for _, c := range d.clients {
		all = append(all, here{c})
	}
	if d.worker != nil {
		all = append(all, elsewhere{d.worker})
	}
	return all
}

func (d *drill) all(ok func(process) bool) bool {
	return !slices.ContainsFunc(d.processes(), func(p process) bool { return !ok(p) })
}

// until waits for a condition; when it does not come the clients are described.
func (d *drill) until(what string, ok func() bool) {
	d.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			d.Fatalf("%s within %v%s", what, patience, d.describe())
		}
	}
}

func (d *drill) describe() (all string) {
	for i, c := range d.clients {
		h := c.Health()
		all += fmt.Sprintf("\nprocess %d: %v, cause %v, outbox %d, unasked %d", i, h.State, h.Cause, h.OutboxEntries, kit.Of(c).Unasked())
	}
	return all
}

// waitCalm waits until every client is calm several times in a row: what one sends makes
// another one ask, a moment later.
func (d *drill) waitCalm() {
	d.Helper()
	found := 0
	d.until("the clients do not become calm", func() bool {
		if found++; !d.all(process.calm) {
			found = 0
		}
		time.Sleep(80 * time.Millisecond)
		return found >= 5
	})
}

// sample notes when each client lacks a master or has something to send, until the run
// is judged.
func (d *drill) sample() {
	for i, p := range d.processes() {
		d.wg.Go(func() {
			since := int64(-1)
			end := func() {
				if since >= 0 {
					d.final.Away[i] = append(d.final.Away[i], chaos.Span{From: since, To: d.trace.Now()})
				}
				since = -1
			}
			defer end()
			for {
				if p.settled() && !(i == 0 && d.apart.Load()) {
					end()
				} else if since < 0 {
					since = d.trace.Now()
				}
				select {
				case <-d.quit:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
}

// stop ends the traffic, and no more.
func (d *drill) stop() {
	d.once.Do(func() {
		d.traffic.Stop()
		close(d.quit)
		d.wg.Wait()
	})
}

// end ends the traffic, waits until every client is well, asks the master of each slot
// what it holds, and judges the history.
func (d *drill) end() {
	d.Helper()
	d.traffic.Stop()
	stopped := d.trace.Now()
	d.until("the clients do not settle", func() bool { return d.all(process.settled) })
	d.waitCalm()
	d.stop()
	d.note("all is well")
	events := d.trace.Events()
	d.ask(chaos.Keys(events))
	d.final.Full, d.final.Stolen = d.trace.Full(), d.traffic.Stolen()
	var replayed uint64
	for _, c := range d.clients {
		s := c.Stats()
		d.final.Overflowed = append(d.final.Overflowed, s.OutboxOverflowed > 0)
		replayed += s.OutboxReplayed
	}
	rules := d.rules
	rules.Lag += d.final.Stolen
	rules.LongestRead += 3 * d.final.Stolen // a Cluster is many processes that all wait for their turn
	rules.LongestWrite += 3 * d.final.Stolen
	if os.Getenv("EVERCACHE_CLUSTER_RUNS") == "" { // beside all other tests: a call that hangs is found, not one that is slow
		rules.LongestRead, rules.LongestWrite = max(rules.LongestRead, time.Second), max(rules.LongestWrite, time.Second)
	}
	violations, figures := chaos.Check(events, d.final, rules)
	tally, shown := chaos.Tally(violations), map[chaos.Kind]bool{}
	for _, v := range violations {
		if !shown[v.Kind] {
			shown[v.Kind] = true
			d.Errorf("%d violations, the first:\n%s", tally[v.Kind], chaos.Report(v, d.seed, events, d.trace.Notes(), d.final))
		}
	}
	d.Logf("%+v; violations %v; replayed %d; settled %v after the traffic; stolen %v", figures, tally, replayed,
		time.Duration(d.final.At-stopped).Round(time.Millisecond), d.final.Stolen)
}
