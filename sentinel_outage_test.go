package evercache_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// finding waits until health says it.
func (d *drill) finding(code string, within time.Duration) evercache.Finding {
	d.Helper()
	var found evercache.Finding
	d.wait(within, "no finding "+code, func() bool {
		fs := d.client.Health().Findings
		i := slices.IndexFunc(fs, func(f evercache.Finding) bool { return f.Code == code })
		if i >= 0 {
			found = fs[i]
		}
		return i >= 0
	})
	return found
}

// TestSentinelAMasterThatRestartsQuicklyIsKept is back before anybody finds it
// down, with its data.
func TestSentinelAMasterThatRestartsQuicklyIsKept(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithPersistence(), redistest.WithDownAfter(10*time.Second)))
		d.inject(func() { d.old.Kill(); d.old.Start() })
		d.landAgain(5 * time.Second)
		d.clear(15 * time.Second)
		d.wantFailovers()
		d.fault = time.Time{}
		return d.end()
	})
}

// TestSentinelAMasterThatRestartsEmptyIsKept: it has lost everything, and so
// have its replicas in a moment. Who kept something sends it.
func TestSentinelAMasterThatRestartsEmptyIsKept(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := prepare(t, redistest.StartSentinel(t, redistest.WithDownAfter(10*time.Second)))
		d.connect(5 * time.Second)
		d.settle()
		d.load(chaos.Load{Store: caching{d.cache}, Writers: writers, Prefix: class + "w-"})
		d.inject(func() { d.old.Restart(redistest.Empty) })
		d.landAgain(5 * time.Second)
		d.clear(15 * time.Second)
		d.wantFailovers()
		d.fault = time.Time{}
		return d.end()
	})
}

// TestSentinelWithoutAnyNodeMemoryAnswersAtOnce kills all nodes. Writes wait for
// a next master in the first five seconds only. Nothing is dialled in a hurry.
func TestSentinelWithoutAnyNodeMemoryAnswersAtOnce(t *testing.T) {
	outage := time.Second
	if runs() > 1 {
		outage = 6500 * time.Millisecond
	}
	scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithPersistence())
		doors, addrs := proxies(t, set.Addrs())
		d := begin(t, set, func(o *evercache.Options) { o.Sentinels = addrs })
		accepted := func() (n int64) {
			for _, p := range doors {
				n += p.Accepted()
			}
			return n
		}
		before, goroutines := accepted(), runtime.NumGoroutine()
		d.inject(func() {
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
			d.writesTookAtMost(20*time.Millisecond, d.fault.Add(patience))
		}
		for _, n := range set.Nodes() { // the master first
			n.Start()
		}
		d.landAgain(30 * time.Second)
		d.fault = time.Time{}
		return d.end()
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
func (d *drill) writesTookAtMost(limit time.Duration, since time.Time) {
	d.Helper()
	n, longest := 0, time.Duration(0)
	for _, c := range d.run.History.Calls() {
		if c.Op == chaos.Write && c.Start.After(since) {
			n++
			longest = max(longest, c.Took())
		}
	}
	d.Logf("%d writes took at most %v", n, longest)
	if n == 0 || longest > limit+d.run.Stolen() {
		d.Errorf("%d writes took up to %v, more than %v", n, longest, limit)
	}
}

// TestSentinelEverybodyMayGoAndComeBack kills the sentinels, then the master,
// and brings all of them back, the old master too.
func TestSentinelEverybodyMayGoAndComeBack(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithPersistence(), redistest.WithDownAfter(3*time.Second)))
		for _, s := range d.set.Sentinels() {
			s.Kill()
		}
		time.Sleep(300 * time.Millisecond)
		d.inject(d.old.Kill)
		d.wait(2*time.Second, "the dead master is not noticed", func() bool { return d.client.State() == evercache.Degraded })
		time.Sleep(500 * time.Millisecond)
		d.old.Start()
		for _, s := range d.set.Sentinels() {
			s.Start()
		}
		d.landAgain(5 * time.Second)
		d.clear(15 * time.Second)
		d.wantFailovers()
		d.fault = time.Time{}
		return d.end()
	})
}

// TestSentinelAMasterThatIsMadeAReplicaByHandIsReplaced: REPLICAOF, without a
// word to the sentinels. Nobody is master then until they notice.
func TestSentinelAMasterThatIsMadeAReplicaByHandIsReplaced(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel()))
		next := d.replica()
		connected := d.received()
		d.inject(func() { d.old.Do("REPLICAOF", next.Host(), itoa(next.Port())) })
		time.Sleep(time.Second)
		// 40 probes a second keep their connection; who dials does so four times a second.
		if n := d.received() - connected; n > 100 {
			d.Errorf("%d connections to the demoted master in a second", n)
		}
		d.landAgain(30 * time.Second)
		return d.end()
	})
}

// received is how many connections the first master has accepted, the
// recorder's included.
func (d *drill) received() int {
	d.Helper()
	info, _ := d.old.Do("INFO", "stats").(string)
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
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithPersistence(), redistest.WithFastSentinel()))
		for _, n := range d.set.Nodes() {
			n.Do("CONFIG", "SET", "replica-priority", "0")
		}
		d.finding("sentinel-no-replica", 5*time.Second)
		d.inject(d.old.Kill)
		d.untilLogged("-failover-abort-no-good-slave", 10*time.Second)
		d.finding("sentinel-no-failover", 2*time.Second) // none is expected before twice the failover timeout
		if f := d.finding("sentinel-no-replica", time.Second); f.Severity != evercache.Error {
			d.Errorf("finding %+v", f)
		}
		if s := d.client.State(); s != evercache.Degraded {
			d.Errorf("state %v without a master", s)
		}
		d.old.Start()
		d.landAgain(10 * time.Second)
		d.wantFailovers()
		d.fault = time.Time{}
		return d.end()
	})
}

// TestSentinelAMasterThatDiesRightAfterItsPromotionIsReplacedToo: the sentinels
// wait twice their failover timeout before they try again.
func TestSentinelAMasterThatDiesRightAfterItsPromotionIsReplacedToo(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(time.Second)))
		d.inject(d.old.Kill)
		p := d.landsElsewhere(10 * time.Second)
		d.set.Node(p.Node).Kill()
		d.wait(20*time.Second, "the third node is not used", func() bool {
			m := d.client.Health().Master
			return m != p.Node && m != d.old.Addr() && d.client.State() == evercache.Connected
		})
		d.landAgain(2 * time.Second)
		return d.end()
	})
}

// TestSentinelAMasterThatTakesNoWritesForAWhileIsNoFailover: out of memory, then
// paused. It answers pings, so the sentinels leave it alone.
func TestSentinelAMasterThatTakesNoWritesForAWhileIsNoFailover(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second)))
		d.inject(func() { d.old.Do("CONFIG", "SET", "maxmemory", "1") })
		d.finding("redis-oom", 2*time.Second)
		d.old.Do("CONFIG", "SET", "maxmemory", "0")
		d.landAgain(3 * time.Second)
		d.old.Do("CLIENT", "PAUSE", "1000", "WRITE")
		time.Sleep(time.Second)
		d.landAgain(3 * time.Second)
		d.clear(5 * time.Second)
		d.wantFailovers()
		d.fault = time.Time{}
		return d.end()
	})
}
