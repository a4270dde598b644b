package sentinel_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelAHangThatPassesIsNoFailover(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(3*time.Second)))
		fenced := d.FencedAtMost(2 * time.Second)
		d.Inject(d.Old.Pause)
		time.Sleep(1300 * time.Millisecond)
		d.Old.Resume()
		d.LandAgain()
		fenced()
		d.Clear()
		d.WantFailovers()
		return d.End()
	})
}

func TestSentinelKilledConnectionsAreReplacedAtOnce(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Limits.Gap = 300 * time.Millisecond
		d.Inject(func() { d.Old.Do("CLIENT", "KILL", "TYPE", "normal") })
		d.LandAgain()
		d.Clear()
		d.WantFailovers()
		return d.End()
	})
}

func TestSentinelAReplicaThatDiesIsNoFailover(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Limits.Gap = 300 * time.Millisecond
		fenced := d.FencedAtMost(0)
		killed := d.Replica()
		d.Inject(killed.Kill)
		d.UntilLogged("+sdown slave " + killed.Addr())
		time.Sleep(500 * time.Millisecond)
		fenced()
		d.Clear() // a majority holds the replica down
		d.WantFailovers()
		return d.End()
	})
}

// TestSentinelAMasterMadeByHandIsNotFollowed: nobody ever explains such a node,
// so the fence has its limit.
func TestSentinelAMasterMadeByHandIsNotFollowed(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		fenced := d.FencedAtMost(2 * time.Second)
		d.Inject(func() { d.Replica().Do("REPLICAOF", "NO", "ONE") })
		time.Sleep(3 * time.Second)
		d.LandAgain()
		fenced()
		d.WantFailovers()
		if m := d.Client.Health().Master; m != d.Old.Addr() {
			d.Errorf("master %s, was %s", m, d.Old.Addr())
		}
		d.Fault = time.Time{}
		return d.End()
	})
}

func TestSentinelAnotherGroupOnTheSameSentinelsIsIgnored(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t)
		other := redistest.Start(t)
		for _, s := range set.Sentinels() {
			s.Do("SENTINEL", "MONITOR", "other", other.Host(), strconv.Itoa(other.Port()), "1")
			s.Do("SENTINEL", "SET", "other", "down-after-milliseconds", "300")
		}
		d := testkit.Begin(t, set)
		d.Limits.Gap = 300 * time.Millisecond
		fenced := d.FencedAtMost(0)
		d.Inject(other.Kill)
		d.UntilLogged("+try-failover master other")
		time.Sleep(500 * time.Millisecond)
		fenced()
		d.WantFailovers()
		return d.End()
	})
}

// TestSentinelAForgetfulSentinelIsNotFollowed restarts one without its memory
// after a failover: it names the first master, and says so to all.
func TestSentinelAForgetfulSentinelIsNotFollowed(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		d.Inject(d.Set.Failover)
		p := d.LandsElsewhere()
		d.Confirmed()
		d.Set.Sentinels()[2].Restart(redistest.Empty)
		for range 30 {
			time.Sleep(100 * time.Millisecond)
			if m := d.Client.Health().Master; m != p.Node {
				d.Fatalf("master %s, promoted was %s", m, p.Node)
			}
		}
		d.WantFailovers("planned")
		return d.End()
	})
}

// TestSentinelAStaleSentinelIsNotFollowed lets one sleep through a failover.
func TestSentinelAStaleSentinelIsNotFollowed(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t))
		stale := d.Set.Sentinels()[2]
		stale.Pause()
		d.Inject(d.Set.Failover)
		p := d.LandsElsewhere()
		d.Confirmed()
		stale.Resume()
		for range 30 {
			time.Sleep(100 * time.Millisecond)
			if m := d.Client.Health().Master; m != p.Node {
				d.Fatalf("master %s, promoted was %s", m, p.Node)
			}
		}
		d.WantFailovers("planned")
		return d.End()
	})
}

// TestSentinelTheSentinelsMayForgetEverything: SENTINEL REMOVE and MONITOR set
// the configuration epoch back to 0.
func TestSentinelTheSentinelsMayForgetEverything(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		d := testkit.Begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel()))
		d.Inject(d.Set.Failover)
		p := d.LandsElsewhere()
		d.Confirmed()
		d.Set.WaitHealthy(20 * time.Second) // without them nobody would demote the old master
		master := d.Set.Node(p.Node)
		var forgot time.Time
		forget := func() {
			for _, s := range d.Set.Sentinels() { // all, before the first is told again: one that remembers tells the others its epoch
				s.Do("SENTINEL", "REMOVE", d.Set.MasterName())
			}
			for _, s := range d.Set.Sentinels() {
				s.Do("SENTINEL", "MONITOR", d.Set.MasterName(), master.Host(), strconv.Itoa(master.Port()), "2")
				s.Do("SENTINEL", "SET", d.Set.MasterName(), "down-after-milliseconds", "500")
			}
			forgot = time.Now()
		}
		forget()
		d.Wait("the sentinels' new memory is not believed", func() bool {
			s := d.Client.Health().Sentinel
			return s.Agreeing == 3 && !s.Provisional && d.Client.State() == health.Connected
		})
		d.WantFailovers("planned")
		d.Set.WaitHealthy(20 * time.Second)
		d.Wait("the epoch is not believed", func() bool { // two polls that agree, two seconds apart
			h := d.Client.Health().Sentinel
			told := !slices.ContainsFunc(h.Sentinels, func(s health.SentinelNode) bool { return s.Epoch == 0 })
			if h.Epoch != 0 && told && time.Since(forgot) > 10*time.Second { // a message that was on its way has told them
				forget()
			}
			return h.Epoch == 0
		})
		again := time.Now()
		d.PlannedFailover()
		d.Wait("the next failover is not followed", func() bool {
			return d.Client.Health().Master != p.Node && d.Traffic.History.Landed(again) > 100
		})
		return d.Followed("planned", "planned")
	})
}
