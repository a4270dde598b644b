package faultnet

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout bounds connecting to a target that does not answer.
const dialTimeout = 10 * time.Second

// link is one client connection and, once dialled, its connection to the target. run owns its
// goroutines: two per direction, one that reads and one that writes.
type link struct {
	proxy      *Proxy
	ctx        context.Context
	cancel     context.CancelFunc
	client     *net.TCPConn
	clientGone atomic.Bool   // the client has closed or reset its side
	done       chan struct{} // closed when run has returned

	target *net.TCPConn // nil until dialled; guarded by proxy.mu
}

func newLink(p *Proxy, client *net.TCPConn) *link {
	ctx, cancel := context.WithCancel(p.ctx)
	return &link{proxy: p, ctx: ctx, cancel: cancel, client: client, done: make(chan struct{})}
}

// run forwards until both directions have ended. The client is read from the start: one that gives
// up while the target is out of reach must be noticed.
func (l *link) run() {
	defer close(l.done)
	defer l.proxy.remove(l)
	defer l.cancel()

	var wg sync.WaitGroup
	up, down := newFlow(l, ToTarget, l.client), newFlow(l, ToClient, nil)
	up.back, down.back = down, up
	wg.Go(func() {
		up.read()
		l.clientGone.Store(true)
	})
	if target := l.dial(up.ended); target != nil {
		up.to, down.from, down.to = target, target, l.client
		wg.Go(down.read)
		wg.Go(up.write)
		wg.Go(down.write)
	} else {
		l.reset()
	}
	wg.Wait()
	l.close()
}

// dial connects to the target, once bytes may pass to it. It returns nil when that fails, when the
// link is reset, or when the client gives up first (clientEnded).
func (l *link) dial(clientEnded <-chan struct{}) *net.TCPConn {
	for {
		f, changed := l.proxy.current()
		if !f.silent(ToTarget) {
			return l.connect()
		}
		select {
		case <-changed:
		case <-clientEnded:
			return nil
		case <-l.ctx.Done():
			return nil
		}
	}
}

// connect gives up when the link is reset; the target may then see a connection that just closes.
func (l *link) connect() *net.TCPConn {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(l.ctx, "tcp", l.proxy.target)
	if err != nil {
		return nil
	}
	target := conn.(*net.TCPConn)
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	if l.ctx.Err() != nil { // reset meanwhile, and reset did not see this connection
		abort(target)
		return nil
	}
	l.target = target
	return target
}

// reset ends the link with a reset on both sides.
func (l *link) reset() {
	l.cancel()
	l.each(abort)
}

func (l *link) close() {
	l.each(func(c *net.TCPConn) { _ = c.Close() }) // both sides have been told already
}

func (l *link) each(f func(*net.TCPConn)) {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	f(l.client)
	if l.target != nil {
		f(l.target)
	}
}

// setWriteDeadlineLocked needs proxy.mu. It fails only on a connection that is closed.
func (l *link) setWriteDeadlineLocked(t time.Time) {
	_ = l.client.SetWriteDeadline(t)
	if l.target != nil {
		_ = l.target.SetWriteDeadline(t)
	}
}

// abort closes c with a reset: with SO_LINGER 0 the kernel drops what was not sent. A connection
// that is closed already stays so.
func abort(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
