package revoke_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// underChecks lets a revoke and b check until do is over.
func underChecks(t *testing.T, a, b *process, do func(*history)) {
	t.Helper()
	h := new(history)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { h.revokeUntil(ctx, func() *process { return a }, "a", time.Millisecond) })
	wg.Go(func() { h.checkUntil(ctx, func() *process { return b }, "b", time.Minute) })
	do(h)
	cancel()
	wg.Wait()
	h.report(t)
}

func TestAProcessBehindASlowNetworkDoesNotClaimToKnowMore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	policy := revoke.Policy{MaxLag: time.Minute}
	a := startAll(t, 1, single(server), policy)[0]
	b := start(t, evercache.Options{Addr: proxy.Addr(), ReadTimeout: time.Second, WriteTimeout: time.Second}, policy)
	b.waitReady()
	proxy.SetLatency(redistest.ToClient, 50*time.Millisecond)
	underChecks(t, a, b, func(*history) { time.Sleep(1500 * time.Millisecond) })
	if lag := b.Stats().Lag; lag > 10*time.Second {
		t.Errorf("it does not renew its knowledge any more: %v", lag)
	}
}

// TestSentinelADemotedMasterThatAnswersIsNotBelieved: b sees nothing but the old
// master, which goes on answering as one for a while after the failover.
func TestSentinelADemotedMasterThatAnswersIsNotBelieved(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	old := set.Master()
	policy := revoke.Policy{MaxLag: time.Minute}
	a := startAll(t, 1, options(set), policy)[0]

	o := options(set)
	o.AddressMap, o.Sentinels = map[string]string{}, nil
	var cut []*redistest.Proxy
	for _, n := range append(set.Nodes(), set.Sentinels()...) {
		p := redistest.NewProxy(t, n.Addr())
		o.AddressMap[n.Addr()] = p.Addr()
		if n != old {
			cut = append(cut, p)
		}
	}
	for _, s := range set.Sentinels() {
		o.Sentinels = append(o.Sentinels, o.AddressMap[s.Addr()])
	}
	b := start(t, o, policy)
	b.waitReady()
	eventually(t, 30*time.Second, "b is up to date", func() bool { return b.Stats().Lag < 2*time.Second })
	underChecks(t, a, b, func(h *history) {
		for _, p := range cut {
			p.Blackhole(true)
		}
		set.Failover()
		set.WaitMaster(old.Addr(), 30*time.Second)
		promoted := time.Now()
		eventually(t, 20*time.Second, "a revokes through the new master", func() bool { return h.last().After(promoted.Add(500 * time.Millisecond)) })
		if b.Stats().AsOf.After(promoted) {
			t.Errorf("b claims to know everything as of %v after the new master was announced", b.Stats().AsOf.Sub(promoted))
		}
		for _, p := range cut {
			p.Heal()
		}
		eventually(t, 30*time.Second, "b knows again", func() bool { return b.Stats().AsOf.After(promoted) })
	})
}
