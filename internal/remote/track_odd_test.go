package remote

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestASlowListenerHoldsItsConnectionUpAndNothingElse(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	c := config(p.Addr())
	began, goOn := make(chan struct{}, 10), make(chan struct{})
	c.Track = &Tracking{Prefixes: []string{"p:"}, Invalidated: func([]string, bool) { began <- struct{}{}; <-goOn }}
	n := dialWith(t, c, nil)
	settle(t, n)
	ask(t, p, "SET", "p:k", "v")
	<-began
	wantKind(t, n.PingFeed(t.Context(), 50*time.Millisecond), Timeout)
	if err := n.beat.Do(t.Context(), n.beat.B().Ping().Build()).Error(); err != nil {
		t.Errorf("the other connection: %v", err)
	}
	close(goOn)
	if err := n.PingFeed(t.Context(), long); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAListenerThatAsksTheNodeWaitsForItsOwnLimitOnly(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	c := config(p.Addr())
	var n *Node
	answers := make(chan error, 1)
	c.Track = &Tracking{Prefixes: []string{"p:"}, Invalidated: func([]string, bool) {
		answers <- second(n.Set(t.Context(), Pair{Key: "p:own", TTL: time.Hour}, 50*time.Millisecond))
	}}
	n = dialWith(t, c, nil)
	settle(t, n)
	ask(t, p, "SET", "p:k", "v")
	wantKind(t, <-answers, Timeout)
	if err := n.PingFeed(t.Context(), long); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAbandonWaitsForABusyListener(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	c := config(p.Addr())
	began, goOn := make(chan struct{}, 10), make(chan struct{})
	c.Track = &Tracking{Prefixes: []string{"p:"}, Invalidated: func([]string, bool) { began <- struct{}{}; <-goOn }}
	n := dialWith(t, c, nil)
	ask(t, p, "SET", "p:k", "v")
	<-began
	time.AfterFunc(100*time.Millisecond, func() { close(goOn) })
	within(t, patience, "Abandon", n.Abandon)
}

// teller lets us log in, says one thing at a word of ours, and ends.
func teller(t testing.TB, at, says string) string {
	t.Helper()
	return serve(t, func(c net.Conn) {
		for in := bufio.NewScanner(c); in.Scan(); {
			switch in.Text() {
			case "HELLO":
				_, _ = io.WriteString(c, hello)
			case "SETINFO", "PING":
				_, _ = io.WriteString(c, "+OK\r\n")
			case at:
				_, _ = io.WriteString(c, says)
				return
			}
		}
	})
}

func TestOddAnnouncements(t *testing.T) {
	const answer = "+end\r\n"
	for _, tt := range []struct {
		name, says string
		keys       []string
		all        int
		fault      bool
	}{
		{name: "as it should be", says: ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", keys: []string{"a", "b"}},
		{name: "a null", says: ">2\r\n$10\r\ninvalidate\r\n_\r\n", all: 1},
		{name: "an old null", says: ">2\r\n$10\r\ninvalidate\r\n*-1\r\n", all: 1},
		{name: "no keys", says: ">2\r\n$10\r\ninvalidate\r\n*0\r\n"},
		{name: "an empty key", says: ">2\r\n$10\r\ninvalidate\r\n*1\r\n$0\r\n\r\n", keys: []string{""}},
		{name: "a number among the keys", says: ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n:1\r\n", all: 1},
		{name: "a null among the keys", says: ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$-1\r\n", all: 1},
		{name: "an error among the keys", says: ">2\r\n$10\r\ninvalidate\r\n*1\r\n-ERR\r\n", all: 1},
		{name: "nested", says: ">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n$1\r\na\r\n", all: 1},
		{name: "a push in a push", says: ">2\r\n$10\r\ninvalidate\r\n>1\r\n$1\r\na\r\n", keys: []string{"a"}},
		{name: "one key without a list", says: ">2\r\n$10\r\ninvalidate\r\n$1\r\na\r\n", all: 1},
		{name: "a number", says: ">2\r\n$10\r\ninvalidate\r\n:5\r\n", all: 1},
		{name: "an error", says: ">2\r\n$10\r\ninvalidate\r\n-ERR\r\n", all: 1},
		{name: "nothing", says: ">0\r\n"},
		{name: "one word", says: ">1\r\n$10\r\ninvalidate\r\n"},
		{name: "a list for a word", says: ">2\r\n*1\r\n$9\r\nsubscribe\r\n:1\r\n"},
		{name: "another word", says: ">2\r\n$21\r\ntracking-redir-broken\r\n:1\r\n"},
		{name: "with an attribute", says: "|1\r\n+a\r\n+b\r\n>2\r\n|1\r\n+a\r\n+b\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n", keys: []string{"a"}},
		{name: "a message", says: ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{name: "an end of a subscription", says: ">3\r\n$12\r\npunsubscribe\r\n$1\r\n*\r\n:0\r\n"},
		{name: "a subscription", says: ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", fault: true},
		{name: "one with an attribute", says: ">3\r\n|1\r\n+a\r\n+b\r\n+psubscribe\r\n$1\r\na\r\n:1\r\n", fault: true},
		{name: "two answers and a fault", says: "+OK\r\n+OK\r\n:\r0", fault: true},
		{name: "many keys", says: ">2\r\n$10\r\ninvalidate\r\n*1048577\r\n", fault: true},
		{name: "a long key", says: ">2\r\n$10\r\ninvalidate\r\n*1\r\n$134217728\r\n", fault: true},
		{name: "deep", says: ">2\r\n$10\r\ninvalidate\r\n" + strings.Repeat("*1\r\n", 20), fault: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &heard{}
			c := config(teller(t, "INFO", tt.says+answer))
			c.Track = &Tracking{Invalidated: h.invalidated}
			w, err := dialWire(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer w.abandon()
			got, err := w.Do(t.Context(), w.B().Info().Build()).ToString()
			if tt.fault != errors.Is(err, ErrNotRedis) || !tt.fault && got != "end" {
				t.Errorf("answered %q, %v", got, err)
			}
			if keys, all := h.take(); !slices.Equal(keys, tt.keys) || all != tt.all {
				t.Errorf("announced %q and %d times all, want %q and %d", keys, all, tt.keys, tt.all)
			}
		})
	}
}

var subscriptions = map[string]struct {
	says  string
	fault bool
}{
	"confirmed":               {says: ">3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n"},
	"refused":                 {says: "-NOPERM no\r\n"},
	"confirmed twice":         {says: strings.Repeat(">3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n", 2), fault: true},
	"refused and confirmed":   {says: "-NOPERM no\r\n>3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n", fault: true},
	"queued":                  {says: "+QUEUED\r\n", fault: true},
	"refused as queued":       {says: "-QUEUED\r\n", fault: true},
	"answered":                {says: "+OK\r\n", fault: true},
	"answered twice":          {says: ">3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n+OK\r\n", fault: true},
	"ended before it began":   {says: ">3\r\n$12\r\npunsubscribe\r\n$1\r\n*\r\n:0\r\n"},
	"confirmed with two kind": {says: ">3\r\n$9\r\nsubscribe\r\n$1\r\n*\r\n:1\r\n>3\r\n$10\r\nssubscribe\r\n$1\r\n*\r\n:1\r\n", fault: true},
}

// rueidis panics, in a goroutine of its own, at some of these.
func TestASubscriptionIsConfirmedOnceAndInItsTurn(t *testing.T) {
	for name, tt := range subscriptions {
		t.Run(name, func(t *testing.T) {
			l, err := DialLink(t.Context(), config(teller(t, "PSUBSCRIBE", tt.says)))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			err = l.Listen(t.Context(), func() {}, func(string, string) {})
			if tt.fault != errors.Is(err, ErrNotRedis) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzWhatAServerSaysUnasked: a panic of rueidis would end the process.
func FuzzWhatAServerSaysUnasked(f *testing.F) {
	for _, tt := range subscriptions {
		f.Add([]byte(tt.says), true)
		f.Add([]byte(tt.says), false)
	}
	f.Add([]byte("+OK\r\n+unasked\r\n:no\r\n"), false)
	f.Add([]byte(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n:1\r\n"), false)
	f.Add([]byte(">3\r\n$8\r\npmessage\r\n|1\r\n+a\r\n+b\r\n$1\r\na\r\n>1\r\n:1\r\n+OK\r\n"), true)
	f.Fuzz(func(t *testing.T, says []byte, subscribe bool) {
		at := "INFO"
		if subscribe {
			at = "PSUBSCRIBE"
		}
		c := config(teller(t, at, string(says)))
		c.Track = &Tracking{Invalidated: func([]string, bool) {}}
		l, err := DialLink(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if subscribe {
			_ = l.Listen(short(t, time.Second), func() {}, func(string, string) {})
		}
		_, _ = l.Ask(t.Context(), time.Second, []string{"INFO"})
	})
}
