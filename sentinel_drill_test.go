package evercache_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// The tests of sentinel_*_test.go run a client under load against a real
// Sentinel set, break something, and judge the recorded history. Each runs once;
// EVERCACHE_TEST_RUNS=20 repeats them and prints a row with the figures:
//
//	EVERCACHE_TEST_RUNS=20 go test -race -v -run 'TestSentinel' . | grep ROW

// runs is how often each scenario runs.
func runs() int {
	n, _ := strconv.Atoi(os.Getenv("EVERCACHE_TEST_RUNS"))
	return max(n, 1)
}

// scenario runs one as often as asked, and logs what it cost. The promise about
// the landing is about the median, so it is checked here.
func scenario(t *testing.T, one func(t *testing.T) chaos.Summary) {
	t.Helper()
	var all []chaos.Summary
	failed := 0
	for i := range runs() {
		ok := t.Run(fmt.Sprint("run", i+1), func(t *testing.T) { all = append(all, one(t)) })
		if !ok {
			failed++
		}
	}
	logRow(t, all, failed)
}

func logRow(t *testing.T, all []chaos.Summary, failed int) {
	t.Helper()
	worst := func(of func(chaos.Summary) time.Duration) (median, most time.Duration) {
		var ds []time.Duration
		for _, s := range all {
			ds = append(ds, of(s))
		}
		if len(ds) == 0 {
			return 0, 0
		}
		slices.Sort(ds)
		return ds[len(ds)/2].Round(time.Millisecond), ds[len(ds)-1].Round(time.Millisecond)
	}
	landing, landingMost := worst(func(s chaos.Summary) time.Duration { return s.Landing })
	gap, gapMost := worst(func(s chaos.Summary) time.Duration { return s.Gap })
	_, write := worst(func(s chaos.Summary) time.Duration { return s.LongestWrite })
	_, read := worst(func(s chaos.Summary) time.Duration { return s.LongestRead })
	_, stolen := worst(func(s chaos.Summary) time.Duration { return s.Stolen })
	failedReads, lostKept, lostLanded := 0, 0, 0
	for _, s := range all {
		failedReads, lostKept, lostLanded = failedReads+s.FailedReads, lostKept+s.LostKept, lostLanded+s.LostLanded
	}
	t.Logf("ROW | %s | %d runs, %d failed | landing %v, worst %v | gap %v, worst %v | longest write %v, read %v (stolen %v) | failed reads %d | lost: landed %d, kept %d",
		t.Name(), runs(), failed, landing, landingMost, gap, gapMost, write, read, stolen, failedReads, lostLanded, lostKept)
	if len(all) >= 20 && landing > 100*time.Millisecond {
		t.Errorf("median landing %v, promised 100ms", landing)
	}
}

// caching is a Cache as the recorder drives it. The recorder's keys are those
// that Redis holds.
type caching struct {
	cache *evercache.Cache[string]
}

const class = "c:"

func (s caching) Set(ctx context.Context, key, value string) (chaos.Ack, error) {
	r, err := s.cache.Set(ctx, strings.TrimPrefix(key, class), value)
	switch {
	case evercache.IsUnavailable(err):
		return chaos.Refused, err
	case err != nil:
		return chaos.Failed, err
	case r.Durability >= evercache.Master:
		return chaos.Landed, nil
	}
	return chaos.Kept, nil
}

func (s caching) Get(ctx context.Context, key string) (string, error) {
	e, err := s.cache.Lookup(ctx, strings.TrimPrefix(key, class))
	return e.Value, err
}

// landsWithin bounds the landing of a single run on a busy machine. The promise,
// 100 ms, is about the median of twenty.
const landsWithin = 500 * time.Millisecond

// drill is a client at work on a set that something will happen to.
type drill struct {
	*testing.T
	set    *redistest.Sentinel
	old    *redistest.Server // the master at the beginning
	client *evercache.Client
	cache  *evercache.Cache[string]
	run    *chaos.Run
	truth  *chaos.Truth
	fault  time.Time
	limits chaos.Limits
	secure chaos.Node // how the recorder logs in

	goroutines int // before the client

	mu        sync.Mutex // guards what the events tell
	degraded  []time.Time
	failovers []evercache.Failover
}

const (
	writers = 8
	readers = 4
)

// begin opens a client on the set, waits until it is connected, and starts the
// traffic. Every read asks Redis first, so the readers feel what happens to it.
func begin(t *testing.T, set *redistest.Sentinel, changes ...func(*evercache.Options)) *drill {
	t.Helper()
	d := prepare(t, set, changes...)
	d.connect(5 * time.Second)
	d.settle()
	d.load(d.seed())
	time.Sleep(100 * time.Millisecond) // of undisturbed traffic
	return d
}

// prepare opens the client only.
func prepare(t *testing.T, set *redistest.Sentinel, changes ...func(*evercache.Options)) *drill {
	t.Helper()
	d := &drill{T: t, set: set, limits: chaos.Limits{
		LongestRead:  100*time.Millisecond + 50*time.Millisecond,
		LongestWrite: 250*time.Millisecond + 100*time.Millisecond,
	}}
	d.goroutines = runtime.NumGoroutine()
	o := evercache.Options{
		Sentinels: set.Addrs(), MasterName: set.MasterName(),
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Events: evercache.Events{State: d.stateChanged, Failover: d.failedOver},
	}
	for _, change := range changes {
		change(&o)
	}
	var err error
	if d.client, err = evercache.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.client.Close() })
	d.cache, err = evercache.NewCache[string](d.client, strings.TrimSuffix(class, ":"), evercache.Policy{TTL: time.Hour, Stale: time.Hour, L1TTL: evercache.Never})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *drill) stateChanged(ch evercache.StateChange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ch.To == evercache.Degraded {
		d.degraded = append(d.degraded, ch.At)
	}
}

func (d *drill) failedOver(f evercache.Failover) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failovers = append(d.failovers, f)
}

func (d *drill) connect(within time.Duration) {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), within)
	defer cancel()
	if err := d.client.WaitConnected(ctx); err != nil {
		d.Fatal(err)
	}
}

// settle waits until the client is past its own start.
func (d *drill) settle() {
	d.Helper()
	alive := 0
	for _, s := range d.set.Sentinels() {
		if s.Running() {
			alive++
		}
	}
	d.wait(5*time.Second, "the client does not settle", func() bool {
		s := d.client.Health().Sentinel
		return s.Stage == "clear" && !s.Provisional && s.Reachable == alive
	})
	d.old = d.set.Master()
}

func (d *drill) seed() chaos.Load {
	d.Helper()
	l := chaos.Load{Store: caching{d.cache}, Writers: writers, Readers: readers, Prefix: class + "w-"}
	for i := range 50 {
		l.Known = append(l.Known, fmt.Sprint(class, "known-", i))
	}
	// A busy machine delays one write or another.
	d.wait(5*time.Second, "the known keys are not written", func() bool { return l.Seed(d.Context()) == nil })
	return l
}

func (d *drill) load(l chaos.Load) {
	var nodes []chaos.Node
	for _, n := range d.set.Nodes() {
		nodes = append(nodes, d.node(n))
	}
	d.truth = chaos.Watch(nodes...)
	d.run = l.Start()
	d.Cleanup(d.run.Stop)
	d.Cleanup(d.truth.Stop)
}

// node is how the recorder reaches a server.
func (d *drill) node(s *redistest.Server) chaos.Node {
	return chaos.Node{Addr: s.Addr(), Password: d.secure.Password, TLS: d.secure.TLS}
}

// inject notes the moment and causes the fault.
func (d *drill) inject(fault func()) {
	d.Helper()
	d.fault = time.Now()
	fault()
}

// wait waits for a condition and says what the client knew when it did not come.
func (d *drill) wait(within time.Duration, what string, ok func() bool) {
	d.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.Fatalf("%s within %v; health: %s", what, within, d.describe())
		}
	}
}

func (d *drill) describe() string {
	h := d.client.Health()
	return fmt.Sprintf("%v, cause %v, master %q, outbox %d, sentinel %+v", h.State, h.Cause, h.Master, h.OutboxEntries, *h.Sentinel)
}

// untilLogged waits until a sentinel has logged an event.
func (d *drill) untilLogged(event string, within time.Duration) {
	d.Helper()
	d.wait(within, event+" was not logged", func() bool {
		return slices.ContainsFunc(d.set.Sentinels(), func(s *redistest.Server) bool { return strings.Contains(s.Log(), event) })
	})
}

// landAgain waits until writes land that began after this moment.
func (d *drill) landAgain(within time.Duration) {
	d.Helper()
	since := time.Now()
	d.wait(within, "writes do not land", func() bool { return d.run.History.Landed(since) > 100 })
}

func (d *drill) clear(within time.Duration) {
	d.Helper()
	d.wait(within, "no all-clear", func() bool { return d.client.Health().Sentinel.Stage == "clear" })
}

// landsElsewhere waits until writes land on a node that has become the master
// since the fault, and returns it.
func (d *drill) landsElsewhere(within time.Duration) chaos.Role {
	d.Helper()
	var p chaos.Role
	d.wait(within, "no other node became the master", func() (ok bool) {
		p, ok = d.truth.Promoted(d.fault, "", d.old.Addr())
		return ok
	})
	d.wait(5*time.Second, "no write landed on the new master", func() bool {
		return d.client.Health().Master == p.Node && d.run.History.Landed(p.At) > 50
	})
	return p
}

// confirmed waits until a majority of the sentinels has confirmed the client's
// master and the episode's record is complete.
func (d *drill) confirmed(within time.Duration) {
	d.Helper()
	d.wait(within, "the master was not confirmed", func() bool {
		s := d.client.Health().Sentinel
		return !s.Provisional && s.CurrentMaster != "" && !slices.ContainsFunc(s.Failovers, func(f evercache.Failover) bool { return f.Confirmed.IsZero() })
	})
}

// end stops the traffic, waits until nothing waits in the client and it agrees
// with the sentinels on the master, and asks that one what it holds. Sentinel
// sometimes fails over again a master that it has just confirmed: the next one
// is awaited then.
func (d *drill) end() chaos.Summary {
	d.Helper()
	d.run.Stop()
	d.wait(20*time.Second, "the client does not end its replay", func() bool {
		h := d.client.Health()
		return h.State == evercache.Connected && h.OutboxEntries == 0 && !h.Sentinel.Provisional && h.Master == d.set.Master().Addr()
	})
	final := d.set.Master()
	p, _ := d.truth.Promoted(d.fault, final.Addr(), d.old.Addr())
	return d.judge(final, p)
}

// endUnsettled is end where the sentinels may go on to change the master.
func (d *drill) endUnsettled() chaos.Summary {
	d.Helper()
	d.run.Stop()
	d.wait(40*time.Second, "the sentinels and the client do not agree", func() bool {
		h := d.client.Health()
		return h.State == evercache.Connected && h.OutboxEntries == 0 && h.Sentinel.Stage == "clear" &&
			!h.Sentinel.Provisional && h.Sentinel.Agreeing == h.Sentinel.Known
	})
	first, _ := d.truth.Promoted(d.fault, "", d.old.Addr())
	return d.judge(d.set.Node(d.client.Health().Master), first)
}

// judge compares what was acknowledged with what the final master holds;
// promoted is when the fault's promotion was.
func (d *drill) judge(final *redistest.Server, promoted chaos.Role) chaos.Summary {
	d.Helper()
	d.truth.Stop()
	if got := d.client.Health().Master; got != final.Addr() {
		d.Errorf("the client's master is %s, the set's %s", got, final.Addr())
	}
	facts := d.run.Facts()
	facts.Fault, facts.Promoted = d.fault, promoted.At
	var err error
	if facts.Unheld, err = chaos.Unheld(d.Context(), d.node(final), d.run.History); err != nil {
		d.Fatal(err)
	}
	s := chaos.Sum(d.run.History.Calls(), facts)
	for _, b := range s.Breaches(d.limits) {
		d.Error(b)
	}
	d.Logf("%d writes: %d landed, %d kept; gap %v, landing %v, longest write %v, read %v; stolen %v; lost %d",
		s.Writes, s.LandedWrites, s.KeptWrites, s.Gap, s.Landing, s.LongestWrite, s.LongestRead, s.Stolen, s.Lost())
	d.leavesNothing()
	return s
}

// leavesNothing closes the client and waits for its goroutines.
func (d *drill) leavesNothing() {
	d.Helper()
	if err := d.client.Close(); err != nil {
		d.Errorf("Close: %v", err)
	}
	deadline := time.Now().Add(3 * time.Second)
	for runtime.NumGoroutine() > d.goroutines {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			d.Errorf("%d goroutines, %d before; stacks:\n%s", runtime.NumGoroutine(), d.goroutines, buf[:runtime.Stack(buf, true)])
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// wantFailovers compares the history with the causes expected, one for each
// failover; the last of them led to the present master.
func (d *drill) wantFailovers(causes ...string) {
	d.Helper()
	s := d.client.Health().Sentinel
	var got []string
	for _, f := range s.Failovers {
		got = append(got, f.Cause)
	}
	if n := d.announced(); n > len(causes) && len(got) == n && s.FailoverCount == n && slices.Equal(got[:len(causes)], causes) {
		d.Logf("the sentinels failed over again by themselves: %v", got)
		return
	}
	if !slices.Equal(got, causes) || s.FailoverCount != len(causes) {
		d.Errorf("failovers %v, count %d, want %v; %+v", got, s.FailoverCount, causes, s.Failovers)
		return
	}
	if len(causes) == 0 {
		return
	}
	first, last := s.Failovers[0], s.Failovers[len(s.Failovers)-1]
	if first.From != d.old.Addr() || last.To != d.client.Health().Master {
		d.Errorf("failovers from %s to %s, want from %s to %s", first.From, last.To, d.old.Addr(), d.client.Health().Master)
	}
	if last.Blackout <= 0 || last.Blackout > 20*time.Second {
		d.Errorf("blackout %v", last.Blackout)
	}
	d.wait(time.Second, "not every failover was told", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.failovers) == len(causes)
	})
}

// announced is how many changes of master the sentinels have published, each
// counted once: on a busy machine they fail over a healthy master too.
func (d *drill) announced() int {
	seen := map[string]bool{}
	for _, s := range d.set.Sentinels() {
		for line := range strings.Lines(s.Log()) {
			if _, change, ok := strings.Cut(line, "+switch-master "); ok {
				seen[change] = true
			}
		}
	}
	return len(seen)
}

// firstDegraded is when callers lost the master after the fault.
func (d *drill) firstDegraded() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range d.degraded {
		if at.After(d.fault) {
			return at
		}
	}
	return time.Time{}
}

// fencedAtMost samples the client's stage until the returned func is called,
// which reports a fence that lasted longer.
func (d *drill) fencedAtMost(limit time.Duration) (stop func()) {
	d.Helper()
	quit, ended := make(chan struct{}), make(chan time.Duration)
	go func() {
		var longest time.Duration
		var since time.Time
		for {
			switch stage := d.client.Health().Sentinel.Stage; {
			case stage != "fenced" && stage != "degraded":
				since = time.Time{}
			case since.IsZero():
				since = time.Now()
			default:
				longest = max(longest, time.Since(since))
			}
			select {
			case <-quit:
				ended <- longest
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() {
		d.Helper()
		close(quit)
		longest := <-ended
		d.Logf("fenced for %v", longest)
		if limit > 0 {
			limit += 2 * 25 * time.Millisecond // the steps in which it is measured, ours and the client's
		}
		if longest > limit+d.run.Stolen() {
			d.Errorf("fenced for %v, more than %v", longest, limit)
		}
	}
}

// replica is a node that is not the master.
func (d *drill) replica() *redistest.Server {
	for _, n := range d.set.Nodes() {
		if n.Addr() != d.old.Addr() {
			return n
		}
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// downAfter names a set's down-after for a subtest.
func downAfter(d time.Duration) redistest.Option {
	return redistest.WithDownAfter(cmp.Or(d, 500*time.Millisecond))
}
