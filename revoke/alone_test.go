package revoke_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// TestSentinelWithoutReplicasTheListGoesOn: who has the master's word only cannot
// know that no replica was promoted. The sentinels' word of two seconds later can.
func TestSentinelWithoutReplicasTheListGoesOn(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	policy := revoke.Policy{MaxLag: 10 * time.Second, AckTimeout: time.Second}
	p := startAll(t, 1, options(set), policy)[0]
	master := set.Master()
	for _, n := range set.Nodes() {
		if n != master {
			n.Kill()
		}
	}
	eventually(t, 30*time.Second, "a majority holds the replicas down, and it goes on", func() bool {
		s := p.Stats()
		return hasFinding(p, "sentinel-no-replica") && s.Lag > time.Second && s.Lag < 8*time.Second
	})
	time.Sleep(policy.MaxLag) // longer than what was known before lasts
	if v := p.Check(revoke.Token{ID: "x"}); v.Status != revoke.NotRevoked {
		t.Errorf("after MaxLag without replicas: %+v", v)
	}
	p.revoke("a")

	fresh := start(t, options(set), revoke.Policy{AckTimeout: 8 * time.Second})
	fresh.waitReady()
	p.revoke("b")
	if v, err := fresh.CheckStrict(t.Context(), revoke.Token{ID: "b"}); err != nil || v.Status != revoke.Revoked {
		t.Errorf("a strict check = %+v, %v", v, err)
	}
	began := time.Now()
	v, err := fresh.CheckStrict(t.Context(), revoke.Token{ID: "x"})
	if took := time.Since(began); err != nil || !v.Allowed() || v.AsOf.Before(began) || took < 2*time.Second {
		t.Errorf("a strict check of what is not revoked = %+v, %v after %v", v, err, took)
	} else {
		t.Logf("strict check after %v", took)
	}
	// The default of a second is not enough, and says so at its end.
	if v, err := p.CheckStrict(t.Context(), revoke.Token{ID: "x"}); !evercache.IsUnavailable(err) || v.Allowed() {
		t.Errorf("a strict check within AckTimeout = %+v, %v", v, err)
	}
	if s := p.Stats(); s.Strict != 1 || s.StrictFailed != 1 {
		t.Errorf("%d of %d strict checks failed", s.StrictFailed, s.Strict)
	}

	// Without a majority of the sentinels nobody knows.
	for _, s := range set.Sentinels()[1:] {
		s.Kill()
	}
	eventually(t, 20*time.Second, "unknown without a majority", func() bool { return p.status("x") == revoke.Unknown })
	if got := p.status("b"); got != revoke.Revoked {
		t.Errorf("a known one: %v", got)
	}
}
