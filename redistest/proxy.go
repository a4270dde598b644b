package redistest

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/faultnet"
)

// Proxy is a TCP proxy whose network can be broken, on connections that are open and on those to
// come. When a method that sets a fault returns, the fault holds: not one more byte passes.
//
// What is sent into a silence is held, as TCP would retransmit it, and delivered when the silence
// ends; unless the sender has reset its connection meanwhile. Unlike on a real wire, connecting
// into a silence succeeds.
type Proxy struct {
	tb    testing.TB
	proxy *faultnet.Proxy
}

// Direction is one of the two ways through a Proxy.
type Direction int

const (
	ToServer Direction = iota // what clients send
	ToClient                  // what the server answers
)

func (d Direction) inside() faultnet.Direction {
	if d == ToClient {
		return faultnet.ToClient
	}
	return faultnet.ToTarget
}

// NewProxy starts a proxy in front of addr, a host:port, that ends with the test. Nothing need
// listen at addr yet: each connection dials it anew.
func NewProxy(tb testing.TB, addr string) *Proxy {
	tb.Helper()
	p, err := faultnet.New(addr)
	must(tb, err)
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("redistest: %v", err)
		}
	})
	return &Proxy{tb, p}
}

// Addr is where clients connect. It stays the same through every fault.
func (p *Proxy) Addr() string { return p.proxy.Addr() }

// SetLatency delays every byte that arrives from now on in direction d; 0 ends it. Bytes stay in
// order.
func (p *Proxy) SetLatency(d Direction, latency time.Duration) {
	p.proxy.SetLatency(d.inside(), latency)
}

// Blackhole makes all connections silent in both directions, without a reset, and lets new ones be
// made that are silent too. With false, what was held is delivered.
func (p *Proxy) Blackhole(on bool) { p.proxy.Blackhole(on) }

// HalfOpen makes all connections silent in direction d only, until Heal.
func (p *Proxy) HalfOpen(d Direction) { p.proxy.HalfOpen(d.inside()) }

// ResetAll closes every open connection with a reset, on both sides.
func (p *Proxy) ResetAll() { p.proxy.ResetAll() }

// Refuse makes connecting fail as if nothing listened, or work again on the same port. Open
// connections stay; ResetAll ends those.
func (p *Proxy) Refuse(on bool) {
	p.tb.Helper()
	must(p.tb, p.proxy.Refuse(on))
}

// Heal ends every fault. Connections that were silent go on where they stopped.
func (p *Proxy) Heal() {
	p.tb.Helper()
	must(p.tb, p.proxy.Heal())
}

// Conns counts the client connections that are open now.
func (p *Proxy) Conns() int { return p.proxy.Conns() }

// Accepted counts the client connections accepted so far.
func (p *Proxy) Accepted() int64 { return p.proxy.Accepted() }

// Close resets every connection and frees the port before the test ends.
func (p *Proxy) Close() {
	p.tb.Helper()
	must(p.tb, p.proxy.Close())
}
