package watch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

func TestMain(m *testing.M) { testbed.Main(m, 4) }

// patience bounds what a test waits for: the machine may be busy.
const patience = 30 * time.Second

// following is a watched Cluster and all that its hooks were told.
type following struct {
	t    *testing.T
	d    *Cluster
	stop func() // ends it, and waits

	mu       sync.Mutex // guards what follows
	decided  cluster.Decision
	nodes    map[uint32]*remote.Node // in use, by shard
	upAt     map[uint32]time.Time
	ups      []string // "shard address", in order
	downs    map[uint32][]error
	failed   []error
	beats    map[uint32][]Beat
	view     ClusterView
	changes  []cluster.Change
	promoted []cluster.Promotion
	returned []uint32
	doubted  bool // some slot was
	ended    []cluster.Record
	faults   []string // what must never be
	books    map[uint32]*book
}

// book numbers the barriers of all shards by one counter, and remembers what nodes held.
type book struct {
	f    *following
	next *atomic.Uint64

	held     []remote.Held
	replaced int
}

func (b *book) NextBarrier(*remote.Node) (uint64, bool) { return b.next.Add(1), true }

func (b *book) Marked(*remote.Node, string) {}

func (b *book) Found(_ *remote.Node, h remote.Held) {
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	b.held = append(b.held, h)
}

func (b *book) Replaced(*remote.Node, uint64) {
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	b.replaced++
}

// follow watches the Cluster at the seeds until the test ends. change may be nil.
func follow(t *testing.T, seeds []string, change func(*ClusterConfig)) *following {
	t.Helper()
	return followBy(t, seeds, change, func(*Cluster) {})
}

func followBy(t *testing.T, seeds []string, change func(*ClusterConfig), prepare func(*Cluster)) *following {
	t.Helper()
	f := &following{
		t: t, nodes: map[uint32]*remote.Node{}, upAt: map[uint32]time.Time{}, downs: map[uint32][]error{},
		beats: map[uint32][]Beat{}, books: map[uint32]*book{},
	}
	var next atomic.Uint64
	c := ClusterConfig{
		Seeds: seeds, Node: remote.Config{DialTimeout: time.Second}, KeyPrefix: "app:", Process: "me", Observer: quiet{}, Log: slog.New(slog.DiscardHandler),
		Heartbeat: func(shard uint32) remote.Heartbeat {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.books[shard] == nil {
				f.books[shard] = &book{f: f, next: &next}
			}
			return remote.Heartbeat{Book: f.books[shard], TTL: time.Hour, Every: 500 * time.Millisecond, Timeout: 250 * time.Millisecond}
		},
	}
	if change != nil {
		change(&c)
	}
	f.d = NewCluster(c, f.hooks())
	prepare(f.d)
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		f.d.Run(ctx)
	}()
	f.stop = sync.OnceFunc(func() { cancel(); <-returned })
	t.Cleanup(func() {
		f.stop()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, fault := range f.faults {
			t.Error(fault)
		}
		if len(f.nodes) > 0 {
			t.Errorf("%d nodes are still in use at the end", len(f.nodes))
		}
	})
	return f
}

func (f *following) hooks() ClusterHooks {
	locked := func(do func()) { f.mu.Lock(); defer f.mu.Unlock(); do() }
	fault := func(format string, args ...any) { f.faults = append(f.faults, fmt.Sprintf(format, args...)) }
	told := func() { // the hooks are called by who decides
		if now := f.d.now.Routes; now != f.decided.Routes {
			fault("a node is told of with routes %d, and of these only %d were told", now, f.decided.Routes)
		}
	}
	return ClusterHooks{
		Decided: func(d cluster.Decision) {
			locked(func() {
				f.decided, f.doubted = d, f.doubted || !d.Doubted.Empty()
				f.changes, f.promoted, f.returned = append(f.changes, d.Changes...), append(f.promoted, d.Promoted...), append(f.returned, d.Returned...)
			})
		},
		Up: func(shard uint32, n *remote.Node) {
			locked(func() {
				told()
				sh, ok := f.shard(shard)
				if !ok || sh.Master.ID.String() != n.ID {
					fault("%s is up for shard %d, whose master is %s", n.ID, shard, sh.Master.ID)
				}
				if f.nodes[shard] != nil {
					fault("shard %d is up twice", shard)
				}
				f.nodes[shard], f.upAt[shard] = n, time.Now()
				f.ups = append(f.ups, fmt.Sprint(shard, " ", n.Addr))
			})
		},
		Down: func(shard uint32, cause error) {
			locked(func() {
				told()
				if f.nodes[shard] == nil || cause == nil {
					fault("shard %d is down without having been up, or for no reason: %v", shard, cause)
				}
				delete(f.nodes, shard)
				f.downs[shard] = append(f.downs[shard], cause)
			})
		},
		Failed: func(err error) { locked(func() { f.failed = append(f.failed, err) }) },
		Beat: func(shard uint32, n *remote.Node, b Beat) {
			locked(func() {
				if f.nodes[shard] != n || b.Alone && !b.Confirms {
					fault("shard %d: %+v of a node that is not in use", shard, b)
				}
				f.beats[shard] = append(f.beats[shard], b)
			})
		},
		News:  func(v ClusterView) { locked(func() { f.view = v }) },
		Ended: func(r []cluster.Record) { locked(func() { f.ended = append(f.ended, r...) }) },
	}
}

// shard is what is decided of one; mu is held.
func (f *following) shard(number uint32) (cluster.Shard, bool) {
	i := slices.IndexFunc(f.decided.Shards, func(s cluster.Shard) bool { return s.Number == number })
	if i < 0 {
		return cluster.Shard{}, false
	}
	return f.decided.Shards[i], true
}

func (f *following) until(what string, ok func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		f.mu.Lock()
		yes := ok()
		f.mu.Unlock()
		if yes {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("not in time: %s\n%s", what, f.text())
		}
	}
}

func (f *following) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, s := range f.view.Decision.Shards {
		if bs := f.beats[s.Number]; len(bs) > 0 {
			last := bs[len(bs)-1]
			fmt.Fprintf(&b, "%d beats, the last %+v, %v ago; ", len(bs), last, time.Since(last.SentAt))
		}
		fmt.Fprintf(&b, "shard %d: %s at %s epoch %d %s (%s) slots %s up %v\n", s.Number, s.Master.ID, s.Master.Addr, s.Epoch, s.Stage, s.Trouble, s.Slots, f.nodes[s.Number] != nil)
	}
	fmt.Fprintf(&b, "ups %v\ndowns %v\nreason %v, %v\ntroubles %v\nforbidden %v\nfindings %v\n", f.ups, f.downs, f.view.Reason, f.view.Reasons, f.view.Troubles, f.view.Forbidden, f.view.Decision.Findings)
	fmt.Fprintf(&b, "moving %s, doubted %s, failed %v", &f.view.Decision.Moving, &f.view.Decision.Doubted, f.failed[max(0, len(f.failed)-3):])
	return b.String()
}

// of is the number of the shard that owns a slot, by what was decided; mu is held.
func (f *following) of(s int) uint32 {
	sh, _ := f.decided.Owner(uint16(s))
	return sh.Number
}

// ownerOf is of, without mu.
func (f *following) ownerOf(s int) uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of(s)
}

// proven reports whether every shard is in use, and a barrier since then has shown all;
// mu is held.
func (f *following) proven(shards int) bool {
	if len(f.nodes) != shards || len(f.decided.Shards) != shards {
		return false
	}
	for number := range f.nodes {
		if !slices.ContainsFunc(f.beats[number], func(b Beat) bool { return b.Alone && b.SentAt.After(f.upAt[number]) }) {
			return false
		}
	}
	return true
}

// use waits until every shard is in use, and its barriers show that it is alone.
func (f *following) use(shards int) {
	f.t.Helper()
	f.until("every shard in use and proven", func() bool { return f.proven(shards) })
}

// key is where the heartbeat of a shard is written at this moment.
func (f *following) key(shard uint32) tag {
	got := make(chan tag, 1)
	f.d.report(func() {
		var t tag
		if st := f.d.seats[shard]; st != nil {
			t = st.tag
		}
		got <- t
	})
	return <-got
}

// startCluster starts one that a busy machine does not upset, and follows it.
func startCluster(t *testing.T, opts ...redistest.Option) (*redistest.Cluster, *following) {
	t.Helper()
	c := redistest.StartCluster(t, opts...)
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	return c, f
}
