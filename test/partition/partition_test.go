//go:build netns

package partition_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
)

// These tests need root, ip(8) and network namespaces; `make test-net` runs
// them.

// startNetwork starts three hosts with a server and a sentinel each; host 0 is
// on the near side, with the client.
func startNetwork(t *testing.T) *testkit.Network {
	t.Helper()
	n := testkit.NewNetwork(t)
	for i := range 3 {
		n.AddHost(i == 0)
	}
	for i := range n.Hosts {
		n.StartServer(i)
	}
	for i := range n.Hosts {
		n.StartSentinel(i)
	}
	n.WaitHealthy([]int{0, 1, 2}, 2)
	return n
}

// separated is a client at work in the network.
type separated struct {
	*testkit.Network
	client *evercache.Client
	run    *chaos.Run
	truth  *chaos.Truth
}

func work(n *testkit.Network) *separated {
	n.Helper()
	var addrs []string
	var nodes []chaos.Node
	for _, h := range n.Hosts {
		addrs = append(addrs, h+":26379")
		nodes = append(nodes, chaos.Node{Addr: h + ":6379"})
	}
	c, err := evercache.Open(n.Context(), evercache.Options{
		Sentinels: addrs, MasterName: "mymaster",
		Logger: slog.New(slog.NewTextHandler(n.Output(), nil)),
	})
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { c.Close() })
	store, err := testkit.NewStore(c)
	if err != nil {
		n.Fatal(err)
	}
	s := &separated{Network: n, client: c}
	s.Until(45*time.Second, "not connected", func() bool { return s.stage() == "clear" })
	l := chaos.Load{Store: store, Writers: testkit.Writers, Readers: testkit.Readers, Prefix: testkit.Class + "w-", Known: []string{testkit.Class + "known"}}
	if err := l.Seed(n.Context()); err != nil {
		n.Fatal(err)
	}
	s.truth = chaos.Watch(nodes...)
	s.run = l.Start()
	n.Cleanup(s.run.Stop)
	n.Cleanup(s.truth.Stop)
	time.Sleep(200 * time.Millisecond)
	return s
}

func (s *separated) stage() string { return s.client.Health().Sentinel.Stage }

// end judges the run by what the master that the client has ended with holds.
func (s *separated) end(fault time.Time, limits chaos.Limits) chaos.Summary {
	s.Helper()
	s.run.Stop()
	s.Until(45*time.Second, "the replay does not end", func() bool {
		h := s.client.Health()
		return h.State == health.Connected && h.OutboxEntries == 0 && !h.Sentinel.Provisional
	})
	h := s.client.Health()
	facts := s.run.Facts()
	facts.Fault = fault
	if p, ok := s.truth.Promoted(fault, h.Master, s.Hosts[0]+":6379"); ok {
		facts.Promoted = p.At
	}
	var err error
	if facts.Unheld, err = chaos.Unheld(s.Context(), chaos.Node{Addr: h.Master}, s.run.History); err != nil {
		s.Fatal(err)
	}
	sum := chaos.Sum(s.run.History.Calls(), facts)
	for _, b := range sum.Breaches(limits) {
		s.Error(b)
	}
	if f := h.Sentinel.Failovers; h.Sentinel.FailoverCount != 1 || len(f) != 1 || f[0].To != h.Master {
		s.Errorf("failovers %d: %+v", h.Sentinel.FailoverCount, f)
	}
	return sum
}

func partitionLimits() chaos.Limits {
	return chaos.Limits{LongestRead: 150 * time.Millisecond, LongestWrite: 350 * time.Millisecond}
}

// TestPartitionTheMasterAndOneSentinelAreCutOff from the client and the rest.
func TestPartitionTheMasterAndOneSentinelAreCutOff(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		s := work(startNetwork(t))
		old := s.client.Health().Master
		fault := time.Now()
		s.CutHost(0)
		s.Until(45*time.Second, "no other master is used", func() bool { return s.client.Health().Master != old && s.run.History.Landed(fault) > 100 })
		adopted := s.client.Health().Master
		s.Heal()
		for range 20 { // the old master is back, and takes writes for seconds
			time.Sleep(100 * time.Millisecond)
			if m := s.client.Health().Master; m != adopted {
				t.Fatalf("after the heal the master is %s, it was %s", m, adopted)
			}
		}
		l := partitionLimits()
		l.Landing = testkit.LandsWithin
		return s.end(fault, l)
	})
}

// TestPartitionTheClientIsWithTheMinority: with the old master and one sentinel.
// What the old master takes meanwhile is lost there; the client has to say that
// it is in the minority, and to follow the new master after the heal with all
// that it has acknowledged.
func TestPartitionTheClientIsWithTheMinority(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		s := work(startNetwork(t))
		old := s.client.Health().Master
		fault := time.Now()
		s.CutLink()
		s.Until(45*time.Second, "the minority is not noticed", func() bool {
			return slices.ContainsFunc(s.client.Health().Findings, func(f health.Finding) bool { return f.Code == "sentinel-no-quorum" })
		})
		t.Logf("minority noticed after %v", time.Since(fault))
		time.Sleep(4 * time.Second)
		t.Logf("in the minority: %v, stage %s, master %s", s.client.State(), s.stage(), s.client.Health().Master)
		s.Heal()
		healed := time.Now()
		s.Until(45*time.Second, "the new master is not followed", func() bool { return s.client.Health().Master != old && s.run.History.Landed(healed) > 100 })
		t.Logf("followed %v after the heal", time.Since(healed))
		limits := partitionLimits()
		limits.LongestWrite = 700 * time.Millisecond // thousands of writes are taken back from the old master at once
		return s.end(fault, limits)
	})
}
