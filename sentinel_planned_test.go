package evercache_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/chaos"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelAPlannedFailoverLosesNothing(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		d := begin(t, redistest.StartSentinel(t))
		d.limits.Landing, d.limits.Gap = 250*time.Millisecond, 400*time.Millisecond
		d.inject(d.set.Failover)
		d.landsElsewhere(5 * time.Second)
		d.confirmed(5 * time.Second)
		d.wantFailovers("planned")
		return d.end()
	})
}
