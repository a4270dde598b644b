package remote

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

const busy = `local t = redis.call('TIME') local e = t[1]*1000000+t[2]+tonumber(ARGV[1])
repeat t = redis.call('TIME') until t[1]*1000000+t[2] > e`

// oneTurn has the server find commands together, in this order, each on its
// own connection, after it was busy. each is how long a command may take to get there.
func oneTurn(t *testing.T, p *redisproc.Process, each time.Duration, commands ...func()) {
	t.Helper()
	done := make(chan struct{}, len(commands)+1)
	start := func(f func()) {
		go func() { f(); done <- struct{}{} }()
		time.Sleep(each) // they are not answered: there is nothing to wait for
	}
	start(func() {
		ask(t, p, "EVAL", busy, "0", fmt.Sprint((each + 2*each*time.Duration(len(commands))).Microseconds()))
	})
	for _, f := range commands {
		start(f)
	}
	for range len(commands) + 1 {
		<-done
	}
}

func link(t *testing.T, p *redisproc.Process) *Link {
	t.Helper()
	l, err := DialLink(t.Context(), config(p.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// What happens in one turn of the server is announced at its end, by who was
// last to write a key. So a write of ours hides what it replaces, which is
// well, and one that leaves the value as it is hides a foreign value, which is
// not. What a script does is nobody's own and hides nothing.
func TestTheLastToWriteAKeyInATurnCountsAsItsWriter(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p, "p:")
	l := link(t, p)
	foreign := func() { _, _ = l.Ask(t.Context(), long, []string{"SET", "p:k", "theirs", "PX", "100000"}) }
	own := func(words ...string) func() {
		return func() { n.cmd.Do(t.Context(), n.b().Arbitrary(words...).Build()) }
	}
	set, touch := own("SET", "p:k", "ours", "PX", "100000"), own("PEXPIRE", "p:k", "200000")
	scripted := own("EVAL", "redis.call('PEXPIRE', KEYS[1], 200000)", "1", "p:k")
	for _, tt := range []struct {
		name      string
		commands  []func()
		announced bool
	}{
		{"a foreign write after ours", []func(){set, foreign}, true},
		{"a foreign write before ours", []func(){foreign, set}, false},
		{"a foreign write before our read", []func(){foreign, own("GET", "p:k")}, true},
		{"a foreign write before one of ours that is not carried out", []func(){foreign, own("SET", "p:k", "ours", "NX")}, true},
		{"a foreign write before our touch", []func(){foreign, touch}, false},
		{"a foreign write before our script", []func(){foreign, scripted}, true},
		{"a foreign write after our script", []func(){scripted, foreign}, true},
		{"a script before our write", []func(){scripted, set}, false},
	} {
		for each := 30 * time.Millisecond; ; each *= 2 {
			set()
			catchUp(t, n)
			h.take()
			oneTurn(t, p, each, tt.commands...)
			if tt.announced {
				wantHeard(t, n, h, tt.name, "p:k")
				break
			}
			catchUp(t, n)
			keys, all := h.take()
			if len(keys)+all == 0 {
				break
			}
			if each > time.Second { // on a busy machine a command may come a turn later
				t.Errorf("%s: announced %q and %d times all, want nothing", tt.name, keys, all)
				break
			}
		}
	}
}

// A foreign write that was answered before we ask is announced before we are
// answered.
func TestAnAnswerComesBehindWhatWasAnsweredToOthersBefore(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p, "p:")
	l := link(t, p)
	for i := range 500 {
		if _, err := l.Ask(t.Context(), long, []string{"SET", "p:k", fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Set(t.Context(), Pair{Key: "p:other", TTL: time.Hour}, long); err != nil {
			t.Fatal(err)
		}
		if keys, _ := h.take(); len(keys) != 1 {
			t.Fatalf("round %d: announced %q", i, keys)
		}
	}
}

// burst is what a reader knows of foreign writes: which have been announced.
type burst struct {
	announced []atomic.Bool // by number
	ours      atomic.Int64  // announcements of our own keys
	odd       atomic.Int64
}

func (b *burst) invalidated(keys []string, all bool) {
	if all {
		b.odd.Add(1)
	}
	for _, key := range keys {
		switch i, err := strconv.Atoi(strings.TrimPrefix(key, "p:w")); {
		case err == nil:
			b.announced[i].Store(true)
		case strings.HasPrefix(key, "p:own"):
			b.ours.Add(1)
		case !strings.HasPrefix(key, "p:last"):
			b.odd.Add(1)
		}
	}
}

// Others write 100 000 keys in pipelines while we read and write. What a read
// of ours has seen the effect of is announced at the latest when a command is
// answered that was begun after that read was; not one is lost, no answer goes
// to the wrong caller.
func TestABurstOfForeignWritesIsAnnouncedWhole(t *testing.T) {
	const writers, readers, each, batch = 2, 4, 50_000, 200
	p := startRedis(t, redisproc.Options{})
	b := &burst{announced: make([]atomic.Bool, writers*each)}
	c := config(p.Addr())
	c.Track = &Tracking{Prefixes: []string{"p:"}, Invalidated: b.invalidated}
	n := dialWith(t, c, nil)
	var writing, reading sync.WaitGroup
	for w := range writers {
		s := dialStranger(t, p.Addr())
		writing.Go(func() { s.writeAll(t, w, w*each, each, batch) })
	}
	var over atomic.Bool
	var reads, overtaken atomic.Int64
	for r := range readers {
		reading.Go(func() {
			last, own := fmt.Sprint("p:last", r%writers), fmt.Sprint("p:own", r)
			for i := 0; !over.Load() && !t.Failed(); i++ {
				v, err := n.Get(t.Context(), last, long)
				if err != nil {
					continue // not yet
				}
				seen, _ := strconv.Atoi(string(v.Data))
				reads.Add(1)
				if !b.announced[seen].Load() {
					overtaken.Add(1)
				}
				mine := fmt.Sprint(i)
				if _, err := n.Set(t.Context(), Pair{Key: own, Data: []byte(mine), TTL: time.Hour}, long); err != nil {
					t.Error(err)
				}
				if !b.announced[seen].Load() {
					t.Errorf("a read has seen write %d, and the next answer came before its announcement", seen)
				}
				if v, err := n.Get(t.Context(), own, long); err != nil || string(v.Data) != mine {
					t.Errorf("read %q, %v, wrote %q", v.Data, err, mine)
				}
			}
		})
	}
	writing.Wait()
	over.Store(true)
	reading.Wait()
	catchUp(t, n)
	lost := 0
	for i := range b.announced {
		if !b.announced[i].Load() {
			lost++
		}
	}
	if lost != 0 || b.ours.Load() != 0 || b.odd.Load() != 0 {
		t.Errorf("%d not announced, %d announcements of our own, %d odd", lost, b.ours.Load(), b.odd.Load())
	}
	t.Logf("of %d reads %d overtook the announcement of what they saw", reads.Load(), overtaken.Load())
}

// strangerConn is a plain connection that writes as fast as the server takes it.
type strangerConn struct {
	net.Conn
	replies *bufio.Reader
}

func dialStranger(t testing.TB, addr string) *strangerConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &strangerConn{Conn: c, replies: bufio.NewReaderSize(c, 64<<10)}
}

// write sends n SETs of b in one pipeline and waits for what is answered.
func (c *strangerConn) write(b []byte, n int) error {
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err := c.replies.Discard(n * len("+OK\r\n"))
	return err
}

func appendSet(b []byte, key, value string) []byte {
	return fmt.Appendf(b, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(key), key, len(value), value)
}

// writeAll writes keys by number, and after each which was the last.
func (c *strangerConn) writeAll(t *testing.T, w, from, n, batch int) {
	for i := from; i < from+n && !t.Failed(); i += batch {
		var b []byte
		for k := i; k < i+batch; k++ {
			b = appendSet(b, fmt.Sprint("p:w", k), "v")
			b = appendSet(b, fmt.Sprint("p:last", w), fmt.Sprint(k))
		}
		if err := c.write(b, 2*batch); err != nil {
			t.Error(err)
		}
	}
}

// What the announcements of a burst cost our own writes: go test -run '^$'
// -bench OwnWritesBesideForeignOnes -benchtime 3s ./internal/remote
func BenchmarkOwnWritesBesideForeignOnes(b *testing.B) {
	for _, foreign := range []bool{false, true} {
		for _, feed := range []bool{false, true} {
			b.Run(fmt.Sprintf("foreign=%v/feed=%v", foreign, feed), func(b *testing.B) { ownWrites(b, foreign, feed) })
		}
	}
}

func ownWrites(b *testing.B, foreign, feed bool) {
	p, err := redisproc.Start(b.Context(), redisproc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	c := config(p.Addr())
	var announced, written atomic.Int64
	if feed {
		c.Track = &Tracking{Prefixes: []string{"p:"}, Invalidated: func(keys []string, _ bool) { announced.Add(int64(len(keys))) }}
	}
	n, err := Dial(b.Context(), c, heartbeat, observer(func(string, time.Duration, Kind) {}))
	if err != nil {
		b.Fatal(err)
	}
	defer n.Abandon()
	var over atomic.Bool
	var wg sync.WaitGroup
	if foreign {
		s := dialStranger(b, p.Addr())
		wg.Go(func() { s.flood(&over, &written) })
	}
	var took []time.Duration
	cpu, start := cpuTime(), time.Now()
	for b.Loop() {
		began := time.Now()
		if _, err := n.Set(b.Context(), Pair{Key: "p:own", Data: []byte("v"), TTL: time.Hour}, long); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	spent, wall := cpuTime()-cpu, time.Since(start)
	over.Store(true)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(100*spent.Seconds()/wall.Seconds(), "cpu-%")
	b.ReportMetric(float64(written.Load())/wall.Seconds()/1000, "foreign-k/s")
	b.ReportMetric(float64(announced.Load())/wall.Seconds()/1000, "announced-k/s")
}

// flood writes 100 000 keys over and over.
func (c *strangerConn) flood(over *atomic.Bool, written *atomic.Int64) {
	const batches, batch = 500, 200
	pipelines := make([][]byte, batches)
	for i := range pipelines {
		for k := range batch {
			pipelines[i] = appendSet(pipelines[i], fmt.Sprint("p:w", i*batch+k), "v")
		}
	}
	for i := 0; !over.Load(); i++ {
		if c.write(pipelines[i%batches], batch) != nil {
			return
		}
		written.Add(batch)
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	m := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}}
	runtime.GC() // the metric is of the last one
	metrics.Read(m)
	return time.Duration(m[0].Value.Float64() * float64(time.Second))
}
