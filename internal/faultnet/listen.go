package faultnet

import (
	"errors"
	"fmt"
	"net"
	"time"
)

func (p *Proxy) listenLocked() error {
	if p.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp4", p.port.Addr())
	if err != nil {
		return fmt.Errorf("proxy for %s: %w", p.target, err)
	}
	p.listener = l
	p.wg.Go(func() { p.accept(l) })
	return nil
}

func (p *Proxy) stopListeningLocked() error {
	if p.listener == nil {
		return nil
	}
	err := p.listener.Close()
	p.listener = nil
	if err != nil {
		return fmt.Errorf("proxy for %s: stop listening: %w", p.target, err)
	}
	return nil
}

// accept ends when its listener is closed.
func (p *Proxy) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.pause(10 * time.Millisecond) // no file descriptor left: one may come free
			continue
		}
		p.accepted.Add(1)
		p.admit(conn.(*net.TCPConn))
	}
}

// admit starts a link for conn, or resets conn when the proxy is closed or full.
func (p *Proxy) admit(conn *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.links) >= maxLinks {
		abort(conn)
		return
	}
	l := newLink(p, conn)
	p.links[l] = struct{}{}
	p.wg.Go(l.run)
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// pause waits for d, or until the proxy closes.
func (p *Proxy) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.ctx.Done():
	}
}
