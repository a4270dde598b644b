package remote

import (
	"context"
	"net"
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
)

// How many share a server is told with its evictions.
func TestAServerTellsHowManyConnectionsItHas(t *testing.T) {
	p, err := redisproc.Start(t.Context(), redisproc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	n := dial(t, p.Addr(), nil)
	before, err := n.Evictions(t.Context(), long)
	if err != nil || before.Clients < 2 {
		t.Fatalf("%d connections, %v", before.Clients, err)
	}
	const more = 20
	for range more {
		c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	after, err := n.Evictions(t.Context(), long)
	if err != nil || after.Clients != before.Clients+more {
		t.Errorf("%d connections, then %d more: %d, %v", before.Clients, more, after.Clients, err)
	}
	if e := parseEvictions("connected_clients:7\r\ninstantaneous_ops_per_sec:1234\r\n"); e.Clients != 7 || e.Rate != 1234 {
		t.Errorf("%+v", e)
	}
}
