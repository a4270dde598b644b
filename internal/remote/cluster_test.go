package remote

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/slot"
)

// pair is a Cluster of two masters, and a node of each.
type pair struct {
	*testing.T
	c            *redisproc.Cluster
	source, sink *redisproc.Process // slot 0 and slot 16383 are theirs
	from, to     *Node
	seen         *redirects
}

func startPair(t *testing.T) *pair {
	t.Helper()
	c := startCluster(t, redisproc.ClusterOptions{Masters: 2, NodeTimeout: 30 * time.Second, PartialCoverage: true})
	p := &pair{T: t, c: c, source: c.Nodes()[0], sink: c.Nodes()[1], seen: &redirects{}}
	p.from, p.to = p.dial(p.source, 0, Config{}), p.dial(p.sink, slot.Count-1, Config{})
	return p
}

func startCluster(t *testing.T, o redisproc.ClusterOptions) *redisproc.Cluster {
	t.Helper()
	c, err := redisproc.StartCluster(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// dial returns a node whose heartbeat's key is in a slot of its own.
func (p *pair) dial(at *redisproc.Process, of uint16, c Config) *Node {
	p.Helper()
	return dialCluster(p.T, at, of, c, p.seen)
}

func dialCluster(t *testing.T, at *redisproc.Process, of uint16, c Config, obs Observer) *Node {
	t.Helper()
	c.Addr, c.DialTimeout, c.Cluster = at.Addr(), long, true
	h := heartbeat
	h.Key = "~b:{" + slot.TagFor(of) + "}test"
	h.Marker = "~dataset{" + slot.TagFor(of) + "}"
	n, err := Dial(t.Context(), c, h, obs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Abandon)
	return n
}

// in is a key of class c in a slot; those of source end before 8192.
func in(s uint16, rest string) string { return "app:c:{" + slot.TagFor(s) + "}" + rest }

// del is the delete of a key.
func del(key string) Del { return Del{Key: key, Tomb: TombstoneKey("app:", key), Process: "me"} }

// begin marks a slot as moving from source to sink; no key has moved.
func (p *pair) begin(s uint16) { p.reshard(s, redisproc.Marked) }

func (p *pair) reshard(s uint16, until redisproc.Step) {
	p.Helper()
	must(p.T, p.c.Reshard(p.Context(), p.source, p.sink, redisproc.SlotRange{First: int(s), Last: int(s)}, until))
}

// move moves one key of a slot that moves.
func (p *pair) move(key string) {
	p.Helper()
	host, port, _ := strings.Cut(p.sink.Addr(), ":")
	if got := ask(p.T, p.source, "MIGRATE", host, port, key, "0", "5000"); got != "OK" {
		p.Fatalf("MIGRATE of %s: %v", key, got)
	}
}

// asking asks a process behind an ASKING, over a connection of its own.
func (p *pair) asking(words ...string) any {
	p.Helper()
	r := p.to.cmd.send(p.Context(), true, p.to.b().Arbitrary(words...).Build())[0]
	v, err := r.ToAny()
	if err != nil && !IsNil(err) {
		p.Fatal(err)
	}
	return v
}

// redirects is an Observer that keeps what it is told.
type redirects struct {
	seen
	mu  sync.Mutex // guards all
	all []Redirect
}

func (r *redirects) Redirected(_ *Node, one Redirect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
}

// take is what was told since the last call.
func (r *redirects) take() []Redirect {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

// wantRedirect: err is one, and the observer was told of it, once.
func (p *pair) wantRedirect(what string, err error, want Redirect) {
	p.Helper()
	got, ok := RedirectOf(err)
	if !ok || got != want || KindOf(err) != want.Kind {
		p.Errorf("%s: %v is %+v, want %+v", what, err, got, want)
	}
	if told := p.seen.take(); len(told) != 1 || told[0] != want {
		p.Errorf("%s: the observer was told %+v, want %+v", what, told, want)
	}
}
