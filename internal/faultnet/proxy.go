package faultnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/faultnet/loopback"
)

// maxLinks bounds the connections held at once: a client that reconnects in a loop into a silence
// leaves one behind each time. At the bound a further connection is reset.
const maxLinks = 4096

// Proxy forwards TCP connections to one target and carries the faults. Its methods may be called
// from any goroutine. It owns every goroutine it starts; Close ends them and waits.
type Proxy struct {
	target   string
	port     *loopback.Port
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	accepted atomic.Int64
	shut     func() error

	mu       sync.Mutex // guards the three below; taken before gate
	closed   bool
	listener net.Listener // nil while refusing
	links    map[*link]struct{}

	// gate is held for reading around every forwarded write and for writing around every change of
	// the faults, so that no write that saw the old faults is still under way when a change returns.
	gate    sync.RWMutex
	faults  faults        // guarded by gate
	changed chan struct{} // guarded by gate; closed and replaced at each change
}

// New starts a proxy in front of target, a host:port, on a loopback port of its own. The target
// need not be there: each connection dials it anew, and is reset when it cannot be reached.
func New(target string) (*Proxy, error) {
	if _, _, err := net.SplitHostPort(target); err != nil {
		return nil, fmt.Errorf("proxy target: %w", err)
	}
	port, err := loopback.Reserve()
	if err != nil {
		return nil, fmt.Errorf("proxy for %s: %w", target, err)
	}
	p := &Proxy{target: target, port: port, links: map[*link]struct{}{}, changed: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.shut = sync.OnceValue(p.shutdown)
	if err := p.Refuse(false); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Addr is where clients connect. It stays the same through every fault.
func (p *Proxy) Addr() string { return p.port.Addr() }

// Target is where connections are forwarded to.
func (p *Proxy) Target() string { return p.target }

// SetLatency delays every byte that arrives from now on in direction d; 0 ends it. Bytes stay in
// order. Connecting is not delayed, nor is a byte that has been read before the call.
func (p *Proxy) SetLatency(d Direction, latency time.Duration) {
	p.change(func(f *faults) { f.latency[d] = max(latency, 0) })
}

// Blackhole makes all connections silent in both directions, without a reset, and lets new ones be
// made that are silent too. With false, what was held is delivered.
func (p *Proxy) Blackhole(on bool) {
	p.change(func(f *faults) { f.blackhole = on })
}

// HalfOpen makes all connections, open and coming, silent in direction d only, until Heal.
func (p *Proxy) HalfOpen(d Direction) {
	p.change(func(f *faults) { f.half[d] = true })
}

// ResetAll closes every connection with a reset, on both sides, in whatever fault it is, and
// returns when none of them is left. Connections made later are not touched.
func (p *Proxy) ResetAll() {
	links := p.snapshot()
	for _, l := range links {
		l.reset()
	}
	for _, l := range links {
		<-l.done
	}
}

// Refuse closes the listener, so that connecting is refused, or opens it again on the same port.
// Open connections stay as they are; ResetAll ends those.
func (p *Proxy) Refuse(on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return errors.New("proxy is closed")
	case on:
		return p.stopListeningLocked()
	default:
		return p.listenLocked()
	}
}

// Heal ends every fault. Connections that were silent go on where they stopped.
func (p *Proxy) Heal() error {
	p.change(func(f *faults) { *f = faults{} })
	return p.Refuse(false)
}

// Conns counts the client connections that are open now.
func (p *Proxy) Conns() int {
	n := 0
	for _, l := range p.snapshot() {
		if !l.clientGone.Load() {
			n++
		}
	}
	return n
}

// Accepted counts the client connections accepted so far.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }

// Close resets every connection, frees the port and waits for every goroutine. Each call returns
// the same result.
func (p *Proxy) Close() error { return p.shut() }

func (p *Proxy) shutdown() error {
	p.mu.Lock()
	p.closed = true
	err := p.stopListeningLocked()
	p.mu.Unlock()

	p.ResetAll()
	p.cancel()
	p.wg.Wait()
	return errors.Join(err, p.port.Release())
}

// change edits the faults. Writes under way hold gate and may be blocked for as long as their peer
// does not read, so they are interrupted first; mu keeps connections from joining meanwhile.
func (p *Proxy) change(edit func(*faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setWriteDeadlinesLocked(time.Unix(1, 0))
	p.gate.Lock()
	defer p.gate.Unlock()
	edit(&p.faults)
	close(p.changed)
	p.changed = make(chan struct{})
	p.setWriteDeadlinesLocked(time.Time{})
}

func (p *Proxy) setWriteDeadlinesLocked(t time.Time) {
	for l := range p.links {
		l.setWriteDeadlineLocked(t)
	}
}

// current is the faults of this instant, and a channel that closes when they change.
func (p *Proxy) current() (faults, <-chan struct{}) {
	p.gate.RLock()
	defer p.gate.RUnlock()
	return p.faults, p.changed
}

func (p *Proxy) snapshot() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}
