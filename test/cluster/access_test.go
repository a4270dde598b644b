package cluster_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
)

// What holds on a plain Cluster holds however its clients log in and reach its nodes: a
// master dies under writers, and slots of the next one move.

// some are few slots: it is about how nodes are reached, not about how much moves.
var some = redistest.SlotRange{First: 1000, Last: 1019}

// reached plays the scene; setup says how the clients come in, and what of it is checked.
func reached(t *testing.T, setup func(*drill) (check func()), options ...redistest.Option) {
	t.Helper()
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		check := func() {}
		d := begin(t, c, 2, crowd(some, anywhere), func(d *drill) { check = setup(d) })
		old, to := c.Nodes()[0], c.Nodes()[1]
		d.during(func() {
			old.Kill()
			c.WaitMaster(some.First, old, patience)
		})
		d.during(func() { c.Reshard(c.MasterOfSlot(some.First), to, some) })
		d.landsAt(to)
		check()
		d.end()
	}, append(options, redistest.WithNodeTimeout(2*time.Second))...)
}

// landsAt checks that what is written to a slot that has moved is with that master.
func (d *drill) landsAt(to *redistest.Server) {
	d.Helper()
	cache, key := d.side(0), "beyond"+redistest.KeyIn(some.First, "")
	d.until("a write does not reach a slot that has moved", func() bool {
		r, err := cache.Set(d.Context(), key, "v")
		return err == nil && r.Durability >= evercache.Master
	})
	if n := to.Do("EXISTS", d.prefix+"y:"+key); n != int64(1) {
		d.Errorf("the new master of the slot does not hold %s", key)
	}
}

func TestClusterOverTLS(t *testing.T) {
	reached(t, func(d *drill) func() {
		files := d.cluster.TLSFiles()
		d.access = func(o *evercache.Options) {
			o.TLSFiles = evercache.TLSFiles{CA: files.CA, Cert: files.Cert, Key: files.Key}
		}
		d.secure.TLS = d.cluster.TLSConfig()
		return func() {}
	}, redistest.WithTLSClientCerts())
}

func TestClusterWithTheRightsOfTheGuide(t *testing.T) {
	reached(t, func(d *drill) func() {
		d.prefix, d.secure.Password = "shop:", "of-all"
		d.access = func(o *evercache.Options) {
			o.Username, o.Password, o.KeyPrefix = "evercache", "of-its-own", d.prefix
		}
		return func() {}
	}, redistest.WithPassword("of-all"), redistest.WithUser("evercache", "of-its-own", rights(t)...))
}

// TestClusterWithAnnouncedNames: clients are told the nodes' names in place of their
// addresses, and the certificates are for names only.
func TestClusterWithAnnouncedNames(t *testing.T) {
	reached(t, func(d *drill) func() {
		d.secure.TLS = d.cluster.TLSConfig()
		d.access = func(o *evercache.Options) {
			o.TLS, o.ClusterNodes = d.cluster.TLSConfig(), withNames(d.cluster)[:3]
			o.TLS.VerifyConnection = func(s tls.ConnectionState) error {
				if s.ServerName != "localhost" {
					d.Errorf("a node was asked for a certificate for %q", s.ServerName)
					return errors.New("the certificate is for localhost only")
				}
				return nil
			}
		}
		return d.mastersAreCalled("localhost:")
	}, redistest.WithTLS(), redistest.WithHostnames("localhost"))
}

// TestClusterBehindAddresses: each node is reached through a forwarder. What it announces
// is an address where it can be reached, too, but nobody shall.
func TestClusterBehindAddresses(t *testing.T) {
	reached(t, func(d *drill) func() { return d.forwarded(func(n *redistest.Server) string { return n.Addr() }) })
}

// TestClusterBehindNames: what the nodes announce leads nowhere from here.
func TestClusterBehindNames(t *testing.T) {
	reached(t, func(d *drill) func() {
		return d.forwarded(func(n *redistest.Server) string { return fmt.Sprintf("node.invalid:%d", n.Port()) })
	}, redistest.WithHostnames("node.invalid"))
}

// withNames are the nodes' addresses with the name that they announce.
func withNames(c *redistest.Cluster) (addrs []string) {
	for _, n := range c.Nodes() {
		addrs = append(addrs, fmt.Sprintf("localhost:%d", n.Port()))
	}
	return addrs
}

// mastersAreCalled checks what the health of each client calls the masters.
func (d *drill) mastersAreCalled(prefix string) func() {
	return func() {
		d.Helper()
		for i, c := range d.clients {
			for _, sh := range c.Health().Cluster.Shards {
				if !strings.HasPrefix(sh.Master, prefix) {
					d.Errorf("client %d calls a master %s, want %s…", i, sh.Master, prefix)
				}
			}
		}
	}
}

// forwarded puts a forwarder in front of each node, to which clients map the address
// that it announces. The check is that they have no other way in.
func (d *drill) forwarded(announced func(*redistest.Server) string) func() {
	ways, mapped, seeds := map[*redistest.Server]*redistest.Proxy{}, map[string]string{}, []string(nil)
	for _, n := range d.cluster.Nodes() {
		p := redistest.NewProxy(d.T, n.Addr())
		ways[n], mapped[announced(n)] = p, p.Addr()
		seeds = append(seeds, p.Addr())
	}
	d.access = func(o *evercache.Options) { o.AddressMap, o.ClusterNodes = mapped, seeds[:2] }
	return func() {
		d.Helper()
		for n, p := range ways {
			if !n.Running() {
				continue
			}
			var there, through int
			d.until("a node has connections that did not come through its forwarder", func() bool {
				there, through = clientsOf(n), p.Conns()
				return there > 0 && there <= through
			})
		}
	}
}

// clientsOf counts evercache's connections to a node.
func clientsOf(n *redistest.Server) int {
	text, _ := n.Do("CLIENT", "LIST").(string)
	return strings.Count(text, "name=evercache")
}
