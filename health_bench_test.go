package evercache

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/watch"
)

// wellSet is a client that knows a Sentinel set in which all is well, after so many
// failovers. It is closed: nobody asks the set any more, so what is known stays.
func wellSet(tb testing.TB, failovers int) *Client {
	tb.Helper()
	c, err := Open(tb.Context(), Options{Sentinels: []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, MasterName: "shop", Logger: quiet})
	if err != nil {
		tb.Fatal(err)
	}
	_ = c.Close() // it holds nothing
	at := func(port int) sentinel.Addr { return sentinel.Addr{Host: "10.0.0.1", Port: uint16(port)} }
	v := &watch.View{Decision: sentinel.Decision{Stage: sentinel.Clear, Master: at(1), Confirmed: true}}
	v.Status = sentinel.Status{Known: 3, Reachable: 3, Needed: 2, Monitoring: 3, Agreeing: 3, Quorum: 2, DownAfter: time.Second}
	for i := range 3 {
		v.Status.Sentinels = append(v.Status.Sentinels, sentinel.SentinelStatus{Addr: at(10 + i), Reachable: true, Monitoring: true, Named: at(1)})
		v.Status.Nodes = append(v.Status.Nodes, sentinel.NodeStatus{Addr: at(1 + i), Reachable: true, Promotable: i > 0, Link: "online"})
	}
	for range failovers {
		v.History = append(v.History, sentinel.Record{Cause: sentinel.CauseFailure, From: at(2), To: at(1), Adopted: time.Now()})
	}
	c.one().View.Store(v)
	return c
}

// TestALookForFindingsBuildsNoHistory: announce looks twice a second for as long as
// the process lives.
func TestALookForFindingsBuildsNoHistory(t *testing.T) {
	never, often := wellSet(t, 0), wellSet(t, 32)
	if n := len(often.Health().Sentinel.Failovers); n != 32 {
		t.Errorf("Health shows %d failovers, want 32", n)
	}
	if fs := often.findings(); len(fs) > 0 {
		t.Errorf("findings where all is well: %+v", fs)
	}
	without, with := testing.AllocsPerRun(200, func() { never.findings() }), testing.AllocsPerRun(200, func() { often.findings() })
	if with > without+1 {
		t.Errorf("a look allocates %v times after 32 failovers, %v times before", with, without)
	}
	const most = 40
	if without > most {
		t.Errorf("a look allocates %v times, at most %d are meant", without, most)
	}
}

func BenchmarkHealth(b *testing.B) {
	c := wellSet(b, 32)
	b.Run("look", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.findings()
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Health()
		}
	})
}
