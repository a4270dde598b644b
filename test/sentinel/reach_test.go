package sentinel_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// tlsDoors are listeners that speak TLS, each in front of a server that does not.
func tlsDoors(t *testing.T, servers []string) (addrs []string, client *tls.Config) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate, which names 127.0.0.1
	t.Cleanup(certified.Close)
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	client = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	for _, server := range servers {
		in, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, in.Addr().String())
		forward(t, in, server)
	}
	return addrs, client
}

// forward gives every connection of in its own to server.
func forward(t *testing.T, in net.Listener, server string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	testkit.Accept(t, in, func(near net.Conn) {
		far, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
		defer stop()
		testkit.Forward(near, far)
	})
	t.Cleanup(cancel) // before Accept waits
}

func TestSentinelOnlyTheSentinelsMaySpeakTLS(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second))
		addrs, client := tlsDoors(t, set.Addrs())
		d := testkit.Prepare(t, set, func(o *evercache.Options) { o.Sentinels, o.SentinelTLS = addrs, client })
		d.Connect()
		d.Settle()
		d.Load(d.Seed())
		d.Limits.Landing = testkit.LandsWithin
		return d.FailsOver("planned", d.Set.Failover)
	})
}

// resolves makes every DNS name of the test lead to these IPv4 addresses.
func resolves(t *testing.T, ips ...net.IP) {
	t.Helper()
	in, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for b := make([]byte, 1500); ; {
			n, from, err := in.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = in.WriteTo(dnsAnswer(b[:n], ips), from)
		}
	})
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", in.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = was; _ = in.Close(); wg.Wait() })
}

// dnsAnswer answers a query of one question: A with the addresses, everything
// else with nothing.
func dnsAnswer(query []byte, ips []net.IP) []byte {
	const header, afterName = 12, 4
	end := header
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 1 + afterName
	if end > len(query) {
		return nil
	}
	if binary.BigEndian.Uint16(query[end-afterName:]) != 1 { // not A
		ips = nil
	}
	out := append([]byte(nil), query[:2]...)
	out = append(out, 0x81, 0x80, 0, 1, 0, byte(len(ips)), 0, 0, 0, 0)
	out = append(out, query[header:end]...)
	for _, ip := range ips {
		out = append(out, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		out = append(out, ip.To4()...)
	}
	return out
}

// TestSentinelOneNameMayLeadToAllSentinels: a name with three addresses, as of a
// headless service. The sentinels name each other by other addresses.
func TestSentinelOneNameMayLeadToAllSentinels(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second))
		ips := []net.IP{net.IPv4(127, 0, 0, 11), net.IPv4(127, 0, 0, 12), net.IPv4(127, 0, 0, 13)}
		resolves(t, ips...) // before anything dials
		port := "0"
		for i, server := range set.Addrs() {
			in, err := net.Listen("tcp", net.JoinHostPort(ips[i].String(), port))
			if err != nil {
				t.Fatal(err)
			}
			_, port, _ = net.SplitHostPort(in.Addr().String())
			forward(t, in, server)
		}
		d := testkit.Prepare(t, set, func(o *evercache.Options) { o.Sentinels = []string{"sentinels.test:" + port} })
		d.Connect()
		d.Settle()
		if s := d.Client.Health().Sentinel; s.Known != 3 || s.Needed != 2 {
			d.Errorf("%d sentinels known, majority %d", s.Known, s.Needed)
		}
		d.Load(d.Seed())
		return d.FailsOver("planned", func() { d.Set.Sentinels()[0].Kill(); d.Set.Failover() })
	})
}

// TestSentinelNodesMayBeReachedByOtherAddressesThanAnnounced uses AddressMap: no
// connection may go past the doors.
func TestSentinelNodesMayBeReachedByOtherAddressesThanAnnounced(t *testing.T) {
	for i := range testkit.Runs() {
		t.Log("run", i+1)
		set := redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second))
		to := map[string]string{}
		doors := map[string]*redistest.Proxy{}
		for _, n := range set.Nodes() {
			doors[n.Addr()] = redistest.NewProxy(t, n.Addr())
			to[n.Addr()] = doors[n.Addr()].Addr()
		}
		d := testkit.Prepare(t, set, func(o *evercache.Options) { o.AddressMap = to })
		d.Connect()
		d.Settle()
		put(d, "before")
		set.Failover()
		next := set.WaitMaster(d.Old.Addr(), 20*time.Second)
		d.Wait("the new master is not followed", func() bool {
			h := d.Client.Health()
			return h.Master == to[next.Addr()] && h.Sentinel.CurrentMaster == next.Addr() && !h.Sentinel.Provisional
		})
		put(d, "after")
		if f := d.Client.Health().Sentinel.Failovers; len(f) != 1 || f[0].From != d.Old.Addr() || f[0].To != next.Addr() || f[0].Blackout <= 0 {
			d.Errorf("failovers %+v", f)
		}
		for _, n := range set.Nodes() {
			if direct, through := d.Connections(n.Addr()), doors[n.Addr()].Conns(); direct > through {
				d.Errorf("%s: %d connections, %d through the door", n.Addr(), direct, through)
			}
		}
		d.LeavesNothing()
	}
}

// put writes a value to the master and reads it back.
func put(d *testkit.Drill, key string) {
	d.Helper()
	if _, err := d.Cache.Set(d.Context(), key, "v", evercache.MinDurability(evercache.Master)); err != nil {
		d.Errorf("Set: %v", err)
	}
	if e, err := d.Cache.Lookup(d.Context(), key); err != nil || e.Value != "v" {
		d.Errorf("Lookup = %q, %v", e.Value, err)
	}
}

// TestSentinelWhatTheACLForbidsIsSaid: without the barrier's key or WAIT, no
// barrier proves anything; without INFO, a promotion is not recognized before a
// majority names it. Reads and writes go on, a failover is followed.
func TestSentinelWhatTheACLForbidsIsSaid(t *testing.T) {
	for _, user := range []struct {
		lacks string
		rules []string
	}{
		{"heartbeat key", []string{"~" + testkit.Class + "*", "~~d:*", "&*", "+@all"}},
		{"WAIT", []string{"~*", "&*", "+@all", "-wait"}},
		{"INFO", []string{"~*", "&*", "+@all", "-info"}},
	} {
		t.Run(user.lacks, func(t *testing.T) {
			testkit.Scenario(t, func(t *testing.T) chaos.Summary {
				set := redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second), redistest.WithUser("app", "secret", user.rules...))
				d := testkit.Prepare(t, set, func(o *evercache.Options) { o.Username, o.Password = "app", "secret" })
				d.Connect()
				d.Old = set.Master()
				d.Load(d.Seed())
				d.LandAgain()
				f := d.Finding("sentinel-unproven")
				if !strings.Contains(f.Detail, user.lacks) || !strings.Contains(f.Detail, "an alarm ends") {
					d.Errorf("finding %+v", f)
				}
				time.Sleep(500 * time.Millisecond)
				if s := d.Client.Health().Sentinel.Stage; s != "suspect" {
					d.Errorf("stage %s without proof", s)
				}
				if user.lacks == "INFO" {
					d.Inject(d.Set.Failover)
					d.LandsElsewhere()
					d.Confirmed()
					d.WantFailovers("planned")
				}
				return d.End()
			})
		})
	}
}
