package hostile_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// traps are addresses at which nobody has any business.
type traps struct {
	addrs []string
	met   atomic.Int64 // connections
}

// setTraps listens at some addresses; as many more are only named.
func setTraps(t *testing.T, listening, more int) *traps {
	t.Helper()
	p := &traps{}
	for range listening {
		p.addrs = append(p.addrs, testkit.Listen(t, func(net.Conn) { p.met.Add(1) }))
	}
	for i := range more {
		p.addrs = append(p.addrs, fmt.Sprintf("127.2.%d.%d:6379", i/250, 1+i%250))
	}
	return p
}

// namesTraps tells the truth about the master, and names the traps as its
// replicas and, some of them, as sentinels.
func namesTraps(master *redistest.Server, replicas, sentinels []string) func([]string) string {
	entry := func(kind, addr string, more ...string) string {
		host, port, _ := net.SplitHostPort(addr)
		return testkit.List(append([]string{"name", addr, "ip", host, "port", port, "flags", kind, "runid", fmt.Sprintf("%040x", len(addr)+int(addr[len(addr)-1]))}, more...)...)
	}
	entries := func(kind string, addrs []string, more ...string) string {
		var out strings.Builder
		fmt.Fprintf(&out, "*%d\r\n", len(addrs))
		for _, a := range addrs {
			out.WriteString(entry(kind, a, more...))
		}
		return out.String()
	}
	answers := map[string]string{
		"MYID":                    testkit.Bulk(strings.Repeat("f", 40)),
		"GET-MASTER-ADDR-BY-NAME": testkit.List(master.Host(), strconv.Itoa(master.Port())),
		"MASTER": entry("master", master.Addr(), "config-epoch", "0", "quorum", "2",
			"num-other-sentinels", "64", "failover-timeout", "86400000"),
		"REPLICAS":  entries("slave", replicas, "slave-priority", "1", "master-link-status", "ok"),
		"SENTINELS": entries("sentinel", sentinels),
		"sentinel":  testkit.Bulk("sentinel_tilt:0\r\n"),
	}
	return func(words []string) string { return answers[words[min(1, len(words)-1)]] }
}

// TestSentinelStrangersThatOneSentinelNamesAreNotLoggedInTo: it is a liar, or it
// remembers what is gone; the password is for the nodes that most of them name.
// Nor does what it says hold anything up: not the start, and no other caller.
func TestSentinelStrangersThatOneSentinelNamesAreNotLoggedInTo(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithSentinels(2), redistest.WithDownAfter(2*time.Second), redistest.WithPassword("canary"))
		strangers, peers := setTraps(t, 60, 1000), setTraps(t, 3, 0)
		l := startLiar(t, set.Master())
		l.lie.Store(&lie{
			"strangers", namesTraps(set.Master(), strangers.addrs, peers.addrs),
			"+slave", "slave x " + strings.Replace(strangers.addrs[0], ":", " ", 1) + " @ mymaster 127.0.0.1 1",
		})
		d := testkit.Prepare(t, set, func(o *evercache.Options) {
			o.Sentinels = append([]string{l.addr}, o.Sentinels...)
			o.Password = "canary"
		})
		d.Secure = chaos.Node{Password: "canary"}
		d.Wait("not clear", func() bool {
			s := d.Client.Health().Sentinel
			return s.Stage == "clear" && !s.Provisional && s.Agreeing == 3
		})
		d.Old = set.Master()
		d.Load(d.Seed())
		if f := d.Finding("sentinel-disagrees"); !strings.Contains(f.Detail, l.addr) || !strings.Contains(f.Detail, strangers.addrs[0]) {
			d.Errorf("finding %+v", f)
		}
		if n := l.told.Load(); n > 40 { // it hints fifty times a second, and its answer takes half a megabyte
			d.Errorf("it was asked %d times", n)
		}
		d.LandAgain()
		if a, b := strangers.met.Load(), peers.met.Load(); a > 0 || b > 0 {
			d.Errorf("%d connections to strangers, %d to peers that nobody else knows", a, b)
		}
		if ss := d.Client.Health().Sentinel.Sentinels; len(ss) != 3 {
			d.Errorf("sentinels %+v", ss)
		}
		d.WantFailovers()
		return d.End()
	})
}
