package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestServerAnswersAndEndsWithTheTest(t *testing.T) {
	var addr string
	f := tested(t, func(tb testing.TB) {
		s := Start(tb)
		addr = s.Addr()
		s.Do("SET", "k", "v")
		if got := s.Do("GET", "k"); got != "v" {
			t.Errorf("GET = %v, want v", got)
		}
		if got := s.Do("GET", "missing"); got != nil {
			t.Errorf("GET of nothing = %v, want nil", got)
		}
		if net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())) != addr || !s.Running() || s.Pid() == 0 {
			t.Errorf("Host %s, Port %d, Addr %s, Running %v, Pid %d", s.Host(), s.Port(), addr, s.Running(), s.Pid())
		}
	})
	if f.fatal != "" || f.failed || len(f.logs) != 0 {
		t.Errorf("the test ended with %q, %q", f.fatal, f.logs)
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("the server outlived its test")
	}
}

func TestWithoutAProgramTheTestIsSkippedOrFails(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(redisproc.ServerEnv, "")
	t.Setenv(redisproc.SentinelEnv, "")
	for name, start := range map[string]func(testing.TB){
		"server":   func(tb testing.TB) { Start(tb) },
		"sentinel": func(tb testing.TB) { StartSentinel(tb) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(requireEnv, "")
			if f := tested(t, start); !strings.Contains(f.skipped, "redis-server") || f.failed {
				t.Errorf("skipped with %q, failed %v", f.skipped, f.failed)
			}
			t.Setenv(requireEnv, "1")
			expectFatal(t, "redis-server", start)
		})
	}
}

func TestFailedTestShowsTheLog(t *testing.T) {
	need(t, redisproc.Server)
	f := tested(t, func(tb testing.TB) {
		Start(tb)
		tb.Errorf("something is wrong")
	})
	if got := strings.Join(f.logs, "\n"); !strings.Contains(got, "Ready to accept connections") {
		t.Errorf("a failed test shows %q, want the server's log", got)
	}
}

func TestFaultyUseEndsTheTest(t *testing.T) {
	need(t, redisproc.Server)
	expectFatal(t, "WithQuorum, WithReplicas", func(tb testing.TB) { Start(tb, WithQuorum(2), WithReplicas(1)) })
	expectFatal(t, "no-such-directive", func(tb testing.TB) { Start(tb, WithConfig("no-such-directive 1")) })
	expectFatal(t, "Quorum", func(tb testing.TB) { StartSentinel(tb, WithQuorum(0)) })
	expectFatal(t, "NOSUCH", func(tb testing.TB) { Start(tb).Do("NOSUCH") })
	expectFatal(t, "it is running", func(tb testing.TB) { Start(tb).Start() })
}

func TestPasswordAndUsers(t *testing.T) {
	s := Start(t, WithPassword("admin pw"), WithUser("app", "app-pw", "~app:*", "+get", "+set"))
	if got := s.Do("PING"); got != "PONG" {
		t.Errorf("PING = %v", got)
	}
	c := connect(t, s.Addr())
	mustAnswer(t, c, "PING", "-NOAUTH Authentication required.")
	mustAnswer(t, c, "AUTH app app-pw", "+OK")
	mustAnswer(t, c, "SET app:k v", "+OK")
	if got, err := c.ask("SET other v", patience); !strings.HasPrefix(got, "-NOPERM") {
		t.Errorf("SET of another's key = %q, %v, want NOPERM", got, err)
	}
}

func TestTLS(t *testing.T) {
	for _, tt := range []struct {
		name      string
		option    Option
		anonymous bool // a client without a certificate is served
	}{
		{"client certificates not asked for", WithTLS(), true},
		{"client certificates required", WithTLSClientCerts(), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Start(t, tt.option)
			if got := s.Do("PING"); got != "PONG" {
				t.Errorf("PING = %v", got)
			}
			files := s.TLSFiles()
			pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(files.CA); err != nil {
				t.Error(err)
			}
			config := s.TLSConfig()
			config.Certificates = []tls.Certificate{pair}
			if err := ping(s.Addr(), config); err != nil {
				t.Errorf("with the files' certificate: %v", err)
			}
			config.Certificates = nil
			if err := ping(s.Addr(), config); (err == nil) != tt.anonymous {
				t.Errorf("without a certificate: %v, served: want %v", err, tt.anonymous)
			}
		})
	}
	if s := Start(t); s.TLSConfig() != nil || s.TLSFiles() != (TLSFiles{}) {
		t.Error("a server without TLS has TLS files")
	}
}

func ping(addr string, config *tls.Config) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 7))
	return err
}

func TestConfigLines(t *testing.T) {
	s := Start(t, WithConfig("maxmemory 1mb"), WithConfig("maxclients 4"))
	for name, want := range map[string]string{"maxmemory": "1048576", "maxclients": "4"} {
		if got := s.Do("CONFIG", "GET", name).([]any); got[1] != want {
			t.Errorf("%s = %v, want %s", name, got, want)
		}
	}
}

func TestCrashKeepsWhatWasAcknowledged(t *testing.T) {
	s := Start(t)
	addr := s.Addr()
	for i := range 100 {
		s.Do("SET", strconv.Itoa(i), "v")
	}
	s.Kill()
	if s.Running() {
		t.Error("running after Kill")
	}
	s.Restart(KeepData)
	if got := s.Do("DBSIZE"); got != int64(100) {
		t.Errorf("DBSIZE after a crash = %v, want 100", got)
	}
	s.Stop()
	s.Start()
	if got := s.Do("DBSIZE"); got != int64(100) {
		t.Errorf("DBSIZE after Stop and Start = %v, want 100", got)
	}
	s.Restart(Empty)
	if got := s.Do("DBSIZE"); got != int64(0) {
		t.Errorf("DBSIZE after Restart(Empty) = %v, want 0", got)
	}
	if s.Addr() != addr {
		t.Errorf("address %s became %s", addr, s.Addr())
	}
}

func TestPausedServerHangsAndGoesOn(t *testing.T) {
	s := Start(t)
	c := connect(t, s.Addr())
	mustAnswer(t, c, "PING", "+PONG")
	s.Pause()
	if got, err := c.ask("SET k v", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a paused server answered %q, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Try(ctx, "PING"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Try = %v, want %v", err, context.DeadlineExceeded)
	}
	s.Resume()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.hear(); got != "+OK" {
		t.Errorf("what was sent during the pause = %q, %v, want +OK", got, err)
	}
}

func TestFreePortStaysFree(t *testing.T) {
	taken := map[int]bool{}
	for range 20 {
		port := FreePort(t)
		if taken[port] {
			t.Errorf("port %d was given twice", port)
		}
		taken[port] = true
		if _, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second); err == nil {
			t.Errorf("something listens on port %d", port)
		}
	}
}
