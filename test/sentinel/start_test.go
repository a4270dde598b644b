package sentinel_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelADeadSentinelInTheListDoesNoHarm(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t)
		set.Sentinels()[0].Kill()
		d := testkit.Begin(t, set)
		d.Limits.Landing = testkit.LandsWithin
		return d.FailsOver("failure", d.Old.Kill)
	})
}

// TestSentinelAProcessMayStartInAnOutage: it has never seen the master that died.
// What is written before the promotion is kept and lands.
func TestSentinelAProcessMayStartInAnOutage(t *testing.T) {
	for _, started := range []struct {
		name string
		when func(*testing.T, *redistest.Sentinel)
	}{
		{"the master is dead", func(*testing.T, *redistest.Sentinel) {}},
		{"a failover is under way", func(t *testing.T, s *redistest.Sentinel) {
			(&testkit.Drill{T: t, Set: s}).UntilLogged("+try-failover")
		}},
	} {
		t.Run(started.name, func(t *testing.T) {
			testkit.Scenario(t, func(t *testing.T) chaos.Summary {
				// Three sentinels that notice at one moment may all lose the vote, and try again later.
				set := redistest.StartSentinel(t, redistest.WithFailoverTimeout(2*time.Second))
				old := set.Master()
				old.Kill()
				started.when(t, set)
				opened := time.Now()
				d := testkit.Prepare(t, set)
				if took := time.Since(opened); took > 200*time.Millisecond {
					t.Errorf("Open took %v", took)
				}
				d.Old = old
				d.Fault = opened
				d.Load(chaos.Load{Store: testkit.Store{Cache: d.Cache}, Writers: testkit.Writers, Prefix: testkit.Class + "w-"})
				d.Connect()
				d.LandAgain()
				d.Wait("the master was not confirmed", func() bool { return !d.Client.Health().Sentinel.Provisional })
				return d.End()
			})
		})
	}
}

func TestSentinelAWrongMasterNameIsSaid(t *testing.T) {
	set := redistest.StartSentinel(t)
	d := testkit.Prepare(t, set, func(o *evercache.Options) { o.MasterName = "mistaken" })
	d.Wait("no finding about it", func() bool {
		return d.Client.Health().Sentinel.Reachable == 3 && slices.ContainsFunc(d.Client.Health().Findings, func(f health.Finding) bool {
			return f.Code == "sentinel-unknown-master" && strings.Contains(f.Fix, "MASTER_NAME")
		})
	})
	h := d.Client.Health()
	if h.Sentinel.Reachable != 3 || h.Sentinel.Monitoring != 0 || h.Sentinel.Sentinels[0].Err == nil {
		d.Errorf("the sentinels answer and know no such master: %+v", h.Sentinel)
	}
	for _, f := range h.Findings {
		if strings.Contains(f.Detail, "0 of 3 answer") || strings.Contains(f.Detail, "the quorum is 0") || f.Code == "sentinel-no-quorum" || f.Code == "sentinel-no-master" {
			d.Errorf("it is not so: %+v", f)
		}
	}
	if h.Connected || h.State != health.Degraded {
		d.Errorf("state %v, connected %v", h.State, h.Connected)
	}
	if r, err := d.Cache.Set(t.Context(), "k", "v"); err != nil || r.Durability != evercache.Memory {
		d.Errorf("Set = %v, %v", r, err)
	}
	if err := d.Client.Shutdown(canceled()); err == nil {
		d.Error("Shutdown says nothing of the write that is lost")
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestSentinelPasswordsAndTLSOfNodesAndSentinelsAreSeparate(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithTLS(), redistest.WithPassword("of-nodes"), redistest.WithSentinelPassword("of-sentinels"))
		d := testkit.Prepare(t, set, func(o *evercache.Options) {
			o.Password, o.TLS = "of-nodes", set.TLSConfig()
			o.SentinelPassword, o.SentinelTLS = "of-sentinels", set.TLSConfig()
		})
		d.Secure = chaos.Node{Password: "of-nodes", TLS: set.TLSConfig()}
		d.Connect()
		d.Settle()
		d.Load(d.Seed())
		d.Limits.Landing = 2 * testkit.LandsWithin // each connection begins with a handshake
		return d.FailsOver("planned", d.Set.Failover)
	})
}
