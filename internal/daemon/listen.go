package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// mostConnections bounds the open connections. Further ones wait in the
// kernel's queue until one closes; those that are idle close by themselves.
const mostConnections = 1024

// listen opens the listener, with TLS when a certificate is configured, and
// returns the connections below it too.
func (d *Daemon) listen(ctx context.Context) (net.Listener, *bounded, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", d.cfg.Server.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("EVERCACHE_LISTEN: %w", err)
	}
	b := newBounded(ln, mostConnections)
	if d.cfg.Server.TLSCertFile == "" {
		return speaking{Listener: b, log: d.log}, b, nil
	}
	cert, err := loadCertificate(d.cfg.Server.TLSCertFile, d.cfg.Server.TLSKeyFile, d.log)
	if err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	return speaking{b, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"}, // the bounds are per connection and request
		GetCertificate: cert.get,
	}, d.log}, b, nil
}

// bounded is a listener with at most a number of connections open.
type bounded struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	close  func() error
}

func newBounded(ln net.Listener, most int) *bounded {
	b := &bounded{Listener: ln, slots: make(chan struct{}, most), closed: make(chan struct{})}
	b.close = sync.OnceValue(func() error {
		close(b.closed)
		return ln.Close()
	})
	return b
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &slotConn{Conn: c, release: sync.OnceFunc(func() { <-b.slots })}, nil
}

func (b *bounded) Close() error { return b.close() }

// waitEmpty waits until no connection is open, or for d. Close must have been
// called: an Accept that waits holds a slot.
func (b *bounded) waitEmpty(d time.Duration) {
	end := time.Now().Add(d)
	for len(b.slots) > 0 && time.Now().Before(end) {
		time.Sleep(5 * time.Millisecond)
	}
}

// slotConn gives its slot back when it closes.
type slotConn struct {
	net.Conn
	release func()
}

func (c *slotConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
