package evercache_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// pause is how long a planned failover may keep writes waiting. On a machine
// that is busy Sentinel itself takes longer to promote; the client is not to
// blame for that.
func (d *drill) pause(promoted chaos.Role) time.Duration {
	return max(400*time.Millisecond, promoted.At.Sub(d.fault)+200*time.Millisecond)
}

func TestSentinelAPlannedFailoverLosesNothing(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.limits.Landing = landsWithin
		d.inject(d.set.Failover)
		d.limits.Gap = d.pause(d.landsElsewhere(5 * time.Second))
		d.confirmed(5 * time.Second)
		d.wantFailovers("planned")
		return d.end()
	})
}

// TestSentinelAPlannedFailoverWhoseLeaderIsNotHeard cuts the client off from the
// sentinel that does it, which alone speaks of it for a second: the replica that
// vanishes from the master's list opens the fence.
func TestSentinelAPlannedFailoverWhoseLeaderIsNotHeard(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t)
		leader := redistest.NewProxy(t, set.Addrs()[0]) // the first is asked for the failover
		d := begin(t, set, func(o *evercache.Options) {
			o.Sentinels = []string{leader.Addr(), set.Addrs()[1], set.Addrs()[2]}
		})
		leader.Blackhole(true)
		d.wait(5*time.Second, "the cut was not noticed", func() bool { return d.client.Health().Sentinel.Reachable == 2 })
		d.inject(d.set.Failover)
		d.landsElsewhere(5 * time.Second)
		d.confirmed(8 * time.Second)
		d.wantFailovers("planned")
		leader.Blackhole(false)
		return d.end()
	})
}

// TestSentinelAPlannedFailoverWhoseLeaderDropsUs ends the subscription as it begins.
func TestSentinelAPlannedFailoverWhoseLeaderDropsUs(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.inject(func() {
			d.set.Sentinels()[0].Do("CLIENT", "KILL", "TYPE", "pubsub")
			d.set.Failover()
		})
		d.limits.Gap = d.pause(d.landsElsewhere(5 * time.Second))
		d.confirmed(5 * time.Second)
		d.wantFailovers("planned")
		return d.end()
	})
}

// TestSentinelAFailoverOfWhichNothingIsPublished forbids the client to
// subscribe: asking has to find the promotion, and it counts once.
func TestSentinelAFailoverOfWhichNothingIsPublished(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithSentinelConfig("user app on >secret ~* &* +@all -subscribe -psubscribe"))
		d := begin(t, set, func(o *evercache.Options) { o.SentinelUsername, o.SentinelPassword = "app", "secret" })
		d.limits.Landing = 1500 * time.Millisecond
		d.inject(d.set.Failover)
		d.landsElsewhere(5 * time.Second)
		d.confirmed(5 * time.Second)
		d.wantFailovers("planned")
		return d.end()
	})
}

// TestSentinelAFailoverByHandIsFollowed uses FAILOVER on the master itself, of
// which the sentinels know nothing: they name the old one for seconds.
func TestSentinelAFailoverByHandIsFollowed(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(2*time.Second)))
		d.limits.Landing = landsWithin
		next := d.replica()
		d.inject(func() { d.old.Do("FAILOVER", "TO", next.Host(), itoa(next.Port())) })
		p := d.landsElsewhere(5 * time.Second)
		if p.Node != next.Addr() {
			d.Errorf("promoted %s, want %s", p.Node, next.Addr())
		}
		if f := d.client.Health().Sentinel.Failovers; len(f) == 0 || f[0].Cause != "manual" || f[0].To != next.Addr() {
			d.Errorf("history %+v", f)
		}
		// The sentinels turn the new master into a replica of the old one, or
		// fail over: whatever comes of it is followed, and nothing is lost.
		d.set.SetFast(true)
		return d.endUnsettled()
	})
}

func TestSentinelManyFailoversLeaveNothingBehind(t *testing.T) {
	n := 2
	if runs() > 1 {
		n = 50
	}
	d := begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel()))
	d.limits.Landing = 0
	goroutines, conns := 0, 0
	var causes []string
	for i := range n {
		old := d.set.Master()
		d.old, d.fault = old, time.Now()
		d.plannedFailover()
		p := d.landsElsewhere(10 * time.Second)
		d.set.WaitHealthy(20 * time.Second)
		d.confirmed(5 * time.Second)
		d.wait(15*time.Second, "no all-clear", func() bool { return d.client.Health().Sentinel.Stage == "clear" })
		causes = append(causes, "planned")
		s := d.client.Health().Sentinel
		if s.FailoverCount != len(causes) {
			d.Fatalf("%d failovers counted after %d: %+v", s.FailoverCount, len(causes), s.Failovers)
		}
		c, gap := d.connections(p.Node), s.Failovers[len(s.Failovers)-1].Blackout
		if i == 0 {
			goroutines, conns = runtime.NumGoroutine(), c
		}
		if runtime.NumGoroutine() > goroutines+20 || c > conns+2 {
			d.Errorf("after %d failovers: %d goroutines, %d connections; after the first %d and %d", i+1, runtime.NumGoroutine(), c, goroutines, conns)
		}
		d.Logf("failover %d: %d goroutines, %d connections, blackout %v", i+1, runtime.NumGoroutine(), c, gap)
	}
	d.end()
}

// plannedFailover repeats a request that the sentinel refuses, as it does for a
// while after the last one.
func (d *drill) plannedFailover() {
	d.Helper()
	d.wait(30*time.Second, "SENTINEL FAILOVER was refused", func() bool {
		d.fault = time.Now()
		_, err := d.set.Sentinels()[0].Try(context.Background(), "SENTINEL", "FAILOVER", d.set.MasterName())
		return err == nil
	})
}

// connections counts those of the client to a node.
func (d *drill) connections(addr string) int {
	d.Helper()
	list, _ := d.set.Node(addr).Do("CLIENT", "LIST", "TYPE", "normal").(string)
	return strings.Count(list, "name=evercache")
}
