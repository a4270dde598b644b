package failover_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// pause is how long a planned failover may keep writes waiting. On a machine
// that is busy Sentinel itself takes longer to promote; the client is not to
// blame for that.
func pause(d *testkit.Drill, promoted chaos.Role) time.Duration {
	return max(400*time.Millisecond, promoted.At.Sub(d.Fault)+200*time.Millisecond)
}

func TestSentinelAPlannedFailoverLosesNothing(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Limits.Landing = testkit.LandsWithin
		d.Inject(d.Set.Failover)
		d.Limits.Gap = pause(d, d.LandsElsewhere())
		return d.Followed("planned")
	})
}

// TestSentinelAPlannedFailoverWhoseLeaderIsNotHeard cuts the client off from the
// sentinel that does it, which alone speaks of it for a second: the replica that
// vanishes from the master's list opens the fence.
func TestSentinelAPlannedFailoverWhoseLeaderIsNotHeard(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t)
		leader := redistest.NewProxy(t, set.Addrs()[0]) // the first is asked for the failover
		d := testkit.Begin(t, set, func(o *evercache.Options) {
			o.Sentinels = []string{leader.Addr(), set.Addrs()[1], set.Addrs()[2]}
		})
		leader.Blackhole(true)
		d.Wait("the cut was not noticed", func() bool { return d.Client.Health().Sentinel.Reachable == 2 })
		d.Inject(d.Set.Failover)
		d.LandsElsewhere()
		d.Confirmed()
		d.WantFailovers("planned")
		leader.Blackhole(false)
		return d.End()
	})
}

// TestSentinelAPlannedFailoverWhoseLeaderDropsUs ends the subscription as it begins.
func TestSentinelAPlannedFailoverWhoseLeaderDropsUs(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Inject(func() {
			d.Set.Sentinels()[0].Do("CLIENT", "KILL", "TYPE", "pubsub")
			d.Set.Failover()
		})
		d.Limits.Gap = pause(d, d.LandsElsewhere())
		return d.Followed("planned")
	})
}

// TestSentinelAFailoverOfWhichNothingIsPublished forbids the client to
// subscribe: asking has to find the promotion, and it counts once.
func TestSentinelAFailoverOfWhichNothingIsPublished(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithSentinelConfig("user app on >secret ~* &* +@all -subscribe -psubscribe"))
		d := testkit.Begin(t, set, func(o *evercache.Options) { o.SentinelUsername, o.SentinelPassword = "app", "secret" })
		d.Limits.Landing = 1500 * time.Millisecond
		return d.FailsOver("planned", d.Set.Failover)
	})
}

// TestSentinelAFailoverByHandIsFollowed uses FAILOVER on the master itself, of
// which the sentinels know nothing: they name the old one for seconds.
func TestSentinelAFailoverByHandIsFollowed(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFailoverTimeout(2*time.Second)))
		d.Limits.Landing = testkit.LandsWithin
		next := d.Replica()
		d.Inject(func() { d.Old.Do("FAILOVER", "TO", next.Host(), strconv.Itoa(next.Port())) })
		p := d.LandsElsewhere()
		if p.Node != next.Addr() {
			d.Errorf("promoted %s, want %s", p.Node, next.Addr())
		}
		if f := d.Client.Health().Sentinel.Failovers; len(f) == 0 || f[0].Cause != "manual" || f[0].To != next.Addr() {
			d.Errorf("history %+v", f)
		}
		// The sentinels turn the new master into a replica of the old one, or
		// fail over: whatever comes of it is followed, and nothing is lost.
		d.Set.SetFast(true)
		return d.EndUnsettled()
	})
}

func TestSentinelManyFailoversLeaveNothingBehind(t *testing.T) {
	n := 2
	if testkit.Runs() > 1 {
		n = 50
	}
	d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel()))
	d.Limits.Landing = 0
	goroutines, conns := 0, 0
	var causes []string
	for i := range n {
		old := d.Set.Master()
		d.Old, d.Fault = old, time.Now()
		d.PlannedFailover()
		p := d.LandsElsewhere()
		d.Set.WaitHealthy(20 * time.Second)
		d.Confirmed()
		d.Wait("no all-clear", func() bool { return d.Client.Health().Sentinel.Stage == "clear" })
		causes = append(causes, "planned")
		s := d.Client.Health().Sentinel
		if s.FailoverCount != len(causes) {
			d.Fatalf("%d failovers counted after %d: %+v", s.FailoverCount, len(causes), s.Failovers)
		}
		c, gap := d.Connections(p.Node), s.Failovers[len(s.Failovers)-1].Blackout
		if i == 0 {
			goroutines, conns = runtime.NumGoroutine(), c
		}
		if runtime.NumGoroutine() > goroutines+20 || c > conns+2 {
			d.Errorf("after %d failovers: %d goroutines, %d connections; after the first %d and %d", i+1, runtime.NumGoroutine(), c, goroutines, conns)
		}
		d.Logf("failover %d: %d goroutines, %d connections, blackout %v", i+1, runtime.NumGoroutine(), c, gap)
	}
	d.End()
}
