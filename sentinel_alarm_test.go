package evercache_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/chaos"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelAHangThatPassesIsNoFailover(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t, redistest.WithDownAfter(3*time.Second)))
		fenced := d.fencedAtMost(2 * time.Second)
		d.inject(d.old.Pause)
		time.Sleep(1300 * time.Millisecond)
		d.old.Resume()
		resumed := time.Now()
		d.wait(3*time.Second, "writes do not land again", func() bool { return d.run.History.Landed(resumed) > 200 })
		fenced()
		d.wait(5*time.Second, "no all-clear", func() bool { return d.client.Health().Sentinel.Stage == "clear" })
		d.wantFailovers()
		return d.end()
	})
}

func TestSentinelKilledConnectionsAreReplacedAtOnce(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.limits.Gap = 300 * time.Millisecond
		d.inject(func() { d.old.Do("CLIENT", "KILL", "TYPE", "normal") })
		injected := time.Now()
		d.wait(3*time.Second, "writes do not land again", func() bool { return d.run.History.Landed(injected) > 200 })
		d.wait(5*time.Second, "no all-clear", func() bool { return d.client.Health().Sentinel.Stage == "clear" })
		d.wantFailovers()
		return d.end()
	})
}
