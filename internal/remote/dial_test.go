package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
)

func TestOnlyAMasterIsAccepted(t *testing.T) {
	master := startRedis(t, redisproc.Options{})
	for _, readOnly := range []string{"yes", "no"} {
		replica := startRedis(t, redisproc.Options{ReplicaOf: master.Addr(), Config: []string{"replica-read-only " + readOnly}})
		_, err := Dial(t.Context(), config(replica.Addr()), heartbeat, &seen{})
		wantKind(t, err, ReadOnly)
	}
	n := dial(t, master.Addr(), nil)
	wantClosed(t, n)
	if n.Addr != master.Addr() {
		t.Errorf("Addr = %s", n.Addr)
	}
}

func TestANodeThatAnswersTooSlowlyIsRefused(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	proxy.SetLatency(faultnet.ToClient, 60*time.Millisecond)
	h := heartbeat
	h.Slow = 30 * time.Millisecond
	obs := &seen{}
	_, err := Dial(t.Context(), config(proxy.Addr()), h, obs)
	wantKind(t, err, Timeout)
	if !errors.Is(err, ErrSlow) {
		t.Errorf("error = %v, want ErrSlow", err)
	}
	if got := obs.count("heartbeat", OK); got != 3 {
		t.Errorf("it was tried %d times, want 3", got)
	}
	eventually(t, patience, "its connections are closed", func() bool { return proxy.Conns() == 0 })
}

func TestOneSlowAnswerIsForgiven(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	proxy.SetLatency(faultnet.ToClient, 300*time.Millisecond)
	h := heartbeat
	h.Slow = 250 * time.Millisecond
	n, err := Dial(t.Context(), config(proxy.Addr()), h, observer(func(string, time.Duration, Kind) {
		proxy.SetLatency(faultnet.ToClient, 0)
	}))
	if err != nil {
		t.Fatal(err)
	}
	n.Abandon()
}

func TestAServerWithRoomForOneConnectionIsLeftAlone(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	proxy := startProxy(t, p.Addr())
	ask(t, p, "CONFIG", "SET", "maxclients", "1")
	eventually(t, patience, "a dial gets one connection, and not the other", func() bool {
		before := proxy.Accepted()
		_, err := Dial(t.Context(), config(proxy.Addr()), heartbeat, &seen{})
		wantKind(t, err, MaxClients)
		return proxy.Accepted() == before+2
	})
	eventually(t, patience, "the one is given back", func() bool { return proxy.Conns() == 0 })
}

func TestDialIsBoundedWhateverThePeerDoes(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	proxy := startProxy(t, p.Addr())
	c := config(proxy.Addr())
	c.DialTimeout = 200 * time.Millisecond
	h := heartbeat
	h.Timeout = 100 * time.Millisecond
	tests := []struct {
		name  string
		fault func()
		want  Kind
	}{
		{"silent from the start", func() { proxy.Blackhole(true) }, Timeout},
		{"answers do not come back", func() { proxy.HalfOpen(faultnet.ToClient) }, Timeout},
		{"refuses", func() { _ = proxy.Refuse(true) }, Conn},
		{"hangs", func() { _ = p.Pause() }, Timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault()
			within(t, 2*c.DialTimeout+2*time.Second, "Dial", func() {
				_, err := Dial(t.Context(), c, h, &seen{})
				wantKind(t, err, tt.want)
			})
			_ = p.Resume()
			if err := proxy.Heal(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestATLSHandshakeIsBoundedToo(t *testing.T) {
	cert, err := redisproc.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proxy := startProxy(t, startRedis(t, redisproc.Options{TLS: cert}).Addr())
	proxy.Blackhole(true)
	c := config(proxy.Addr())
	c.TLS, c.DialTimeout = cert.ClientConfig(), 200*time.Millisecond
	within(t, 2*time.Second, "Dial", func() {
		_, err := Dial(t.Context(), c, heartbeat, &seen{})
		wantKind(t, err, Timeout)
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	proxy.Blackhole(true)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	within(t, 2*time.Second, "Dial", func() {
		_, err := Dial(ctx, config(proxy.Addr()), heartbeat, &seen{})
		wantKind(t, err, Canceled)
	})
}

func TestAWrongPasswordIsToldWithoutIt(t *testing.T) {
	p := startRedis(t, redisproc.Options{Password: "hunter2"})
	for _, password := range []string{"", "guessed"} {
		c := config(p.Addr())
		c.Password = password
		_, err := Dial(t.Context(), c, heartbeat, &seen{})
		wantKind(t, err, Auth)
		if password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the password is in the error: %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(p.Addr())
	c.PasswordFile = file
	dialWith(t, c, nil)
}

func TestTheDatabaseIsSelected(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	c := config(p.Addr())
	c.DB = 3
	n := dialWith(t, c, nil)
	if _, err := n.Set(t.Context(), Pair{Key: "k", Data: []byte("v"), TTL: time.Minute}, long); err != nil {
		t.Fatal(err)
	}
	if there := ask(t, p, "EXISTS", "k"); there != int64(0) {
		t.Error("written into database 0")
	}
	c.DB = 99
	if _, err := Dial(t.Context(), c, heartbeat, &seen{}); err == nil {
		t.Error("a database that is not there was selected")
	}
}

// TestNoCBCSuiteIsOffered to a server: Go offers them beside the others.
func TestNoCBCSuiteIsOffered(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	offered := make(chan []uint16, 1)
	go func() { // ends with the listener, or with the one connection
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = tls.Server(conn, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			offered <- h.CipherSuites
			return nil, errors.New("that is all")
		}}).Handshake()
	}()
	c := config(ln.Addr().String())
	c.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	if _, err := Dial(t.Context(), c, heartbeat, &seen{}); err == nil {
		t.Error("dialled")
	}
	select {
	case ids := <-offered:
		if !slices.Contains(ids, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) {
			t.Errorf("offered are %v", ids)
		}
		for _, id := range ids {
			if name := tls.CipherSuiteName(id); strings.Contains(name, "_CBC_") {
				t.Errorf("%s is offered", name)
			}
		}
	case <-time.After(patience):
		t.Error("no handshake")
	}
	if c.TLS.CipherSuites != nil {
		t.Error("the application's settings were changed")
	}
}

func TestATLSServerIsVerified(t *testing.T) {
	cert, err := redisproc.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := startRedis(t, redisproc.Options{TLS: cert})
	c := config(p.Addr())
	c.TLS = cert.ClientConfig()
	dialWith(t, c, nil)
	c.TLS = c.TLS.Clone()
	c.TLS.RootCAs = nil
	_, err = Dial(t.Context(), c, heartbeat, &seen{})
	wantKind(t, err, TLS)
	c.TLS = nil // plain text to a TLS port
	if _, err := Dial(t.Context(), c, heartbeat, &seen{}); !KindOf(err).Outage() {
		t.Errorf("plain text to a TLS server: %v", err)
	}
}

// A wire is dialled once: rueidis would dial again with callers waiting past
// their deadlines.
func TestANodeWhoseConnectionWasKilledNeverWorksAgainAndFailsFast(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	proxy := startProxy(t, p.Addr())
	n := dial(t, proxy.Addr(), nil)
	if _, err := n.Set(t.Context(), Pair{Key: "k", Data: []byte("v"), TTL: time.Minute}, long); err != nil {
		t.Fatal(err)
	}
	ask(t, p, "CLIENT", "KILL", "TYPE", "normal")
	eventually(t, patience, "the killed connection is noticed", func() bool {
		_, err := n.Get(t.Context(), "k", long)
		return err != nil
	})
	if !isOpen(n) {
		t.Error("the node is not given up")
	}
	dials := proxy.Accepted()
	for range 20 {
		within(t, time.Second, "a call on a dead node", func() {
			_, err := n.Get(t.Context(), "k", long)
			wantKind(t, err, Conn)
			_, err = n.Set(t.Context(), Pair{Key: "k", Data: []byte("v2"), TTL: time.Minute}, long)
			wantKind(t, err, Conn)
			wantKind(t, beat(t, n), Conn)
		})
	}
	if proxy.Accepted() != dials {
		t.Errorf("it was dialled %d times more", proxy.Accepted()-dials)
	}
	if v := ask(t, p, "GET", "k"); v != "v" {
		t.Errorf("a write on a dead node arrived: %v", v)
	}
}

func TestAbandonIsPromptAndLeavesNothingWhenTheServerHangs(t *testing.T) {
	cert, err := redisproc.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		tls  *redisproc.TLS
	}{{"plain", nil}, {"TLS", cert}} {
		t.Run(tt.name, func(t *testing.T) {
			p := startRedis(t, redisproc.Options{TLS: tt.tls})
			c := config(p.Addr())
			if tt.tls != nil {
				c.TLS = tt.tls.ClientConfig()
			}
			before := runtime.NumGoroutine()
			n, err := Dial(t.Context(), c, heartbeat, &seen{})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Pause(); err != nil {
				t.Fatal(err)
			}
			const callers = 50
			done := make(chan error, callers)
			for i := range callers {
				go func() {
					if i%2 == 0 {
						_, err := n.Get(context.Background(), "k", time.Minute)
						done <- err
						return
					}
					done <- second(n.Set(context.Background(), Pair{Key: "k", Data: make([]byte, 1<<16), TTL: time.Minute}, time.Minute))
				}()
			}
			eventually(t, patience, "the callers have begun", func() bool { return runtime.NumGoroutine() >= before+callers })
			within(t, 2*time.Second, "Abandon with calls under way", func() {
				n.Abandon()
				for range callers {
					if err := <-done; !KindOf(err).Outage() {
						t.Errorf("a call that was cut off: %v", err)
					}
				}
			})
			n.Abandon() // again does no harm
			eventually(t, 2*time.Second, "every goroutine has ended", func() bool { return runtime.NumGoroutine() <= before })
			if err := p.Resume(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What sits in a socket when a node is given up must not reach the server
// later: an older write could land after a newer one.
func TestWhatAnAbandonedNodeHadNotSentIsNotSentLater(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	proxy := startProxy(t, p.Addr())
	n := dial(t, proxy.Addr(), nil)
	proxy.Blackhole(true)
	_, err := n.Set(t.Context(), Pair{Key: "k", Data: []byte("late"), TTL: time.Minute}, 50*time.Millisecond)
	wantKind(t, err, Timeout)
	n.Abandon()
	eventually(t, patience, "the proxy has seen the reset", func() bool { return proxy.Conns() == 0 })
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	ask(t, p, "PING")
	if v := ask(t, p, "GET", "k"); v != nil {
		t.Errorf("the abandoned write arrived: %v", v)
	}
}

type nopClient struct{ rueidis.Client }

func (nopClient) Close() {}

func TestAnAbandonedConnectionIsReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	w := &wire{Client: nopClient{}, raw: ours}
	w.abandon()
	_ = theirs.SetReadDeadline(time.Now().Add(patience))
	if _, err := theirs.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the peer sees %v, want a reset", err)
	}
}
