package testkit

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// LandsWithin bounds the landing of a single run on a busy machine. The promise,
// 100 ms, is about the median of twenty.
const LandsWithin = 500 * time.Millisecond

// Drill is a client at work on a set that something will happen to.
type Drill struct {
	*testing.T
	Set     *redistest.Sentinel
	Old     *redistest.Server // the master at the beginning
	Client  *evercache.Client
	Cache   *evercache.Cache[string]
	Traffic *chaos.Run
	Truth   *chaos.Truth
	Fault   time.Time
	Limits  chaos.Limits
	Secure  chaos.Node // how the recorder logs in

	goroutines int // before the client

	mu        sync.Mutex // guards what the events tell
	degraded  []time.Time
	failovers []health.Failover
}

// How many callers the traffic of a drill has.
const (
	Writers = 8
	Readers = 4
)

// Begin opens a client on the set, waits until it is connected, and starts the
// traffic. Every read asks Redis first, so the readers feel what happens to it.
func Begin(t *testing.T, set *redistest.Sentinel, changes ...func(*evercache.Options)) *Drill {
	t.Helper()
	d := Prepare(t, set, changes...)
	d.Connect()
	d.Settle()
	d.Load(d.Seed())
	time.Sleep(100 * time.Millisecond) // of undisturbed traffic
	return d
}

// Prepare opens the client only.
func Prepare(t *testing.T, set *redistest.Sentinel, changes ...func(*evercache.Options)) *Drill {
	t.Helper()
	d := &Drill{T: t, Set: set, Limits: chaos.Limits{
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
	if d.Client, err = evercache.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Client.Close() })
	store, err := NewStore(d.Client)
	if err != nil {
		t.Fatal(err)
	}
	d.Cache = store.Cache
	return d
}

func (d *Drill) stateChanged(ch health.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ch.To == health.Degraded {
		d.degraded = append(d.degraded, ch.At)
	}
}

func (d *Drill) failedOver(f health.Failover) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failovers = append(d.failovers, f)
}

// Connect waits until the client has a master.
func (d *Drill) Connect() {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	if err := d.Client.WaitConnected(ctx); err != nil {
		d.Fatal(err)
	}
}

// Settle waits until the client is past its own start.
func (d *Drill) Settle() {
	d.Helper()
	alive := 0
	for _, s := range d.Set.Sentinels() {
		if s.Running() {
			alive++
		}
	}
	d.Wait("the client does not settle", func() bool {
		s := d.Client.Health().Sentinel
		return s.Stage == "clear" && !s.Provisional && s.Reachable == alive
	})
	d.Old = d.Set.Master()
}

// Seed writes the keys that the readers ask for, and returns the usual traffic.
func (d *Drill) Seed() chaos.Load {
	d.Helper()
	l := chaos.Load{Store: Store{d.Cache}, Writers: Writers, Readers: Readers, Prefix: Class + "w-"}
	for i := range 50 {
		l.Known = append(l.Known, fmt.Sprint(Class, "known-", i))
	}
	// A busy machine delays one write or another.
	d.Wait("the known keys are not written", func() bool { return l.Seed(d.Context()) == nil })
	return l
}

// pace is how long a caller waits between two calls. A drill that runs once leaves
// the machine to the others; the figures of many runs come from a quicker traffic.
func pace() time.Duration {
	if Runs() > 1 {
		return 5 * time.Millisecond
	}
	return 16 * time.Millisecond
}

// Load starts traffic and watches who is the master.
func (d *Drill) Load(l chaos.Load) {
	l.Every = pace()
	var nodes []chaos.Node
	for _, n := range d.Set.Nodes() {
		nodes = append(nodes, d.Node(n))
	}
	d.Truth = chaos.Watch(nodes...)
	d.Traffic = l.Start()
	d.Cleanup(d.Traffic.Stop)
	d.Cleanup(d.Truth.Stop)
}

// Node is how the recorder reaches a server.
func (d *Drill) Node(s *redistest.Server) chaos.Node {
	return chaos.Node{Addr: s.Addr(), Password: d.Secure.Password, TLS: d.Secure.TLS}
}

// Inject notes the moment and causes the fault.
func (d *Drill) Inject(fault func()) {
	d.Helper()
	d.Fault = time.Now()
	fault()
}

// Wait waits for a condition and says what the client knew when it did not come.
func (d *Drill) Wait(what string, ok func() bool) {
	d.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			d.Fatalf("%s within %v; health: %s", what, patience, d.Describe())
		}
	}
}

// Describe is what the client knows, for a failure.
func (d *Drill) Describe() string {
	h := d.Client.Health()
	return fmt.Sprintf("%v, cause %v, master %q, outbox %d, sentinel %+v", h.State, h.Cause, h.Master, h.OutboxEntries, *h.Sentinel)
}

// UntilLogged waits until a sentinel has logged an event.
func (d *Drill) UntilLogged(event string) {
	d.Helper()
	d.Wait(event+" was not logged", func() bool {
		return slices.ContainsFunc(d.Set.Sentinels(), func(s *redistest.Server) bool { return strings.Contains(s.Log(), event) })
	})
}

// LandAgain waits until writes land that began after this moment.
func (d *Drill) LandAgain() {
	d.Helper()
	since := time.Now()
	d.Wait("writes do not land", func() bool { return d.Traffic.History.Landed(since) > 100 })
}

// Clear waits until the client has no alarm.
func (d *Drill) Clear() {
	d.Helper()
	d.Wait("no all-clear", func() bool { return d.Client.Health().Sentinel.Stage == "clear" })
}

// LandsElsewhere waits until writes land on a node that has become the master
// since the fault, and returns it.
func (d *Drill) LandsElsewhere() chaos.Role {
	d.Helper()
	var p chaos.Role
	d.Wait("no other node became the master", func() (ok bool) {
		p, ok = d.Truth.Promoted(d.Fault, "", d.Old.Addr())
		return ok
	})
	d.Wait("no write landed on the new master", func() bool {
		return d.Client.Health().Master == p.Node && d.Traffic.History.Landed(p.At) > 50
	})
	return p
}

// Confirmed waits until a majority of the sentinels has confirmed the client's
// master and the episode's record is complete.
func (d *Drill) Confirmed() {
	d.Helper()
	d.Wait("the master was not confirmed", func() bool {
		s := d.Client.Health().Sentinel
		return !s.Provisional && s.CurrentMaster != "" && !slices.ContainsFunc(s.Failovers, func(f health.Failover) bool { return f.Confirmed.IsZero() })
	})
}

// Replica is a node that is not the master.
func (d *Drill) Replica() *redistest.Server {
	for _, n := range d.Set.Nodes() {
		if n.Addr() != d.Old.Addr() {
			return n
		}
	}
	return nil
}

// Finding waits until health says it.
func (d *Drill) Finding(code string) health.Finding {
	d.Helper()
	var found health.Finding
	d.Wait("no finding "+code, func() bool {
		fs := d.Client.Health().Findings
		i := slices.IndexFunc(fs, func(f health.Finding) bool { return f.Code == code })
		if i >= 0 {
			found = fs[i]
		}
		return i >= 0
	})
	return found
}

// PlannedFailover repeats a request that the sentinel refuses, as it does for a
// while after the last one.
func (d *Drill) PlannedFailover() {
	d.Helper()
	d.Wait("SENTINEL FAILOVER was refused", func() bool {
		d.Fault = time.Now()
		_, err := d.Set.Sentinels()[0].Try(context.Background(), "SENTINEL", "FAILOVER", d.Set.MasterName())
		return err == nil
	})
}

// Connections counts those of the client to a node.
func (d *Drill) Connections(addr string) int {
	d.Helper()
	list, _ := d.Set.Node(addr).Do("CLIENT", "LIST", "TYPE", "normal").(string)
	return strings.Count(list, "name=evercache")
}

// FailsOver causes a fault, waits until its failover is followed and confirmed,
// and judges the run: there was one failover, for this reason.
func (d *Drill) FailsOver(cause string, fault func()) chaos.Summary {
	d.Helper()
	d.Inject(fault)
	d.LandsElsewhere()
	return d.Followed(cause)
}

// Followed waits until failovers that writes have followed are confirmed, one for
// each cause, and judges the run.
func (d *Drill) Followed(causes ...string) chaos.Summary {
	d.Helper()
	d.Confirmed()
	d.WantFailovers(causes...)
	return d.End()
}

// Undisturbed judges a run whose fault has led to no failover.
func (d *Drill) Undisturbed() chaos.Summary {
	d.Helper()
	d.WantFailovers()
	d.Fault = time.Time{}
	return d.End()
}
