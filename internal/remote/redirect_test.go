package remote

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/breaker"
	"github.com/evercache/evercache/internal/slot"
)

// Each thing that a node of a Cluster says in place of serving a key is told apart, and
// tells the observer what it is about; whatever their number, the node stays in use.
func TestEachRedirectionOfAClusterIsToldApart(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	ctx := t.Context()
	get := func(n *Node, key string) error { _, err := n.Get(ctx, key, long); return err }

	p.wantRedirect("a slot of another node", get(p.from, in(9000, "a")), Redirect{Kind: Moved, Slot: 9000, Addr: p.sink.Addr()})
	_, err := p.to.Set(ctx, Pair{Key: in(7, "a"), Data: []byte("v"), TTL: time.Hour}, long)
	p.wantRedirect("the other way round", err, Redirect{Kind: Moved, Slot: 7, Addr: p.source.Addr()})

	ask(t, p.source, "SET", in(7, "a"), "v")
	p.begin(7)
	p.wantRedirect("a slot that moves", get(p.from, in(7, "gone")), Redirect{Kind: Ask, Slot: 7, Addr: p.sink.Addr()})
	p.wantRedirect("its next node without ASKING", get(p.to, in(7, "a")), Redirect{Kind: Moved, Slot: 7, Addr: p.source.Addr()})
	_, _, err = p.from.Delete(ctx, del(in(7, "a")), long)
	p.wantRedirect("key and tombstone at two nodes", err, Redirect{Kind: TryAgain, Slot: 7})
	_, _, err = p.from.SetAbsent(ctx, Pair{Key: in(7, "b"), Data: []byte("v"), TTL: time.Hour}, long)
	p.wantRedirect("a key that is not there", err, Redirect{Kind: Ask, Slot: 7, Addr: p.sink.Addr()})

	must(t, p.c.StealSlot(ctx, p.sink, 33))
	eventually(t, patience, "the slot is stolen", func() bool { return KindOf(get(p.from, in(33, "a"))) == Moved })
	p.seen.take()
	p.wantRedirect("a stolen slot", get(p.from, in(33, "a")), Redirect{Kind: Moved, Slot: 33, Addr: p.sink.Addr()})
	ask(t, p.source, "SET", in(5, "large"), strings.Repeat("l", span+1))
	if _, err := p.from.Get(ctx, in(5, "large"), long); err != nil {
		t.Error(err)
	}
	over := p.from.bulk.wire
	_, err = p.from.getLarge(ctx, ctx, in(9000, "large"), false)
	p.wantRedirect("a large value", err, Redirect{Kind: Moved, Slot: 9000, Addr: p.sink.Addr()})
	if over == nil || p.from.bulk.wire != over {
		t.Error("the connection for large values was given up")
	}

	ask(t, p.source, "CLUSTER", "DELSLOTS", "99")
	p.wantRedirect("a slot of nobody", get(p.from, in(99, "a")), Redirect{Kind: ClusterDown, Slot: 99})
	ask(t, p.source, "CONFIG", "SET", "cluster-require-full-coverage", "yes")
	ask(t, p.source, "CLUSTER", "DELSLOTS", "98") // only then it looks
	eventually(t, patience, "the node serves nothing", func() bool { return KindOf(get(p.from, in(3, "a"))) == ClusterDown })
	p.seen.take()
	p.wantRedirect("any slot", get(p.from, in(3, "a")), Redirect{Kind: ClusterDown, Slot: 3})

	for range 100 {
		for _, key := range []string{in(9000, "a"), in(7, "b"), in(99, "a")} {
			if err := get(p.from, key); !KindOf(err).Unserved() {
				t.Fatalf("%s: %v", key, err)
			}
		}
	}
	wantClosed(t, p.from)
	wantClosed(t, p.to)
	if err := p.from.Puzzled(); err != nil {
		t.Errorf("it is called an unknown reply: %v", err)
	}
}

// A script with keys of two slots is a mistake of ours, and not of who wants the key
// written: it waits, and is reported.
func TestAScriptWithKeysOfTwoSlotsIsNoMistakeOfTheCaller(t *testing.T) {
	t.Parallel()
	b := anchoredBed(t)
	declared := b.n.run(t.Context(), step{script: newScript("return redis.call('GET', KEYS[2])"), keys: []string{in(5, "a"), in(6, "b")}})
	undeclared := b.n.run(t.Context(), step{script: newScript("#!lua\nreturn redis.call('GET', ARGV[1])"), keys: []string{in(5, "a")}, args: []string{in(6, "b")}})
	for _, a := range []answer{declared, undeclared} {
		wantKind(t, a.err, CrossSlot)
	}
	c, _, cancel := b.n.begin(t.Context(), "replay", long)
	cancel()
	if err := c.end(t.Context(), declared.err); !strings.Contains(fmt.Sprint(b.n.Puzzled()), "CROSSSLOT") || b.n.ScriptsForbidden() {
		t.Errorf("%v is reported as %v", err, b.n.Puzzled())
	}
	wantClosed(t, b.n)
}

// A server outside of a Cluster that answers like this is the wrong one: it is given up.
func TestOutsideOfAClusterARedirectionCountsAgainstTheNode(t *testing.T) {
	n := &Node{breaker: breaker.New(breaker.Default)}
	for range 100 {
		n.judge(Moved, time.Millisecond, time.Second, &Error{Kind: Moved, Op: "get", Err: errReply})
	}
	if !isOpen(n) {
		t.Error("it stays in use")
	}
	if KindOf(n.OpenErr()) != Moved {
		t.Errorf("it was given up for %v", n.OpenErr())
	}
}

func TestAServerOfAClusterIsRefusedWhereNoneIsWanted(t *testing.T) {
	t.Parallel()
	b := anchoredBed(t)
	_, err := Dial(t.Context(), config(b.p.Addr()), heartbeat, observer(func(string, time.Duration, Kind) {}))
	wantKind(t, err, Moved)
}

func TestARedirectionIsRead(t *testing.T) {
	for text, want := range map[string]string{
		"MOVED 3999 127.0.0.1:6381":            "3999 127.0.0.1:6381 true",
		"ASK 0 node-1.example.com:6381":        "0 node-1.example.com:6381 true",
		"MOVED 16383 ::1:6381":                 "16383 [::1]:6381 true",
		"MOVED 5 [fe80::1%eth0]:6381":          "5 [fe80::1%eth0]:6381 true",
		"MOVED 5 :6381":                        "5 here:6381 true", // the host of the connection
		"MOVED 5 ?:6381":                       "5  true",
		"MOVED 5 a:0":                          "5  true",
		"MOVED 5 a:65536":                      "5  true",
		"MOVED 5 nowhere":                      "5  true",
		"MOVED 5 a\x00b:1":                     "5  true",
		"MOVED 16384 a:1":                      "0  false",
		"MOVED -1 a:1":                         "0  false",
		"MOVED 5":                              "0  false",
		"MOVED 5 a:1 b:2":                      "0  false",
		"TRYAGAIN 5 a:1":                       "0  false",
		"MOVED 5 " + string(make([]byte, 600)): "0  false",
	} {
		s, addr, ok := parseRedirect(text, "here")
		if got := fmt.Sprint(s, " ", addr, " ", ok); got != want {
			t.Errorf("%.60q is read as %s, want %s", text, got, want)
		}
	}
}

func FuzzParseRedirect(f *testing.F) {
	for _, text := range []string{"MOVED 3999 127.0.0.1:6381", "ASK 0 :1", "MOVED 1 [::1]:2", "ASK 5 ?:1", "MOVED 1 2 3"} {
		f.Add(text, "here")
	}
	f.Fuzz(func(t *testing.T, text, host string) {
		s, addr, ok := parseRedirect(text, host)
		if s >= slot.Count || len(addr) > 300 || !ok && addr != "" || strings.ContainsAny(addr, " \r\n\x00/@") {
			t.Errorf("%q, %q: %d, %q, %v", text, host, s, addr, ok)
		}
	})
}
