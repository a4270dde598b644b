package faultnet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestProxyForwardsBothWaysAndCounts(t *testing.T) {
	p := echoProxy(t)
	a, b := connect(t, p.Addr()), connect(t, p.Addr())
	a.ping(t, "one")
	b.ping(t, "two")
	a.ping(t, "three")
	if got := p.Conns(); got != 2 {
		t.Errorf("Conns = %d, want 2", got)
	}
	_ = a.Close()
	eventually(t, "one connection left", func() bool { return p.Conns() == 1 })
	if got := p.Accepted(); got != 2 {
		t.Errorf("Accepted = %d, want 2", got)
	}
}

func TestProxyForwardsAHalfClose(t *testing.T) {
	server := startServer(t, func(c *net.TCPConn) { // answers only when it has heard everything
		defer func() { _ = c.Close() }()
		all, _ := io.ReadAll(c)
		_, _ = c.Write(all)
	})
	c := connect(t, proxyTo(t, server.addr()).Addr())
	c.send(t, "last words")
	_ = c.CloseWrite()
	c.expect(t, "last words")
	c.expectEOF(t)
}

func TestProxyForwardsAReset(t *testing.T) {
	server := startServer(t, hold)
	c := connect(t, proxyTo(t, server.addr()).Addr())
	c.send(t, "hello")
	s := wrap(server.one(t))
	s.expect(t, "hello")
	abort(s.TCPConn)
	c.expectReset(t)
}

func TestConnectionIsResetWhenTheTargetIsGone(t *testing.T) {
	server := startServer(t, echo)
	p := proxyTo(t, server.addr())
	_ = server.listener.Close()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err == nil { // the reset has not overtaken the connect
		t.Cleanup(func() { _ = c.Close() })
		wrap(c.(*net.TCPConn)).expectReset(t)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("dial = %v, want a connection or a reset", err)
	}
	eventually(t, "no connection left", func() bool { return p.Conns() == 0 })
}

func TestLatencyDelaysOneDirectionAndKeepsOrder(t *testing.T) {
	const latency = 60 * time.Millisecond
	for _, d := range []Direction{ToTarget, ToClient} {
		t.Run(d.String(), func(t *testing.T) {
			p := echoProxy(t)
			c := connect(t, p.Addr())
			c.ping(t, "warm")
			p.SetLatency(d, latency) // applies to the open connection
			start := time.Now()
			c.ping(t, "slow")
			if took := time.Since(start); took < latency || took > 20*latency {
				t.Errorf("round trip took %v, want about %v", took, latency)
			}
		})
	}
}

func TestLatencyThatChangesKeepsOrder(t *testing.T) {
	p := echoProxy(t)
	c := connect(t, p.Addr())
	const lines = 300
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range lines {
			p.SetLatency(Direction(i%2), time.Duration(rand.IntN(4))*time.Millisecond)
			_, _ = fmt.Fprintln(c, i) // what does not arrive is missed below
		}
	})
	for i := range lines {
		c.expect(t, strconv.Itoa(i))
	}
	wg.Wait()
}

func TestBulkSurvivesLatencyAndSilences(t *testing.T) {
	p := echoProxy(t)
	c := connect(t, p.Addr())
	p.SetLatency(ToTarget, time.Millisecond)
	want := make([]byte, 8<<20)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = c.Write(want)
		_ = c.CloseWrite()
	})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.Blackhole(true)
				p.Blackhole(false)
				time.Sleep(time.Millisecond)
			}
		}
	})
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(c)
	close(stop)
	wg.Wait()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("received %d bytes of %d, equal %v, err %v", len(got), len(want), bytes.Equal(got, want), err)
	}
}

func TestBlackholeSilencesOpenAndComingConnections(t *testing.T) {
	p := echoProxy(t)
	open := connect(t, p.Addr())
	open.ping(t, "before")
	p.Blackhole(true)
	coming := connect(t, p.Addr())
	open.send(t, "held 1")
	coming.send(t, "held 2")
	open.expectSilence(t)
	coming.expectSilence(t)

	p.Blackhole(false)
	open.expect(t, "held 1")
	coming.expect(t, "held 2")
}

func TestBlackholeHoldsACloseAndDeliversIt(t *testing.T) {
	server := startServer(t, hold)
	p := proxyTo(t, server.addr())
	c := connect(t, p.Addr())
	c.send(t, "before")
	s := wrap(server.one(t))
	s.expect(t, "before")
	p.Blackhole(true)
	c.send(t, "held")
	_ = c.Close()
	eventually(t, "the client gone", func() bool { return p.Conns() == 0 })
	s.expectSilence(t)

	p.Blackhole(false)
	s.expect(t, "held")
	s.expectEOF(t)
}

// A client that gives a write up by a reset must not find it executed when the network heals: on a
// wire its kernel would have dropped what it could not send.
func TestWhatAResetSenderSentIntoASilenceIsGone(t *testing.T) {
	server := startServer(t, hold)
	p := proxyTo(t, server.addr())
	c := connect(t, p.Addr())
	c.send(t, "before")
	s := wrap(server.one(t))
	s.expect(t, "before")
	p.Blackhole(true)
	c.send(t, "given up")
	abort(c.TCPConn)
	eventually(t, "the client gone", func() bool { return p.Conns() == 0 })
	s.expectSilence(t)

	p.Blackhole(false)
	s.expectReset(t)
}

func TestClientThatGivesUpInABlackholeLeavesNothing(t *testing.T) {
	server := startServer(t, echo)
	p := proxyTo(t, server.addr())
	p.Blackhole(true)
	_ = connect(t, p.Addr()).Close()
	eventually(t, "the link gone", func() bool { return p.Accepted() == 1 && len(p.snapshot()) == 0 })
	p.Blackhole(false)
	connect(t, p.Addr()).ping(t, "after")
	if n := len(server.all()); n != 1 {
		t.Errorf("the target saw %d connections, want 1", n)
	}
}

func TestHalfOpenSilencesOneDirection(t *testing.T) {
	for _, d := range []Direction{ToTarget, ToClient} {
		t.Run(d.String(), func(t *testing.T) {
			server := startServer(t, hold)
			p := proxyTo(t, server.addr())
			c := connect(t, p.Addr())
			s := wrap(server.one(t))
			p.HalfOpen(d)
			c.send(t, "up")
			s.send(t, "down")
			silent, silentWant, live, liveWant := s, "up", c, "down"
			if d == ToClient {
				silent, silentWant, live, liveWant = c, "down", s, "up"
			}
			live.expect(t, liveWant)
			silent.expectSilence(t)
			if err := p.Heal(); err != nil {
				t.Fatal(err)
			}
			silent.expect(t, silentWant)
		})
	}
}

func TestNoBytePassesAfterBlackholeReturned(t *testing.T) {
	server := startServer(t, hold)
	p := proxyTo(t, server.addr())
	c := connect(t, p.Addr())
	s := wrap(server.one(t))
	for i := range 50 {
		c.send(t, strconv.Itoa(i)) // races with the fault: before it or after its end, not during it
		p.Blackhole(true)
		c.send(t, "during")
		_ = s.SetReadDeadline(time.Now().Add(3 * time.Millisecond))
		line, err := s.lines.ReadString('\n')
		if err == nil && line == "during\n" {
			t.Fatal("a byte passed during the black hole")
		}
		p.Blackhole(false)
		if err != nil {
			s.expect(t, strconv.Itoa(i))
		}
		s.expect(t, "during")
	}
}

// A receiver that does not read blocks a forwarded write; a fault must be set all the same.
func TestFaultIsSetWhileAWriteIsBlocked(t *testing.T) {
	server := startServer(t, hold)
	p := proxyTo(t, server.addr())
	c := connect(t, p.Addr())
	server.one(t)
	_ = c.SetWriteDeadline(time.Now().Add(silence)) // long enough to fill every buffer on the way
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	set := make(chan struct{})
	go func() {
		defer close(set)
		p.Blackhole(true)
		p.Blackhole(false)
	}()
	select {
	case <-set:
	case <-time.After(patience):
		t.Fatal("Blackhole waits for a receiver that does not read")
	}
}

func TestResetAllEndsBothSidesInAnyFault(t *testing.T) {
	for name, fault := range map[string]func(*Proxy){
		"healthy":    func(*Proxy) {},
		"black hole": func(p *Proxy) { p.Blackhole(true) },
		"half open":  func(p *Proxy) { p.HalfOpen(ToClient) },
		"latency":    func(p *Proxy) { p.SetLatency(ToTarget, time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, hold)
			p := proxyTo(t, server.addr())
			c := connect(t, p.Addr())
			s := wrap(server.one(t))
			c.send(t, "connected") // else the proxy may still be dialling, and only gives that up
			s.expect(t, "connected")
			fault(p)
			c.send(t, "lost or not")
			p.ResetAll()
			if got := p.Conns(); got != 0 {
				t.Errorf("Conns after ResetAll = %d, want 0", got)
			}
			c.expectReset(t)
			_ = s.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadAll(s); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the target's side ended with %v, want a reset", err)
			}
		})
	}
}

func TestRefuseRefusesAndListensOnTheSamePort(t *testing.T) {
	p := echoProxy(t)
	open := connect(t, p.Addr())
	open.ping(t, "before")
	for range 3 {
		if err := p.Refuse(true); err != nil {
			t.Fatal(err)
		}
		if _, err := net.DialTimeout("tcp", p.Addr(), patience); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial = %v, want refused", err)
		}
		open.ping(t, "still open")
		if err := p.Refuse(false); err != nil {
			t.Fatal(err)
		}
		connect(t, p.Addr()).ping(t, "again")
	}
}

func TestHealEndsEveryFault(t *testing.T) {
	p := echoProxy(t)
	p.SetLatency(ToTarget, time.Hour)
	p.Blackhole(true)
	p.HalfOpen(ToClient)
	if err := p.Refuse(true); err != nil {
		t.Fatal(err)
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	connect(t, p.Addr()).ping(t, "healed")
}

func TestCloseEndsEverythingAndIsRepeatable(t *testing.T) {
	p, err := New(startServer(t, echo).addr())
	if err != nil {
		t.Fatal(err)
	}
	idle, busy := connect(t, p.Addr()), connect(t, p.Addr())
	idle.ping(t, "idle")
	p.SetLatency(ToClient, time.Hour)
	busy.send(t, "stuck")
	p.HalfOpen(ToTarget)
	connect(t, p.Addr()).send(t, "never dialled")
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatalf("Close = %v", err)
		}
	}
	noGoroutineLeft(t)
	idle.expectReset(t)
	busy.expectReset(t)
	if err := p.Refuse(false); err == nil {
		t.Error("Refuse(false) on a closed proxy = nil, want an error")
	}
}

func TestManyConnectionsUnderChangingFaults(t *testing.T) {
	p := echoProxy(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.DialTimeout("tcp", p.Addr(), patience)
				if err != nil {
					continue // refused at the moment
				}
				_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond))
				_, _ = c.Write([]byte("x\n"))
				_, _ = c.Read(make([]byte, 2))
				_ = c.Close()
			}
		})
	}
	for i := range 60 {
		switch i % 6 {
		case 0:
			p.Blackhole(true)
		case 1:
			p.SetLatency(ToClient, time.Millisecond)
		case 2:
			p.HalfOpen(ToTarget)
		case 3:
			p.ResetAll()
		case 4:
			if err := p.Refuse(true); err != nil {
				t.Error(err)
			}
		case 5:
			if err := p.Heal(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := p.Heal(); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	connect(t, p.Addr()).ping(t, "at the end")
}

func TestNewRejectsATargetWithoutAPort(t *testing.T) {
	if _, err := New("localhost"); err == nil {
		t.Error("New = nil, want an error")
	}
}
