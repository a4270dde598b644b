package remote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

var streams = []struct {
	name, sent string
	ok         bool
}{
	{"what a server says", "+OK\r\n-ERR no\r\n:1\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n*2\r\n$1\r\na\r\n*1\r\n:-1\r\n", true},
	{"in RESP3", "%1\r\n+a\r\n~2\r\n#t\r\n#f\r\n_\r\n,1.5\r\n(12345\r\n=5\r\ntxt:a\r\n!3\r\nERR\r\n>2\r\n+pmessage\r\n$1\r\na\r\n", true},
	{"attributes", "|1\r\n+ttl\r\n:1\r\n*2\r\n|1\r\n+a\r\n*1\r\n:2\r\n:3\r\n|0\r\n:4\r\n+OK\r\n", true},
	{"nested as deep as may be", strings.Repeat("*1\r\n", maxNesting) + ":1\r\n", true},
	{"deeper", strings.Repeat("*1\r\n", maxNesting+1) + ":1\r\n", false},
	{"without end", strings.Repeat("*1\r\n", 1<<16), false},
	{"a negative length", "$-5\r\n", false},
	{"a negative map", "%-1\r\n", false},
	{"a negative set", "~-1\r\n", false},
	{"minus nothing", "$-\r\n", false},
	{"no length", "$\r\n", false},
	{"no number", "$1x\r\n", false},
	{"a sign", "$+1\r\n", false},
	{"a huge array", "*2147483647\r\n", false},
	{"a map of too many", "%600000\r\n", false},
	{"too many over all levels", "*600000\r\n*600000\r\n", false},
	{"a huge bulk", "$9999999999\r\n", false},
	{"a number beyond all", "$99999999999999999999999999\r\n", false},
	{"the largest bulk", "$536870912\r\n", true},
	{"one byte more", "$536870913\r\n", false},
	{"streamed", "$?\r\n", false},
	{"streamed array", "*?\r\n", false},
	{"a long line", "+" + strings.Repeat("x", maxLine) + "\r\n", false},
	{"a line within the bound", "+" + strings.Repeat("x", maxLine-1) + "\r\n", true},
	{"no CR", "+OK\n", false},
	{"no CR after a length", "$1\na\r\n", false},
	{"a bulk that is longer than it says", "$1\r\nab\r\n", false},
	{"a null that hides a length", "_$\r\n", false},
	{"a boolean that hides one", "#\r\n", false},
	{"a null that goes on", "_x", false},
	{"a null that ends in the wrong place", "_\rx", false},
	{"a boolean that goes on", "#tx", false},
	{"a boolean that is neither", "#x\r\n", false},
	{"an announcement within a reply", "*2\r\n>2\r\n+invalidate\r\n_\r\n:1\r\n", false},
	{"a confirmation of nothing", ">1\r\n+psubscribe\r\n", false},
	{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", false},
	{"TLS", "\x15\x03\x01\x00\x02\x02\x0a", false},
	{"garbage", "\x00\xff\x00\xff", false},
}

func TestTheGuardPassesRedisAndNothingElse(t *testing.T) {
	for _, tt := range streams {
		for _, size := range []int{1, 2, 3, 7, 1 << 20} {
			if err := inPieces([]byte(tt.sent), size); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrNotRedis) {
				t.Errorf("%s in pieces of %d: %v", tt.name, size, err)
			}
		}
	}
}

func TestTheGuardHandsOnWhatPrecedesTheFault(t *testing.T) {
	var g guard
	n, err := g.pass([]byte("+OK\r\nHTTP"), server(maxBulk-1))
	if n != len("+OK\r\n") || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestWhatAReplyMayAnnounceDependsOnWhoIsAsked(t *testing.T) {
	node, elements := server(1<<20), strings.Repeat(":1\r\n", 10)
	for _, tt := range []struct {
		sent string
		b    bounds
		ok   bool
	}{
		{"$1048577\r\n", node, true}, // a byte more than a value: it tells that there are more
		{"$1048578\r\n", node, false},
		{"$1048577\r\n", server(maxWord - 1), false},
		{"!65537\r\n", node, false},
		{"*131072\r\n" + elements, node, true},
		{"*131073\r\n" + elements, node, false},
		{">1000000\r\n", node, true},
		{"*17\r\n" + strings.Repeat("$1048576\r\n"+strings.Repeat("x", 1<<20)+"\r\n", 17), node, false},
		{"$1048577\r\n", sentinel, false},
		{"*5\r\n" + strings.Repeat("$1000000\r\n"+strings.Repeat("x", 1000000)+"\r\n", 5), sentinel, false},
		{"*65537\r\n", sentinel, false},
	} {
		var g guard
		if _, err := g.pass([]byte(tt.sent), tt.b); (err == nil) != tt.ok {
			t.Errorf("%.20q: %v", tt.sent, err)
		}
	}
}

func TestAStrangerMayAnnounceLess(t *testing.T) {
	for sent, ok := range map[string]bool{
		"$1000000\r\n": true,
		"$1048577\r\n": false,
		"*16384\r\n":   true,
		"*16385\r\n":   false,
		"*2\r\n$1000000\r\n" + strings.Repeat("x", 1000000) + "\r\n$50000\r\n": false,
		strings.Repeat("|0\r\n", 1<<19):                                        false,
	} {
		var g guard
		if _, err := g.pass([]byte(sent), stranger); (err == nil) != ok {
			t.Errorf("%.20q: %v", sent, err)
		}
	}
}

func inPieces(p []byte, size int) error {
	var g guard
	for len(p) > 0 {
		n := min(size, len(p))
		if _, err := g.pass(p[:n], server(maxBulk-1)); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func FuzzTheGuardIsTheSameForAnySplit(f *testing.F) {
	for _, tt := range streams {
		if len(tt.sent) < 1<<10 {
			f.Add([]byte(tt.sent), 1)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte, at int) {
		whole := inPieces(p, len(p)+1)
		if single := inPieces(p, 1); (single == nil) != (whole == nil) {
			t.Fatalf("whole %v, in single bytes %v", whole, single)
		}
		if at < 0 || at > len(p) {
			return
		}
		var g guard
		_, err := g.pass(p[:at], server(maxBulk-1))
		if err == nil {
			_, err = g.pass(p[at:], server(maxBulk-1))
		}
		if (err == nil) != (whole == nil) {
			t.Fatalf("whole %v, split at %d %v", whole, at, err)
		}
	})
}

// nonsense is a server that says one thing to whatever it is told.
func nonsense(t *testing.T, says string) string {
	t.Helper()
	return serve(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, says)
		_, _ = io.Copy(io.Discard, c)
	})
}

// turncoat lets us log in and answers INFO with nonsense.
func turncoat(t *testing.T, says string) string {
	t.Helper()
	return serve(t, func(c net.Conn) {
		for in := bufio.NewScanner(c); in.Scan(); {
			switch in.Text() {
			case "HELLO":
				_, _ = io.WriteString(c, hello)
			case "SETINFO", "PING":
				_, _ = io.WriteString(c, "+OK\r\n")
			case "INFO":
				_, _ = io.WriteString(c, says)
			}
		}
	})
}

// says is a server that lets us log in and answers a command as answer has it.
func says(t testing.TB, answer func(command string) string) string {
	t.Helper()
	return serve(t, func(c net.Conn) {
		for in := bufio.NewReader(c); ; {
			words, err := command(in)
			if err != nil {
				return
			}
			reply := "+OK\r\n"
			switch {
			case words[0] == "HELLO" && len(words) > 1:
				reply = hello
			case words[0] != "CLIENT":
				reply = answer(words[0])
			}
			if _, err := io.WriteString(c, reply); err != nil {
				return
			}
		}
	})
}

// command reads one as rueidis writes it.
func command(in *bufio.Reader) ([]string, error) {
	number := func() (n int, err error) {
		line, err := in.ReadString('\n')
		if err == nil {
			n, err = strconv.Atoi(strings.TrimSpace(line[1:]))
		}
		return n, err
	}
	n, err := number()
	words := make([]string, 0, max(n, 0))
	for range n {
		size, err := number()
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, err
}

const hello = "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"

func serve(t testing.TB, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				talk(c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestAServerThatAnswersNonsenseIsNotRedis(t *testing.T) {
	for name, says := range map[string]string{
		"neg":     "$-5\r\n",
		"arr":     "*2147483647\r\n",
		"map":     "%-1\r\n",
		"bulk":    "$9999999999\r\n",
		"deep":    strings.Repeat("*1\r\n", 1<<20),
		"HTTP":    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
		"TLS":     "\x15\x03\x01\x00\x02\x02\x0a",
		"garbage": "\x00\xff\x00\xff",
		"SSH":     "SSH-2.0-OpenSSH_9.6\r\n",
		"unasked": hello + strings.Repeat("+OK\r\n", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			c := config(nonsense(t, says))
			c.DialTimeout = 2 * time.Second
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			within(t, 2*c.DialTimeout, "Dial", func() {
				_, err := Dial(t.Context(), c, heartbeat, &seen{})
				want := Other
				if name == "TLS" {
					want = TLS
				}
				wantKind(t, err, want)
				if !errors.Is(err, ErrNotRedis) {
					t.Errorf("error %v", err)
				}
			})
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("%d MiB were allocated", used>>20)
			}
		})
	}
}

// After the login more is allowed, but not everything.
func TestNonsenseAfterTheLoginEndsTheConnection(t *testing.T) {
	for name, says := range map[string]string{
		"neg": "$-5\r\n", "arr": "*2147483647\r\n", "bulk": "$9999999999\r\n", "unasked": "+a\r\n+b\r\n+c\r\n",
		"null": strings.Repeat("_xx", 40), "boolean": strings.Repeat("#txx", 40),
	} {
		t.Run(name, func(t *testing.T) {
			link, err := DialLink(t.Context(), config(turncoat(t, says)))
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			_, err = link.Ask(t.Context(), long, []string{"INFO"})
			wantKind(t, err, Other)
			if !errors.Is(err, ErrNotRedis) {
				t.Errorf("error %v", err)
			}
			if _, err = link.Ask(t.Context(), long, []string{"INFO"}); !KindOf(err).Outage() {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestPlainTextToATLSServerEndsInTime(t *testing.T) {
	cert, err := redisproc.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := config(startRedis(t, redisproc.Options{TLS: cert}).Addr())
	within(t, c.DialTimeout, "Dial", func() {
		_, err := Dial(t.Context(), c, heartbeat, &seen{})
		if !KindOf(err).Outage() {
			t.Errorf("error %v", err)
		}
		t.Log(err)
	})
}

func TestTLSToAServerWithoutIt(t *testing.T) {
	cert, err := redisproc.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plain := startRedis(t, redisproc.Options{})
	for at, want := range map[string]struct {
		kind Kind
		says string
	}{
		nonsense(t, "-ERR unknown command\r\n"): {TLS, ErrPlain.Error()},
		nonsense(t, ""):                         {Timeout, "does the server speak TLS on this port?"},
		plain.Addr():                            {TLS, ErrPlain.Error()}, // it waits for the end of a line
	} {
		c := config(at)
		c.TLS, c.DialTimeout = cert.ClientConfig(), time.Second
		_, err = Dial(t.Context(), c, heartbeat, &seen{})
		wantKind(t, err, want.kind)
		if err == nil || !strings.Contains(err.Error(), want.says) {
			t.Errorf("error %v, want %s", err, want.says)
		}
	}
}

// TestAPortThatWantsTLSIsNamed: it hangs up on a plain login without a word. Another
// one that does so does not speak TLS.
func TestAPortThatWantsTLSIsNamed(t *testing.T) {
	cert, err := redisproc.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]Kind{
		startRedis(t, redisproc.Options{TLS: cert}).Addr():                          TLS,
		startRedis(t, redisproc.Options{TLS: cert, RequireClientCert: true}).Addr(): TLS,
		hangsUp(t): Conn,
	} {
		c := config(at)
		c.DialTimeout = 5 * time.Second
		_, err := Dial(t.Context(), c, heartbeat, &seen{})
		wantKind(t, err, Conn) // the first dial has no time to ask
		_, err = Dial(t.Context(), c.After(err), heartbeat, &seen{})
		wantKind(t, err, want)
		if errors.Is(err, ErrWantsTLS) != (want == TLS) {
			t.Errorf("error %v", err)
		}
	}
}

// hangsUp is a server that ends every connection.
func hangsUp(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func TestOurOwnTimeoutIsToldInItsOwnWords(t *testing.T) {
	c := config(nonsense(t, ""))
	c.DialTimeout = 300 * time.Millisecond
	_, err := Dial(t.Context(), c, heartbeat, &seen{})
	wantKind(t, err, Timeout)
	if err == nil || err.Error() != "log in: no answer within 300ms" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestADatabaseThatIsNotThereIsTold(t *testing.T) {
	c := config(startRedis(t, redisproc.Options{}).Addr())
	c.DB = 99
	if _, err := Dial(t.Context(), c, heartbeat, &seen{}); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkTheGuard(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			one := fmt.Sprintf("$%d\r\n%s\r\n", size, bytes.Repeat([]byte("x"), size))
			p := []byte(strings.Repeat(one, max(1, 64<<10/len(one))))
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			var g guard
			for b.Loop() {
				if _, err := g.pass(p, server(maxBulk-1)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
