package evercache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// slowLink leads to target, and carries so many bytes per second each way on each
// connection. Its buffers are small: what is sent waits at the sender.
func slowLink(t *testing.T, target string, rate int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", target)
			if err != nil {
				from.Close()
				continue
			}
			_ = from.(*net.TCPConn).SetReadBuffer(64 << 10)
			wg.Go(func() { carry(to, from, rate) })
			wg.Go(func() { carry(from, to, rate) })
		}
	})
	return l.Addr().String()
}

func carry(to, from net.Conn, rate int) {
	defer to.Close()
	defer from.Close()
	p := make([]byte, 32<<10)
	for {
		n, err := from.Read(p)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
		if _, err := io.Copy(to, bytes.NewReader(p[:n])); err != nil {
			return
		}
	}
}

// TestAnOutageEndsOverASlowLink lets more wait than the link carries in any limit
// of one call.
func TestAnOutageEndsOverASlowLink(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		rate, n, one int
	}{
		{"many values of 100 kB at 20 MB/s", 20e6, 75, 100e3},
		{"values of 300 kB at 2 MB/s", 2e6, 12, 300e3},
		{"one value of 3 MB at 2 MB/s", 2e6, 1, 3e6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			client := open(t, Options{Addr: slowLink(t, p.Addr(), tt.rate)})
			connect(t, client, 30*time.Second)
			c := cacheOf[[]byte](t, client, "c", Policy{})
			kill(t, p)
			waitUntil(t, 30*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
			for i := range tt.n {
				_, err := c.Set(t.Context(), fmt.Sprint(i), make([]byte, tt.one))
				wantErr(t, err, nil)
			}
			restart(t, p, redisproc.Empty)
			before := client.Stats().RedisDials["ok"]
			waitKept(t, client, 60*time.Second)
			if got := redisDo(t, p, "EVAL", "return #redis.call('KEYS', 'c:*')", "0"); got != int64(tt.n) {
				t.Errorf("%v of %d are there", got, tt.n)
			}
			if n := client.Stats().RedisDials["ok"] - before; n > 2 {
				t.Errorf("it took %d connections", n)
			}
		})
	}
}

// TestAValueThatTheLinkCannotCarryInTimeLandsAndHarmsNobody writes a value that
// needs longer than the write timeout.
func TestAValueThatTheLinkCannotCarryInTimeLandsAndHarmsNobody(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: slowLink(t, p.Addr(), 2e6)})
	connect(t, client, 30*time.Second)
	c := cacheOf[[]byte](t, client, "c", Policy{})
	for i := range 6 {
		r, err := c.Set(t.Context(), fmt.Sprint(i), make([]byte, 900e3))
		wantErr(t, err, nil)
		if r.Durability != Memory {
			t.Errorf("receipt %v of what needs half a second", r.Durability)
		}
	}
	waitKept(t, client, 60*time.Second)
	for i := range 6 {
		if got := redisDo(t, p, "STRLEN", fmt.Sprint("c:", i)); got != int64(900e3) {
			t.Errorf("value %d has %v bytes", i, got)
		}
	}
	if n := client.Stats().RedisDials["ok"]; n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

// TestARecordThatBreaksEveryConnectionIsGivenUp has servers that end the
// connection at a large value, with and without a word.
func TestARecordThatBreaksEveryConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"proto-max-bulk-len 1mb", "client-query-buffer-limit 1mb"} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{Config: []string{setting, "user default on nopass ~* &* +@all -getbit"}})
			redisDo(t, p, "SET", "c:big", "old")
			client := away(t, p, Options{})
			c := cacheOf[[]byte](t, client, "c", Policy{})
			_, err := c.Set(t.Context(), "big", make([]byte, 3<<20))
			wantErr(t, err, nil)
			for i := range 50 {
				_, err := c.Set(t.Context(), fmt.Sprint(i), []byte("v"))
				wantErr(t, err, nil)
			}
			resume(t, p)
			waitUntil(t, 60*time.Second, func() bool { return client.Stats().OutboxRejected == 1 }, func() string { return "it is not given up" })
			waitKept(t, client, 30*time.Second)
			waitInRedis(t, p, "c:49", "v")
			waitFinding(t, client, "write-rejected")
			waitInRedis(t, p, "c:big", "<nil>")
		})
	}
}

// TestAValueThatTheServerWillNotSendFailsAlone has a server that ends a connection
// with a large answer.
func TestAValueThatTheServerWillNotSendFailsAlone(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"client-output-buffer-limit normal 1mb 0 0"}})
	redisDo(t, p, "EVAL", "redis.call('SET', KEYS[1], string.rep('x', 3000000))", "1", "c:big")
	attempts(t, func(t *testing.T) error {
		client := openAt(t, p.Addr())
		connect(t, client, 30*time.Second)
		c := cacheOf[[]byte](t, client, "c", Policy{L1TTL: Never})
		for i := range 30 {
			_, err := c.Lookup(t.Context(), "big")
			wantErr(t, err, ErrUnavailable)
			_, err = c.GetMany(t.Context(), []string{"big", "none"}, nil)
			wantErr(t, err, ErrUnavailable)
			_, err = c.Set(t.Context(), fmt.Sprint(i), []byte("v"))
			wantErr(t, err, nil)
		}
		if n := client.Stats().RedisDials["ok"]; n != 1 || client.State() != health.Connected {
			return fmt.Errorf("%s after %d connections", client.State(), n)
		}
		return nil
	})
}

// TestWritesThatEndTheConnectionDoNotEndItAgainAndAgain has callers that go on
// writing what the server hangs up at, without a word.
func TestWritesThatEndTheConnectionDoNotEndItAgainAndAgain(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"client-query-buffer-limit 1mb"}})
	attempts(t, func(t *testing.T) error {
		client := openAt(t, p.Addr())
		connect(t, client, 30*time.Second)
		c := cacheOf[[]byte](t, client, "c", Policy{})
		write := func(i int) {
			_, err := c.Set(t.Context(), fmt.Sprint("big", i), make([]byte, 3<<20))
			wantErr(t, err, nil)
		}
		for i := 0; client.Stats().RedisDials["ok"] < 3; i++ { // until it is known
			write(i)
			connect(t, client, 30*time.Second)
		}
		for i := range 20 {
			write(i)
			r, err := c.Set(t.Context(), fmt.Sprint(i), []byte("v"))
			wantErr(t, err, nil)
			if r.Durability != Master {
				return fmt.Errorf("another value: %v", r.Durability)
			}
		}
		if n := client.Stats().RedisDials["ok"]; n != 3 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
}

// TestOthersDoNotWaitBehindALargeValueThatIsPutBack: it takes three times as long
// as a read may.
func TestOthersDoNotWaitBehindALargeValueThatIsPutBack(t *testing.T) {
	t.Parallel()
	attempts(t, readsBesideALargeValue)
}

func readsBesideALargeValue(t *testing.T) error {
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: slowLink(t, p.Addr(), 1e6)})
	connect(t, client, 30*time.Second)
	c := cacheOf[[]byte](t, client, "c", Policy{ReadTimeout: 2 * time.Second})
	kill(t, p)
	waitUntil(t, 30*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, err := c.Set(t.Context(), "big", make([]byte, 6e6))
	wantErr(t, err, nil)
	restart(t, p, redisproc.Empty)
	waitUntil(t, 30*time.Second, func() bool { return client.one().Node.Load() != nil }, func() string { return "not dialled" })
	reads := 0
	for ; client.Health().OutboxEntries != 0 && reads < 1e4; reads++ {
		if _, err := c.Lookup(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("read %d: %w", reads, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	waitKept(t, client, 30*time.Second)
	if reads < 10 {
		return fmt.Errorf("only %d reads while it was put back", reads)
	}
	return nil
}
