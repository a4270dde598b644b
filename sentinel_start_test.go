package evercache_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

func TestSentinelADeadSentinelInTheListDoesNoHarm(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t)
		set.Sentinels()[0].Kill()
		d := begin(t, set)
		d.limits.Landing = landsWithin
		d.inject(d.old.Kill)
		d.landsElsewhere(20 * time.Second)
		d.confirmed(5 * time.Second)
		d.wantFailovers("failure")
		return d.end()
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
			(&drill{T: t, set: s}).untilLogged("+try-failover", 10*time.Second)
		}},
	} {
		t.Run(started.name, func(t *testing.T) {
			scenario(t, func(t *testing.T) chaos.Summary {
				// Three sentinels that notice at one moment may all lose the vote, and try again later.
				set := redistest.StartSentinel(t, redistest.WithFailoverTimeout(2*time.Second))
				old := set.Master()
				old.Kill()
				started.when(t, set)
				opened := time.Now()
				d := prepare(t, set)
				if took := time.Since(opened); took > 200*time.Millisecond {
					t.Errorf("Open took %v", took)
				}
				d.old = old
				d.fault = opened
				d.load(chaos.Load{Store: caching{d.cache}, Writers: writers, Prefix: class + "w-"})
				d.connect(25 * time.Second)
				d.landAgain(2 * time.Second)
				d.wait(5*time.Second, "the master was not confirmed", func() bool { return !d.client.Health().Sentinel.Provisional })
				return d.end()
			})
		})
	}
}

func TestSentinelAWrongMasterNameIsSaid(t *testing.T) {
	set := redistest.StartSentinel(t)
	d := prepare(t, set, func(o *evercache.Options) { o.MasterName = "mistaken" })
	d.wait(20*time.Second, "no finding about it", func() bool {
		return d.client.Health().Sentinel.Reachable == 3 && slices.ContainsFunc(d.client.Health().Findings, func(f evercache.Finding) bool {
			return f.Code == "sentinel-unknown-master" && strings.Contains(f.Fix, "MASTER_NAME")
		})
	})
	h := d.client.Health()
	if h.Sentinel.Reachable != 3 || h.Sentinel.Monitoring != 0 || h.Sentinel.Sentinels[0].Err == nil {
		d.Errorf("the sentinels answer and know no such master: %+v", h.Sentinel)
	}
	for _, f := range h.Findings {
		if strings.Contains(f.Detail, "0 of 3 answer") || strings.Contains(f.Detail, "the quorum is 0") || f.Code == "sentinel-no-quorum" || f.Code == "sentinel-no-master" {
			d.Errorf("it is not so: %+v", f)
		}
	}
	if h.Connected || h.State != evercache.Degraded {
		d.Errorf("state %v, connected %v", h.State, h.Connected)
	}
	if r, err := d.cache.Set(t.Context(), "k", "v"); err != nil || r.Durability != evercache.Memory {
		d.Errorf("Set = %v, %v", r, err)
	}
	if err := d.client.Shutdown(canceled()); err == nil {
		d.Error("Shutdown says nothing of the write that is lost")
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestSentinelPasswordsAndTLSOfNodesAndSentinelsAreSeparate(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithTLS(), redistest.WithPassword("of-nodes"), redistest.WithSentinelPassword("of-sentinels"))
		d := prepare(t, set, func(o *evercache.Options) {
			o.Password, o.TLS = "of-nodes", set.TLSConfig()
			o.SentinelPassword, o.SentinelTLS = "of-sentinels", set.TLSConfig()
		})
		d.secure = chaos.Node{Password: "of-nodes", TLS: set.TLSConfig()}
		d.connect(5 * time.Second)
		d.settle()
		d.load(d.seed())
		d.limits.Landing = 2 * landsWithin // each connection begins with a handshake
		d.inject(d.set.Failover)
		d.landsElsewhere(20 * time.Second)
		d.confirmed(20 * time.Second)
		d.wantFailovers("planned")
		return d.end()
	})
}
