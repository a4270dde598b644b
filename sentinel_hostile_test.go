package evercache_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
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
	var wg sync.WaitGroup
	var stop []net.Listener
	for range listening {
		in, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.addrs = append(p.addrs, in.Addr().String())
		wg.Go(func() {
			for {
				conn, err := in.Accept()
				if err != nil {
					return
				}
				p.met.Add(1)
				conn.Close()
			}
		})
		stop = append(stop, in)
	}
	t.Cleanup(func() {
		for _, in := range stop {
			in.Close()
		}
		wg.Wait()
	})
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
		return list(append([]string{"name", addr, "ip", host, "port", port, "flags", kind, "runid", fmt.Sprintf("%040x", len(addr)+int(addr[len(addr)-1]))}, more...)...)
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
		"MYID":                    bulk(strings.Repeat("f", 40)),
		"GET-MASTER-ADDR-BY-NAME": list(master.Host(), itoa(master.Port())),
		"MASTER": entry("master", master.Addr(), "config-epoch", "0", "quorum", "2",
			"num-other-sentinels", "64", "failover-timeout", "86400000"),
		"REPLICAS":  entries("slave", replicas, "slave-priority", "1", "master-link-status", "ok"),
		"SENTINELS": entries("sentinel", sentinels),
		"sentinel":  bulk("sentinel_tilt:0\r\n"),
	}
	return func(words []string) string { return answers[words[min(1, len(words)-1)]] }
}

// TestSentinelStrangersThatOneSentinelNamesAreNotLoggedInTo: it is a liar, or it
// remembers what is gone; the password is for the nodes that most of them name.
// Nor does what it says hold anything up: not the start, and no other caller.
func TestSentinelStrangersThatOneSentinelNamesAreNotLoggedInTo(t *testing.T) {
	scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithSentinels(2), redistest.WithDownAfter(2*time.Second), redistest.WithPassword("canary"))
		strangers, peers := setTraps(t, 60, 1000), setTraps(t, 3, 0)
		l := startLiar(t, set.Master())
		l.lie.Store(&lie{
			"strangers", namesTraps(set.Master(), strangers.addrs, peers.addrs),
			"+slave", "slave x " + strings.Replace(strangers.addrs[0], ":", " ", 1) + " @ mymaster 127.0.0.1 1",
		})
		d := prepare(t, set, func(o *evercache.Options) {
			o.Sentinels = append([]string{l.Addr().String()}, o.Sentinels...)
			o.Password = "canary"
		})
		d.secure = chaos.Node{Password: "canary"}
		d.wait(10*time.Second, "not clear", func() bool {
			s := d.client.Health().Sentinel
			return s.Stage == "clear" && !s.Provisional && s.Agreeing == 3
		})
		d.old = set.Master()
		d.load(d.seed())
		if f := d.finding("sentinel-disagrees", 10*time.Second); !strings.Contains(f.Detail, l.Addr().String()) || !strings.Contains(f.Detail, strangers.addrs[0]) {
			d.Errorf("finding %+v", f)
		}
		if n := l.told.Load(); n > 40 { // it hints fifty times a second, and its answer takes half a megabyte
			d.Errorf("it was asked %d times", n)
		}
		d.landAgain(5 * time.Second)
		if a, b := strangers.met.Load(), peers.met.Load(); a > 0 || b > 0 {
			d.Errorf("%d connections to strangers, %d to peers that nobody else knows", a, b)
		}
		if ss := d.client.Health().Sentinel.Sentinels; len(ss) != 3 {
			d.Errorf("sentinels %+v", ss)
		}
		d.wantFailovers()
		return d.end()
	})
}
