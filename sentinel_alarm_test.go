package evercache_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelAHangThatPassesIsNoFailover(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(3*time.Second)))
		fenced := d.fencedAtMost(2 * time.Second)
		d.inject(d.old.Pause)
		time.Sleep(1300 * time.Millisecond)
		d.old.Resume()
		d.landAgain(3 * time.Second)
		fenced()
		d.clear(5 * time.Second)
		d.wantFailovers()
		return d.end()
	})
}

func TestSentinelKilledConnectionsAreReplacedAtOnce(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.limits.Gap = 300 * time.Millisecond
		d.inject(func() { d.old.Do("CLIENT", "KILL", "TYPE", "normal") })
		d.landAgain(3 * time.Second)
		d.clear(5 * time.Second)
		d.wantFailovers()
		return d.end()
	})
}

func TestSentinelAReplicaThatDiesIsNoFailover(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.limits.Gap = 300 * time.Millisecond
		fenced := d.fencedAtMost(0)
		killed := d.replica()
		d.inject(killed.Kill)
		d.untilLogged("+sdown slave "+killed.Addr(), 5*time.Second)
		time.Sleep(500 * time.Millisecond)
		fenced()
		d.clear(5 * time.Second) // a majority holds the replica down
		d.wantFailovers()
		return d.end()
	})
}

// TestSentinelAMasterMadeByHandIsNotFollowed: nobody ever explains such a node,
// so the fence has its limit.
func TestSentinelAMasterMadeByHandIsNotFollowed(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		fenced := d.fencedAtMost(2 * time.Second)
		d.inject(func() { d.replica().Do("REPLICAOF", "NO", "ONE") })
		time.Sleep(3 * time.Second)
		d.landAgain(5 * time.Second)
		fenced()
		d.wantFailovers()
		if m := d.client.Health().Master; m != d.old.Addr() {
			d.Errorf("master %s, was %s", m, d.old.Addr())
		}
		d.fault = time.Time{}
		return d.end()
	})
}

func TestSentinelAnotherGroupOnTheSameSentinelsIsIgnored(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t)
		other := redistest.Start(t)
		for _, s := range set.Sentinels() {
			s.Do("SENTINEL", "MONITOR", "other", other.Host(), itoa(other.Port()), "1")
			s.Do("SENTINEL", "SET", "other", "down-after-milliseconds", "300")
		}
		d := begin(t, set)
		d.limits.Gap = 300 * time.Millisecond
		fenced := d.fencedAtMost(0)
		d.inject(other.Kill)
		d.untilLogged("+try-failover master other", 10*time.Second)
		time.Sleep(500 * time.Millisecond)
		fenced()
		d.wantFailovers()
		return d.end()
	})
}

// TestSentinelAForgetfulSentinelIsNotFollowed restarts one without its memory
// after a failover: it names the first master, and says so to all.
func TestSentinelAForgetfulSentinelIsNotFollowed(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.inject(d.set.Failover)
		p := d.landsElsewhere(5 * time.Second)
		d.confirmed(5 * time.Second)
		d.set.Sentinels()[2].Restart(redistest.Empty)
		for range 30 {
			time.Sleep(100 * time.Millisecond)
			if m := d.client.Health().Master; m != p.Node {
				d.Fatalf("master %s, promoted was %s", m, p.Node)
			}
		}
		d.wantFailovers("planned")
		return d.end()
	})
}

// TestSentinelAStaleSentinelIsNotFollowed lets one sleep through a failover.
func TestSentinelAStaleSentinelIsNotFollowed(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		stale := d.set.Sentinels()[2]
		stale.Pause()
		d.inject(d.set.Failover)
		p := d.landsElsewhere(5 * time.Second)
		d.confirmed(8 * time.Second)
		stale.Resume()
		for range 30 {
			time.Sleep(100 * time.Millisecond)
			if m := d.client.Health().Master; m != p.Node {
				d.Fatalf("master %s, promoted was %s", m, p.Node)
			}
		}
		d.wantFailovers("planned")
		return d.end()
	})
}

// TestSentinelTheSentinelsMayForgetEverything: SENTINEL REMOVE and MONITOR set
// the configuration epoch back to 0.
func TestSentinelTheSentinelsMayForgetEverything(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithFastSentinel()))
		d.inject(d.set.Failover)
		p := d.landsElsewhere(5 * time.Second)
		d.confirmed(5 * time.Second)
		d.set.WaitHealthy(20 * time.Second) // without them nobody would demote the old master
		master := d.set.Node(p.Node)
		for _, s := range d.set.Sentinels() { // all, before the first is told again: one that remembers tells the others its epoch
			s.Do("SENTINEL", "REMOVE", d.set.MasterName())
		}
		for _, s := range d.set.Sentinels() {
			s.Do("SENTINEL", "MONITOR", d.set.MasterName(), master.Host(), itoa(master.Port()), "2")
			s.Do("SENTINEL", "SET", d.set.MasterName(), "down-after-milliseconds", "500")
		}
		d.wait(20*time.Second, "the sentinels' new memory is not believed", func() bool {
			s := d.client.Health().Sentinel
			return s.Agreeing == 3 && !s.Provisional && d.client.State() == evercache.Connected
		})
		d.wantFailovers("planned")
		d.set.WaitHealthy(20 * time.Second)
		d.wait(20*time.Second, "the epoch is not believed", func() bool { return d.client.Health().Sentinel.Epoch == 0 }) // two polls that agree, two seconds apart
		again := time.Now()
		d.plannedFailover()
		d.wait(20*time.Second, "the next failover is not followed", func() bool {
			return d.client.Health().Master != p.Node && d.run.History.Landed(again) > 100
		})
		d.confirmed(8 * time.Second)
		d.wantFailovers("planned", "planned")
		return d.end()
	})
}
