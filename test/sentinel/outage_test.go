package sentinel_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// TestSentinelAMasterThatRestartsQuicklyIsKept is back before anybody finds it
// down, with its data.
func TestSentinelAMasterThatRestartsQuicklyIsKept(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithPersistence(), redistest.WithDownAfter(10*time.Second)))
		d.Inject(func() { d.Old.Kill(); d.Old.Start() })
		d.LandAgain()
		d.Clear()
		return d.Undisturbed()
	})
}

// TestSentinelAMasterThatRestartsEmptyIsKept: it has lost everything, and so
// have its replicas in a moment. Who kept something sends it.
func TestSentinelAMasterThatRestartsEmptyIsKept(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Prepare(t, redistest.StartSentinel(t, redistest.WithDownAfter(10*time.Second)))
		d.Connect()
		d.Settle()
		d.Load(chaos.Load{Store: testkit.Store{Cache: d.Cache}, Writers: testkit.Writers, Prefix: testkit.Class + "w-"})
		d.Inject(func() { d.Old.Restart(redistest.Empty) })
		d.LandAgain()
		d.Clear()
		return d.Undisturbed()
	})
}

// TestSentinelWithoutAnyNodeMemoryAnswersAtOnce kills all nodes. Writes wait for
// a next master in the first five seconds only. Nothing is dialled in a hurry.
func TestSentinelWithoutAnyNodeMemoryAnswersAtOnce(t *testing.T) {
	outage := time.Second
	if testkit.Runs() > 1 {
		outage = 6500 * time.Millisecond
	}
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithPersistence())
		doors, addrs := proxies(t, set.Addrs())
		d := testkit.Begin(t, set, func(o *evercache.Options) { o.Sentinels = addrs })
		accepted := func() (n int64) {
			for _, p := range doors {
				n += p.Accepted()
			}
			return n
		}
		before, goroutines := accepted(), runtime.NumGoroutine()
		d.Inject(func() {
			for _, n := range set.Nodes() {
				n.Kill()
			}
		})
		time.Sleep(outage)
		if n := accepted() - before; n > 3 {
			d.Errorf("%d connections to sentinels that are well", n)
		}
		if n := runtime.NumGoroutine(); n > goroutines+20 {
			d.Errorf("%d goroutines, %d before the outage", n, goroutines)
		}
		if patience := 5500 * time.Millisecond; outage > patience {
			writesTookAtMost(d, 20*time.Millisecond, d.Fault.Add(patience))
		}
		for _, n := range set.Nodes() { // the master first
			n.Start()
		}
		d.LandAgain()
		d.Fault = time.Time{}
		return d.End()
	})
}

func proxies(t *testing.T, servers []string) (all []*redistest.Proxy, addrs []string) {
	t.Helper()
	for _, a := range servers {
		p := redistest.NewProxy(t, a)
		all, addrs = append(all, p), append(addrs, p.Addr())
	}
	return all, addrs
}

// writesTookAtMost checks those that began after a moment.
func writesTookAtMost(d *testkit.Drill, limit time.Duration, since time.Time) {
	d.Helper()
	n, longest := 0, time.Duration(0)
	for _, c := range d.Traffic.History.Calls() {
		if c.Op == chaos.Write && c.Start.After(since) {
			n++
			longest = max(longest, c.Took())
		}
	}
	d.Logf("%d writes took at most %v", n, longest)
	if n == 0 || longest > limit+d.Traffic.Stolen() {
		d.Errorf("%d writes took up to %v, more than %v", n, longest, limit)
	}
}

// TestSentinelEverybodyMayGoAndComeBack kills the sentinels, then the master,
// and brings all of them back, the old master too.
func TestSentinelEverybodyMayGoAndComeBack(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithPersistence(), redistest.WithDownAfter(3*time.Second)))
		for _, s := range d.Set.Sentinels() {
			s.Kill()
		}
		time.Sleep(300 * time.Millisecond)
		d.Inject(d.Old.Kill)
		d.Wait("the dead master is not noticed", func() bool { return d.Client.State() == health.Degraded })
		time.Sleep(500 * time.Millisecond)
		d.Old.Start()
		for _, s := range d.Set.Sentinels() {
			s.Start()
		}
		d.LandAgain()
		d.Clear()
		return d.Undisturbed()
	})
}

// TestSentinelAMasterThatIsMadeAReplicaByHandIsReplaced: REPLICAOF, without a
// word to the sentinels. Nobody is master then until they notice.
func TestSentinelAMasterThatIsMadeAReplicaByHandIsReplaced(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel()))
		next := d.Replica()
		connected := received(d)
		d.Inject(func() { d.Old.Do("REPLICAOF", next.Host(), strconv.Itoa(next.Port())) })
		time.Sleep(time.Second)
		// 40 probes a second keep their connection; who dials does so four times a second.
		if n := received(d) - connected; n > 100 {
			d.Errorf("%d connections to the demoted master in a second", n)
		}
		d.LandAgain()
		return d.End()
	})
}

// received is how many connections the first master has accepted, the
// recorder's included.
func received(d *testkit.Drill) int {
	d.Helper()
	info, _ := d.Old.Do("INFO", "stats").(string)
	_, rest, _ := strings.Cut(info, "total_connections_received:")
	n := 0
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// TestSentinelAMasterThatNobodyCanReplaceIsWaitedFor: no replica may become the
// master. That is said before and after it dies; it goes on when it is back.
func TestSentinelAMasterThatNobodyCanReplaceIsWaitedFor(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithPersistence(), redistest.WithFastSentinel()))
		for _, n := range d.Set.Nodes() {
			n.Do("CONFIG", "SET", "replica-priority", "0")
		}
		d.Finding("sentinel-no-replica")
		d.Inject(d.Old.Kill)
		d.UntilLogged("-failover-abort-no-good-slave")
		d.Finding("sentinel-no-failover") // none is expected before twice the failover timeout
		if f := d.Finding("sentinel-no-replica"); f.Severity != health.SeverityError {
			d.Errorf("finding %+v", f)
		}
		if s := d.Client.State(); s != health.Degraded {
			d.Errorf("state %v without a master", s)
		}
		d.Old.Start()
		d.LandAgain()
		return d.Undisturbed()
	})
}

// TestSentinelAMasterThatDiesRightAfterItsPromotionIsReplacedToo: the sentinels
// wait twice their failover timeout before they try again.
func TestSentinelAMasterThatDiesRightAfterItsPromotionIsReplacedToo(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second)))
		d.Inject(d.Old.Kill)
		p := d.LandsElsewhere()
		d.Set.Node(p.Node).Kill()
		d.Wait("the third node is not used", func() bool {
			m := d.Client.Health().Master
			return m != p.Node && m != d.Old.Addr() && d.Client.State() == health.Connected
		})
		d.LandAgain()
		return d.End()
	})
}

// TestSentinelAMasterThatTakesNoWritesForAWhileIsNoFailover: out of memory, then
// paused. It answers pings, so the sentinels leave it alone.
func TestSentinelAMasterThatTakesNoWritesForAWhileIsNoFailover(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second)))
		d.Inject(func() { d.Old.Do("CONFIG", "SET", "maxmemory", "1") })
		d.Finding("redis-oom")
		d.Old.Do("CONFIG", "SET", "maxmemory", "0")
		d.LandAgain()
		d.Old.Do("CLIENT", "PAUSE", "1000", "WRITE")
		time.Sleep(time.Second)
		d.LandAgain()
		d.Clear()
		return d.Undisturbed()
	})
}
