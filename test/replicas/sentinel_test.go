package replicas_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// fill writes keys that the reader does not know of.
func fill(t *testing.T, master *redistest.Server, prefix string, n int) (keys []string) {
	t.Helper()
	for i := range n {
		key := fmt.Sprintf("%s%d", prefix, i)
		master.Do("SET", class+":"+key, key, "PX", "3600000")
		keys = append(keys, key)
	}
	return keys
}

func TestReplicasAnswerWithPasswordAndTLS(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(2), redistest.WithPassword("secret"), redistest.WithTLS())
	o := sentinelOptions(set)
	o.Password, o.TLS, o.SentinelTLS, o.Zone = "secret", set.TLSConfig(), set.TLSConfig(), "nowhere"
	o.ReadTimeout = 4 * time.Second
	client, cache := open(t, o, evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never, MaxStaleness: 20 * time.Second})
	keys := fill(t, set.Master(), "k", 50)
	untilAsked(t, client, cache, set.Master())
	by := map[evercache.Source]int{}
	coherent := 0
	testkit.Until(t, "replicas answer most reads, and coherent ones", func() bool {
		for _, key := range keys {
			e, err := cache.Lookup(t.Context(), key)
			if err != nil || e.Value != key || !e.Fresh || e.Cause != nil {
				t.Fatalf("%s: %+v, %v", key, e, err)
			}
			by[e.Source]++
			if e.Source != evercache.SourceReplica {
				continue
			}
			if e.Behind <= 0 || e.Age > time.Hour {
				t.Errorf("%s: behind %v, age %v", key, e.Behind, e.Age)
			}
			if e.Coherent {
				coherent++
			}
		}
		return by[evercache.SourceReplica] > 200 && coherent > 0
	})
	got, err := cache.GetMany(t.Context(), append(keys, "none"), nil)
	if err != nil || len(got) != len(keys) {
		t.Errorf("GetMany: %d values, %v", len(got), err)
	}
	for _, n := range set.Nodes() {
		if n == set.Master() {
			continue
		}
		if s := fmt.Sprint(n.Do("INFO", "commandstats")); !strings.Contains(s, "cmdstat_pexpiretime") {
			t.Errorf("replica %s was not read from", n.Addr())
		}
	}
	long := strings.Repeat("x", 1<<20)
	set.Master().Do("SET", class+":long", long)
	testkit.Until(t, "a replica is refused for the length of a value", func() bool {
		if e, err := cache.Lookup(t.Context(), "long"); err != nil || e.Value != long || e.Source != evercache.SourceRedis {
			t.Fatalf("a long value: %d bytes from %v, %v", len(e.Value), e.Source, err)
		}
		return refused(client, "long") > 0
	})
	t.Log(by, reasons(client.Stats().Replicas))
}

func TestWithoutItsMasterAReplicaAnswersWhatMemoryHasNot(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(2), redistest.WithDownAfter(60*time.Second))
	o := sentinelOptions(set)
	o.ReadTimeout = 4 * time.Second
	client, cache := open(t, o, evercache.Policy{TTL: time.Hour})
	refusing, err := evercache.NewCache[string](client, "refuse", evercache.Policy{TTL: time.Hour, ReplicaReads: true, OutageReads: evercache.RefuseReads})
	if err != nil {
		t.Fatal(err)
	}
	untilAsked(t, client, cache, set.Master())
	keys := fill(t, set.Master(), "k", 20)
	set.Master().Do("SET", "refuse:k", "v")
	setOwn(t, cache, "own")
	time.Sleep(700 * time.Millisecond) // barriers behind all that
	killed := time.Now()
	set.KillMaster()
	testkit.Until(t, "there is no master", func() bool { return client.Health().State != health.Connected })
	for _, key := range keys {
		e, err := cache.Lookup(t.Context(), key)
		if err != nil || e.Value != key || e.Source != evercache.SourceReplica || e.Coherent || e.Cause == nil || !e.Fresh {
			t.Errorf("%s: %+v, %v", key, e, err)
		}
		if least := time.Since(killed) - 2*time.Second; e.Behind < least || e.Behind == 0 {
			t.Errorf("%s: behind %v, and the master has been gone for %v", key, e.Behind, time.Since(killed))
		}
		if e, err = cache.Lookup(t.Context(), key); err != nil || e.Source != evercache.SourceMemory {
			t.Errorf("%s again: from %v, %v", key, e.Source, err)
		}
	}
	if e, err := cache.Lookup(t.Context(), "own"); err != nil || e.Source != evercache.SourceMemory {
		t.Errorf("what memory has: from %v, %v", e.Source, err)
	}
	if _, err := cache.Lookup(t.Context(), "none"); !errors.Is(err, evercache.ErrUnavailable) {
		t.Errorf("a key that no replica has: %v", err)
	}
	if _, err := refusing.Lookup(t.Context(), "k"); !errors.Is(err, evercache.ErrUnavailable) {
		t.Errorf("with RefuseReads: %v", err)
	}
}

func setOwn(t *testing.T, c *evercache.Cache[string], key string) {
	t.Helper()
	if r, err := c.Set(t.Context(), key, "v"); err != nil || r.Durability < evercache.Master {
		t.Fatalf("set %s: %v, %v", key, r, err)
	}
}

// TestAReplicaThatServesNoStaleDataIsPassedOver: it answers MASTERDOWN.
func TestAReplicaThatServesNoStaleDataIsPassedOver(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(60*time.Second), redistest.WithConfig("replica-serve-stale-data no"))
	o := sentinelOptions(set)
	client, cache := open(t, o, evercache.Policy{TTL: time.Hour})
	untilAsked(t, client, cache, set.Master())
	fill(t, set.Master(), "k", 1)
	set.KillMaster()
	testkit.Until(t, "there is no master", func() bool { return client.Health().State != health.Connected })
	testkit.Until(t, "the replica refuses", func() bool {
		before := refused(client, "error")
		if e, err := cache.Lookup(t.Context(), "k0"); err == nil && e.Source != evercache.SourceReplica {
			t.Fatalf("%+v", e)
		}
		return refused(client, "error") > before
	})
}

// TestAHungReplicaHoldsUpNobody: what waits for it is bounded, and the master answers.
func TestAHungReplicaHoldsUpNobody(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(60*time.Second))
	o := sentinelOptions(set)
	o.ReadTimeout = 8 * time.Second
	client, cache := open(t, o, evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never})
	untilAsked(t, client, cache, set.Master())
	const calls = 2000
	set.Master().Do("EVAL", "for i = 1, 2000 do redis.call('SET', 'r:h' .. i, i) end", "0")
	replicaOf(set).Pause()
	began := refused(client, "none")
	var wg sync.WaitGroup
	var unavailable atomic.Int64 // on a busy machine the master may be given up meanwhile
	for i := range calls {
		wg.Go(func() {
			want := fmt.Sprint(i + 1)
			e, err := cache.Lookup(t.Context(), "h"+want)
			switch {
			case errors.Is(err, evercache.ErrUnavailable):
				unavailable.Add(1)
			case err != nil || e.Value != want:
				t.Errorf("%s: %+v, %v", want, e, err)
			}
		})
	}
	wg.Wait()
	if n := unavailable.Load(); n > calls/2 {
		t.Errorf("%d of %d calls were not answered", n, calls)
	}
	t.Log(reasons(client.Stats().Replicas))
	if n := refused(client, "none") - began; n < calls/2 {
		t.Errorf("%d of %d questions found the replica occupied: all others waited for it", n, calls)
	}
	replicaOf(set).Resume()
	untilAsked(t, client, cache, set.Master())
}

// TestReadsGoOnThroughAPromotion: a replica that becomes master, and a master that
// becomes a replica, while two clients write and read.
func TestReadsGoOnThroughAPromotion(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(2))
	o := sentinelOptions(set)
	p := evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never}
	one, cache := open(t, o, p)
	two, other := open(t, o, p)
	untilAsked(t, one, cache, set.Master())
	oracle := newOracle()
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for i, c := range []*evercache.Cache[string]{cache, other} {
		keys := fmt.Sprintf("w%d-", i)
		wg.Go(func() { oracle.keepWriting(t, c, keys, quit) })
		for range 4 {
			wg.Go(func() { oracle.keepReading(t, c, quit) })
		}
	}
	old, before := set.Master().Addr(), one.Health().Sentinel.FailoverCount
	set.Failover()
	set.WaitMaster(old, 2*time.Minute)
	testkit.Until(t, "the failover is over", func() bool {
		return one.Health().Sentinel.FailoverCount > before && one.Health().State == health.Connected && two.Health().State == health.Connected
	})
	had := answered(one)
	testkit.Until(t, "replicas of the next master answer", func() bool { return answered(one) > had+20 })
	close(quit)
	wg.Wait()
	t.Log(reasons(one.Stats().Replicas))
}
