package evercache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// cacheAt opens a client of its own, as another process would, and waits until
// what its class holds can be coherent.
func cacheAt(t *testing.T, addr string, p Policy, o ...CacheOption[string]) *Cache[string] {
	t.Helper()
	// Patient: a test machine is busy, and an outage is not what is shown.
	client := open(t, Options{Addr: addr, ReadTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond})
	c := cacheOf(t, client, "c", p, o...)
	connect(t, client, 20*time.Second)
	_, _ = c.Set(t.Context(), "first", "v") // what is unconfirmed hurries the barrier
	waitCovered(t, c)
	return c
}

func waitCovered(t *testing.T, c *Cache[string]) {
	t.Helper()
	waitUntil(t, 20*time.Second, func() bool { return c.keys.Mark(c.full("")).Cover() != nil && c.client.Health().Feed.Coherent },
		func() string { return fmt.Sprintf("the feed covers nothing: %+v", c.client.Health().Feed) })
}

// covers reports whether memory holds that value and the feed vouches for it.
func (c *Cache[V]) covers(key string, want V) bool {
	it, now := c.peek(key), c.client.one().Clock.Now()
	return it != nil && any(valueOf[V](it)) == any(want) && now < it.TrustUntil && it.Cover.Covers(now)
}

// waitCovers reads the key until memory holds it and the feed vouches for it.
func waitCovers(t *testing.T, c *Cache[string], key, want string) {
	t.Helper()
	var e Entry[string]
	var err error
	waitUntil(t, 20*time.Second, func() bool { e, err = c.Lookup(t.Context(), key); return c.covers(key, want) },
		func() string { return fmt.Sprintf("%s is %+v, %v, not a coherent %s", key, e, err, want) })
}

// hasBarrier reports whether a barrier has proved that the master is the only one.
func hasBarrier(c *Client) bool {
	_, barrier, _, _ := c.one().Feed.State()
	return barrier > 0
}

// elapse lets L1TTL pass for what memory holds of a key.
func (c *Cache[V]) elapse(key string) {
	it := c.peek(key).Copy()
	it.AskAfter = 1
	c.put(key, it)
}

func gets(c *Client) uint64 {
	n := c.Stats().RedisRequests
	return n["get"]["ok"] + n["get"]["error"] + n["mget"]["ok"]
}

func TestAChangeElsewhereLeavesMemoryAtOnce(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	one, other := cacheAt(t, p.Addr(), Policy{}), cacheAt(t, p.Addr(), Policy{})
	changes := []struct {
		name string
		make func(key string) error
	}{
		{"Set", func(key string) error { _, err := other.Set(t.Context(), key, "new"); return err }},
		{"Delete", func(key string) error { _, err := other.Delete(t.Context(), key); return err }},
		{"DeletePrefix", func(key string) error { _, _, err := other.DeletePrefix(t.Context(), key); return err }},
		{"Touch", func(key string) error { _, err := other.Touch(t.Context(), key, TTL(2*time.Hour)); return err }},
		{"Touch to a shorter life", func(key string) error { _, err := other.Touch(t.Context(), key, TTL(time.Minute)); return err }},
		{"SET by another program", func(key string) error { redisDo(t, p, "SET", "c:"+key, "new"); return nil }},
		{"DEL by another program", func(key string) error { redisDo(t, p, "DEL", "c:"+key); return nil }},
	}
	for _, ch := range changes {
		var took []time.Duration
		late := lateness(t)
		for i := range 20 {
			key := fmt.Sprint(ch.name, i, ".")
			_, _ = other.Set(t.Context(), key, "old")
			waitCovers(t, one, key, "old")
			if err := ch.make(key); err != nil {
				t.Fatal(err)
			}
			acknowledged := time.Now()
			waitUntil(t, time.Second, func() bool { return !one.covers(key, "old") }, func() string { return ch.name + ": the old value is still coherent" })
			took = append(took, time.Since(acknowledged))
		}
		slices.Sort(took)
		t.Logf("%s: median %v, longest %v", ch.name, took[len(took)/2], took[len(took)-1])
		if took[len(took)/2] > 50*time.Millisecond+late() {
			t.Errorf("%s: in memory for %v (median)", ch.name, took[len(took)/2])
		}
	}
}

func TestWhatTheFeedCoversIsServedWithoutAskingRedis(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{})
	redisDo(t, p, "SET", "c:read", "v")
	waitCovers(t, c, "read", "v")
	_, err := c.Set(t.Context(), "own", "v")
	wantErr(t, err, nil)
	keys := []string{"read", "own"}
	for i := range 20 { // memory is covered soon after the load, without a further read
		key := fmt.Sprint("loaded", i)
		_, err := c.Get(t.Context(), key, constant("v"))
		wantErr(t, err, nil)
		waitUntil(t, time.Second, func() bool { return c.covers(key, "v") }, func() string { return "what was loaded is not covered" })
		keys = append(keys, key)
	}
	before := gets(c.client)
	for _, key := range keys {
		c.elapse(key)
		for range 10 {
			e, err := c.Lookup(t.Context(), key)
			if err != nil || e.Value != "v" || e.Source != SourceMemory || !e.Coherent {
				t.Errorf("%s = %+v, %v, want a coherent one from memory", key, e, err)
			}
		}
	}
	if n := gets(c.client) - before; n > 0 {
		t.Errorf("Redis was asked %d times for what the feed covers", n)
	}
	ended := c.peek("own").Copy()
	ended.FreshUntil = 1
	if e := c.entry(ended, SourceMemory, c.client.one().Clock.Now(), nil); e.Fresh || e.Coherent {
		t.Errorf("past its end: %+v", e)
	}
	c.client.one().Feed.Silent()
	e, err := c.Lookup(t.Context(), "own")
	wantValue(t, e.Source, err, SourceRedis)
}

func TestAnL1TTLOfThePolicyBoundsWhatTheFeedCovers(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{L1TTL: 50 * time.Millisecond})
	_, _ = c.Set(t.Context(), "a", "v")
	waitUntil(t, time.Second, func() bool { e, _ := c.Lookup(t.Context(), "a"); return e.Source == SourceRedis },
		func() string { return "Redis is never asked" })
}

// flowCutter forwards connections and can silence the one on which the feed runs.
type flowCutter struct {
	net.Listener
	mu    sync.Mutex
	feeds []*atomic.Bool // set: what the server says on it is held for ever
}

func startFlowCutter(t *testing.T, target string) *flowCutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flowCutter{Listener: l}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			silent := new(atomic.Bool)
			wg.Go(func() { f.forward(server, client, silent, true) })
			wg.Go(func() { f.forward(client, server, silent, false) })
		}
	})
	return f
}

func (f *flowCutter) forward(to io.WriteCloser, from io.Reader, silent *atomic.Bool, requests bool) {
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if requests && bytes.Contains(b[:n], []byte("TRACKING")) {
			f.mu.Lock()
			f.feeds = append(f.feeds, silent)
			f.mu.Unlock()
		}
		if n > 0 && (requests || !silent.Load()) {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (f *flowCutter) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, silent := range f.feeds {
		silent.Store(true)
	}
}

func TestWithoutItsFeedMemoryIsNotCalledCoherentAndRedisIsAsked(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	flow, all := startFlowCutter(t, p.Addr()), startProxy(t, p.Addr())
	cuts := []struct {
		name, addr string
		cut        func()
		asked      bool // Redis can be
	}{
		{"its flow alone", flow.Addr().String(), flow.cut, true},
		{"all flows", all.Addr(), func() { all.Blackhole(true) }, false},
	}
	for _, tt := range cuts {
		t.Run(tt.name, func(t *testing.T) {
			c := cacheAt(t, tt.addr, Policy{})
			redisDo(t, p, "SET", "c:a", "old")
			waitCovers(t, c, "a", "old")
			tt.cut()
			cut := time.Now()
			redisDo(t, p, "SET", "c:a", "new")
			waitUntil(t, 20*time.Second, func() bool { e, _ := c.Lookup(t.Context(), "a"); return e.Value == "new" || !e.Coherent },
				func() string { return "the old value is called coherent" })
			t.Logf("coherent for %v", time.Since(cut))
			if !tt.asked {
				return
			}
			waitUntil(t, 2*time.Second-time.Since(cut), func() bool { e, _ := c.Lookup(t.Context(), "a"); return e.Value == "new" },
				func() string { return fmt.Sprintf("Redis is not asked: %+v", c.client.Health()) })
		})
	}
}

func TestAFeedThatIsNotHeardCoversNothing(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{})
	waitCovers(t, c, "first", "v")
	c.client.one().Listening.End() // nobody asks whether it still speaks
	waitUntil(t, 20*time.Second, func() bool { return !c.covers("first", "v") }, func() string { return "still coherent" })
	if c.client.one().Node.Load() == nil {
		t.Error("there is no master: nothing was shown")
	}
}

// heldCodec holds up Decode while it is armed.
type heldCodec struct {
	stringCodec
	armed         *atomic.Bool
	held, release chan struct{}
}

func newHeldCodec() heldCodec {
	return heldCodec{armed: new(atomic.Bool), held: make(chan struct{}), release: make(chan struct{})}
}

func (c heldCodec) Decode(data []byte) (string, error) {
	if c.armed.CompareAndSwap(true, false) {
		c.held <- struct{}{}
		<-c.release
	}
	return string(data), nil
}

// waitAnnounced waits until the feed has told of more than n changes.
func waitAnnounced(t *testing.T, c *Client, n uint64) {
	t.Helper()
	waitUntil(t, time.Second, func() bool { return c.Health().Feed.Announced > n }, func() string { return "nothing is announced" })
}

func TestAReadThatAChangeOvertookIsNotKept(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	codec := newHeldCodec()
	one, other := cacheAt(t, p.Addr(), Policy{}, WithCodec[string](codec)), cacheAt(t, p.Addr(), Policy{})
	reads := map[string]func(key string){
		"Lookup":  func(key string) { _, _ = one.Lookup(t.Context(), key) },
		"GetMany": func(key string) { _, _ = one.GetMany(t.Context(), []string{key}, nil) },
	}
	changes := map[string]func(key string) error{
		"Set":          func(key string) error { _, err := other.Set(t.Context(), key, "new"); return err },
		"Delete":       func(key string) error { _, err := other.Delete(t.Context(), key); return err },
		"DeletePrefix": func(key string) error { _, _, err := other.DeletePrefix(t.Context(), key); return err },
		"FLUSHALL":     func(string) error { redisDo(t, p, "FLUSHALL"); return nil },
	}
	for how, read := range reads {
		for what, change := range changes {
			for _, left := range []time.Duration{time.Hour, 400 * time.Millisecond} { // the latter ends soon by itself
				key := fmt.Sprint(how, what, left)
				redisDo(t, p, "SET", "c:"+key, "old", "PX", fmt.Sprint(left.Milliseconds()))
				var done sync.WaitGroup
				codec.armed.Store(true)
				done.Go(func() { read(key) })
				<-codec.held
				before, flushes := one.client.Health().Feed.Announced, one.client.one().Feed.Flushes.Load()
				if err := change(key); err != nil {
					t.Fatal(err)
				}
				if what == "FLUSHALL" {
					waitUntil(t, time.Second, func() bool { return one.client.one().Feed.Flushes.Load() > flushes }, func() string { return "no flush" })
				} else {
					waitAnnounced(t, one.client, before)
				}
				time.Sleep(5 * time.Millisecond) // what was announced is handled
				codec.release <- struct{}{}
				done.Wait()
				if one.covers(key, "old") {
					t.Errorf("%s: what a %s replaced is in memory, and coherent", how, what)
				}
				if v, err := one.Lookup(t.Context(), key); v.Value == "old" {
					t.Errorf("%s, then %s: the next read gives %+v, %v", how, what, v, err)
				}
			}
		}
	}
}

// TestAChangeDuringALoadIsSeenByTheNextRead lets another process change the key
// while a load is under way.
func TestAChangeDuringALoadIsSeenByTheNextRead(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Users: []redisproc.User{
		{Name: "deaf", Password: "x", Rules: []string{"~*", "&*", "+@all", "-client|tracking"}},
	}})
	deafClient := open(t, Options{Addr: p.Addr(), Username: "deaf", Password: "x"})
	connect(t, deafClient, 20*time.Second)
	policy := Policy{NegativeTTL: time.Hour}
	hearing, deaf := cacheAt(t, p.Addr(), policy), cacheOf[string](t, deafClient, "c", policy)
	other := cacheAt(t, p.Addr(), policy)
	tests := []struct {
		name   string
		c      *Cache[string]
		loaded error // of the loader
		change func(key string) error
		want   string
	}{
		{"Set", hearing, nil, func(key string) error { _, err := other.Set(t.Context(), key, "new"); return err }, "new"},
		{"Set, no feed", deaf, nil, func(key string) error { _, err := other.Set(t.Context(), key, "new"); return err }, "new"},
		{"Set, nothing found", hearing, ErrNotFound, func(key string) error { _, err := other.Set(t.Context(), key, "new"); return err }, "new"},
		{"Delete", hearing, nil, func(key string) error { _, err := other.Delete(t.Context(), key); return err }, ""},
		{"Delete, no feed", deaf, nil, func(key string) error { _, err := other.Delete(t.Context(), key); return err }, ""},
		{"DeletePrefix", hearing, nil, func(key string) error { _, _, err := other.DeletePrefix(t.Context(), key); return err }, ""},
		{"DeletePrefix, no feed", deaf, nil, func(key string) error { _, _, err := other.DeletePrefix(t.Context(), key); return err }, ""},
		{"FLUSHALL", hearing, nil, func(string) error { redisDo(t, p, "FLUSHALL"); return nil }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := tt.name + "."
			_, err := tt.c.Get(t.Context(), key, func(context.Context, string) (string, error) {
				time.Sleep(5 * time.Millisecond) // after the miss, by the server's clock in milliseconds
				if err := tt.change(key); err != nil {
					t.Error(err)
				}
				time.Sleep(20 * time.Millisecond) // it is announced
				return "old", tt.loaded
			})
			if tt.loaded == nil {
				wantErr(t, err, nil)
			}
			if tt.c == hearing {
				if e, _ := tt.c.Lookup(t.Context(), key); e.Value != tt.want && e.Value != "" {
					t.Errorf("the read right after the load gives %+v", e)
				}
			}
			waitUntil(t, time.Second, tt.c.noFills, func() string { return "the fill does not end" })
			e, err := tt.c.Lookup(t.Context(), key)
			if tt.want == "" {
				wantErr(t, err, ErrNotFound)
				if n := redisDo(t, p, "EXISTS", "c:"+key); n != int64(0) {
					t.Error("what was loaded before the delete is in Redis")
				}
			} else {
				wantValue(t, e.Value, err, tt.want)
			}
			if tt.c.covers(key, "old") {
				t.Error("the old value is in memory")
			}
		})
	}
}

func TestAnAbsenceIsForgottenWhenAnotherWritesTheKey(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	one, other := cacheAt(t, p.Addr(), Policy{NegativeTTL: time.Hour}), cacheAt(t, p.Addr(), Policy{})
	none := func(context.Context, string) (string, error) { return "", ErrNotFound }
	_, err := one.Get(t.Context(), "a", none)
	wantErr(t, err, ErrNotFound)
	if it := one.peek("a"); it == nil || !it.Absent {
		t.Fatal("the absence is not remembered")
	}
	_, _ = other.Set(t.Context(), "a", "v")
	waitUntil(t, time.Second, func() bool { v, _ := one.Get(t.Context(), "a", none); return v == "v" }, func() string { return "still absent" })
}

// TestOurWriteIsNotTrustedWhenAnotherCameAfterIt: the other's announcement can be
// handled before the goroutine that wrote has changed memory.
func TestOurWriteIsNotTrustedWhenAnotherCameAfterIt(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	one, other := cacheAt(t, p.Addr(), Policy{}), cacheAt(t, p.Addr(), Policy{})
	w, err := setOf(one, "a", "ours")
	wantErr(t, err, nil)
	s := one.keys.Write(patient(t, time.Second), &w.Outgoing)
	wantErr(t, s.Err, nil)
	before := one.client.Health().Feed.Announced
	_, _ = other.Set(t.Context(), "a", "theirs")
	waitAnnounced(t, one.client, before)
	if _, ok := one.landed(w, s); !ok {
		t.Fatal("not landed")
	}
	e, err := one.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "theirs")
}

func TestMemoryHoldsTheLastWriteAfterARaceOfTwoProcesses(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	one, other := cacheAt(t, p.Addr(), Policy{}), cacheAt(t, p.Addr(), Policy{})
	for i := range 100 {
		var wg sync.WaitGroup
		key := fmt.Sprint(i)
		wg.Go(func() { _, _ = one.Set(t.Context(), key, "one") })
		wg.Go(func() { _, _ = other.Set(t.Context(), key, "other") })
		wg.Go(func() { _, _ = one.Lookup(t.Context(), key) })
		wg.Wait()
	}
	time.Sleep(20 * time.Millisecond)
	for i := range 100 {
		key := fmt.Sprint(i)
		want := fmt.Sprint(redisDo(t, p, "GET", "c:"+key))
		for _, c := range []*Cache[string]{one, other} {
			e, err := c.Lookup(t.Context(), key)
			wantValue(t, e.Value, err, want)
		}
	}
}

func TestAFlushDropsEverything(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{Stale: time.Hour})
	for i := range 10 {
		_, _ = c.Set(t.Context(), fmt.Sprint(i), "v")
	}
	redisDo(t, p, "FLUSHALL")
	waitUntil(t, time.Second, func() bool { return c.l1.Len() == 0 }, func() string { return fmt.Sprintf("%d entries are left", c.l1.Len()) })
	_, err := c.Lookup(t.Context(), "1")
	wantErr(t, err, ErrNotFound)
	if h := c.client.Health().Feed; h.Flushes < 1 { // the barrier notices too
		t.Errorf("feed = %+v", h)
	}
}

func TestAClassThatIsMadeLaterIsCoveredToo(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	one, other := cacheAt(t, p.Addr(), Policy{}), cacheAt(t, p.Addr(), Policy{})
	late, theirs := cacheOf[string](t, one.client, "late", Policy{}), cacheOf[string](t, other.client, "late", Policy{})
	waitCovered(t, late)
	_, _ = late.Set(t.Context(), "a", "old")
	waitCovers(t, late, "a", "old")
	_, _ = theirs.Set(t.Context(), "a", "new")
	waitUntil(t, time.Second, func() bool { e, _ := late.Lookup(t.Context(), "a"); return e.Value == "new" }, func() string { return "old" })
}

func TestAClassIsCoveredThoughTheFirstAttemptFailed(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{})
	c.client.one().Unhear(c.keys) // as when Redis does not answer in time
	waitCovered(t, c)
}
