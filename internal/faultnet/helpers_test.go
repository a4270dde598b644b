package faultnet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	patience = 10 * time.Second       // what must happen happens well before
	silence  = 150 * time.Millisecond // how long a silence is listened to
)

// fakeServer accepts connections and hands each to serve, which owns and closes it.
type fakeServer struct {
	listener net.Listener
	mu       sync.Mutex // guards conns
	conns    []*net.TCPConn
}

func startServer(t *testing.T, serve func(*net.TCPConn)) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tcp := conn.(*net.TCPConn)
			s.mu.Lock()
			s.conns = append(s.conns, tcp)
			s.mu.Unlock()
			wg.Go(func() { serve(tcp) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		for _, c := range s.all() {
			_ = c.Close()
		}
		wg.Wait()
	})
	return s
}

func (s *fakeServer) addr() string { return s.listener.Addr().String() }

func (s *fakeServer) all() []*net.TCPConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*net.TCPConn(nil), s.conns...)
}

// one waits for the server's only connection.
func (s *fakeServer) one(t *testing.T) *net.TCPConn {
	t.Helper()
	eventually(t, "a connection at the server", func() bool { return len(s.all()) == 1 })
	return s.all()[0]
}

func echo(c *net.TCPConn) {
	defer func() { _ = c.Close() }()
	_, _ = io.Copy(c, c)
}

// hold leaves reading and writing to the test.
func hold(*net.TCPConn) {}

func proxyTo(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		noGoroutineLeft(t)
	})
	return p
}

func echoProxy(t *testing.T) *Proxy {
	t.Helper()
	return proxyTo(t, startServer(t, echo).addr())
}

// peer is a client with a reader that works line by line.
type peer struct {
	*net.TCPConn
	lines *bufio.Reader
}

func connect(t *testing.T, addr string) *peer {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return wrap(c.(*net.TCPConn))
}

func wrap(c *net.TCPConn) *peer { return &peer{c, bufio.NewReader(c)} }

func (c *peer) send(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatalf("send %q: %v", line, err)
	}
}

func (c *peer) expect(t *testing.T, want string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got, err := c.lines.ReadString('\n')
	if err != nil || got != want+"\n" {
		t.Fatalf("received %q, %v, want %q", got, err, want)
	}
}

func (c *peer) ping(t *testing.T, line string) {
	t.Helper()
	c.send(t, line)
	c.expect(t, line)
}

// expectSilence fails when anything, be it bytes or an end, arrives.
func (c *peer) expectSilence(t *testing.T) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(silence))
	got, err := c.lines.ReadString('\n')
	if !errors.Is(err, os.ErrDeadlineExceeded) || got != "" {
		t.Fatalf("received %q, %v, want silence", got, err)
	}
}

func (c *peer) expectReset(t *testing.T) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if got, err := c.lines.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("received %q, %v, want a reset", got, err)
	}
}

func (c *peer) expectEOF(t *testing.T) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if got, err := c.lines.ReadString('\n'); !errors.Is(err, io.EOF) || got != "" {
		t.Fatalf("received %q, %v, want EOF", got, err)
	}
}

// noGoroutineLeft looks for a goroutine that runs code of this package's proxy.
func noGoroutineLeft(t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "faultnet.(*flow)") || strings.Contains(g, "faultnet.(*link)") || strings.Contains(g, "faultnet.(*Proxy).accept") {
			t.Errorf("goroutine left after Close:\n%s", g)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
