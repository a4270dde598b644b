package redistest

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

const silence = 100 * time.Millisecond

func TestProxyBreaksTheNetworkOfARealServer(t *testing.T) {
	s := Start(t)
	p := NewProxy(t, s.Addr())
	c := connect(t, p.Addr())
	mustAnswer(t, c, "PING", "+PONG")

	p.SetLatency(ToServer, 20*time.Millisecond)
	p.SetLatency(ToClient, 20*time.Millisecond)
	began := time.Now()
	mustAnswer(t, c, "PING", "+PONG")
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Errorf("a round trip took %v, want 40ms at least", took)
	}
	p.Heal()

	p.Blackhole(true)
	mustBeSilent(t, c, "SET blackhole 1")
	if got := s.Do("EXISTS", "blackhole"); got != int64(0) {
		t.Error("a command passed the black hole")
	}
	p.Blackhole(false)
	mustHear(t, c, "+OK")

	p.HalfOpen(ToClient)
	mustBeSilent(t, c, "SET half 1")
	if got := s.Do("EXISTS", "half"); got != int64(1) {
		t.Error("the command did not pass the open half")
	}
	p.Heal()
	mustHear(t, c, "+OK")

	p.Refuse(true)
	if _, err := net.DialTimeout("tcp", p.Addr(), patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial = %v, want refused", err)
	}
	mustAnswer(t, c, "PING", "+PONG")
	p.Refuse(false)

	p.ResetAll()
	if got, err := c.ask("PING", patience); err == nil {
		t.Errorf("after a reset: %q", got)
	}
	if got := p.Conns(); got != 0 {
		t.Errorf("Conns = %d, want 0", got)
	}
	mustAnswer(t, connect(t, p.Addr()), "PING", "+PONG")
	if got := p.Accepted(); got != 2 {
		t.Errorf("Accepted = %d, want 2", got)
	}
	p.Close()
	if _, err := net.DialTimeout("tcp", p.Addr(), time.Second); err == nil {
		t.Error("connected to a closed proxy")
	}
}

func mustBeSilent(t *testing.T, c *client, command string) {
	t.Helper()
	if got, err := c.ask(command, silence); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s = %q, %v, want silence", command, got, err)
	}
}

func mustHear(t *testing.T, c *client, want string) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.hear(); got != want {
		t.Errorf("heard %q, %v, want %q", got, err, want)
	}
}

func TestProxyFollowsAServerThroughARestart(t *testing.T) {
	s := Start(t)
	p := NewProxy(t, s.Addr())
	c := connect(t, p.Addr())
	mustAnswer(t, c, "PING", "+PONG")
	s.Kill()
	if got, err := c.ask("PING", patience); err == nil {
		t.Errorf("a killed server answered %q", got)
	}
	s.Start()
	mustAnswer(t, connect(t, p.Addr()), "PING", "+PONG")
}

func TestProxyToNowhereEndsTheTest(t *testing.T) {
	expectFatal(t, "missing port", func(tb testing.TB) { NewProxy(tb, "localhost") })
}
