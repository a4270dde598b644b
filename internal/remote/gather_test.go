package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/testbed"
)

func TestManyCallersEachHaveTheirOwnAnswer(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	const callers, calls = 100, 100
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for k := range calls {
				key, want := fmt.Sprint("k", i), fmt.Sprint(i, "-", k)
				if _, err := n.Set(t.Context(), Pair{Key: key, Data: []byte(want), TTL: time.Hour}, long); err != nil {
					t.Error(err)
					return
				}
				v, err := n.Get(t.Context(), key, long)
				if err != nil || string(v.Data) != want || v.TTL <= 0 {
					t.Errorf("%s = %q for %v, %v, want %q", key, v.Data, v.TTL, err, want)
					return
				}
				if k%10 != 0 {
					continue
				}
				d := Del{Key: key, Tomb: "~d:" + key, Process: "p"}
				if removed, at, err := n.Delete(t.Context(), d, long); err != nil || !removed || at == 0 {
					t.Errorf("Delete of %s: %v, %d, %v", key, removed, at, err)
				}
				if _, err := n.Get(t.Context(), key, long); !IsNil(err) {
					t.Errorf("%s after its delete: %v", key, err)
				}
			}
		})
	}
	wg.Wait()
	wantNobodyWaits(t, n.cmd)
	if g := &n.cmd.gathering; g.most == 0 {
		t.Error("no two callers ever went together")
	}
	wantClosed(t, n)
}

// wantNobodyWaits: all have their answers or have left, and every place is free again.
func wantNobodyWaits(t *testing.T, w *wire) {
	t.Helper()
	g := &w.gathering
	eventually(t, patience, "all places are free", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.underWay == 0 && g.first == nil && g.last == nil
	})
}

// What one command is answered with is no matter of those that go with it.
func TestAnErrorReplyIsThatOfItsCallerOnly(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "RPUSH", "list", "x")
	ask(t, p, "SET", "k", "v")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 50 {
				var err error
				want := OK
				switch i % 3 {
				case 0:
					_, err = n.Get(t.Context(), "k", long)
				case 1:
					_, err = n.Get(t.Context(), "list", long)
					want = Logical
				default:
					_, err = n.Get(t.Context(), "none", long)
					want = Nil
				}
				if KindOf(err) != want {
					t.Errorf("caller %d: %v, want %q", i, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
	wantClosed(t, n)
}

// occupied is a node whose server hangs, and all places are taken, however long that lasts.
func occupied(t *testing.T) (*redisproc.Process, *Node) {
	t.Helper()
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Resume() })
	for i := 0; ; i++ {
		go func() { _, _ = n.Get(context.Background(), fmt.Sprint("first", i), patience) }() // ends with the node
		eventually(t, patience, "it is sent", func() bool { return n.cmd.gathering.waiters() == 0 && n.cmd.gathering.places() >= min(i+1, mostAtOnce) })
		if i == mostAtOnce-1 {
			return p, n
		}
	}
}

func (g *gathering) places() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.underWay
}

func (g *gathering) waiters() (k int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for one := g.first; one != nil; one = one.next {
		k++
	}
	return k
}

func TestWhoLeavesBeforeHeIsSentTakesHisWriteWithHim(t *testing.T) {
	p, n := occupied(t)
	patient := make(chan error, 1)
	go func() {
		_, err := n.Set(context.Background(), Pair{Key: "patient", Data: []byte("v"), TTL: time.Hour}, patience)
		patient <- err
	}()
	eventually(t, patience, "somebody waits", func() bool { return n.cmd.gathering.waiters() == 1 })
	_, err := n.Set(t.Context(), Pair{Key: "hasty", Data: []byte("v"), TTL: time.Hour}, 20*time.Millisecond)
	wantKind(t, err, Timeout)
	canceled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = n.Set(canceled, Pair{Key: "canceled", Data: []byte("v"), TTL: time.Hour}, patience)
	wantKind(t, err, Canceled)
	if k := n.cmd.gathering.waiters(); k != 1 {
		t.Errorf("%d wait, want the patient one", k)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-patient; err != nil {
		t.Errorf("who was patient: %v", err)
	}
	wantValue(t, n, "patient", "v", time.Hour)
	for _, key := range []string{"hasty", "canceled"} {
		if _, err := n.Get(t.Context(), key, long); !IsNil(err) {
			t.Errorf("%s was written after its caller had left: %v", key, err)
		}
	}
	wantNobodyWaits(t, n.cmd)
}

// Callers come and go while the server hangs: nothing is left of them.
func TestWhileTheServerHangsNothingPilesUp(t *testing.T) {
	p, n := occupied(t)
	before := runtime.NumGoroutine()
	eventually(t, patience, "what has a place is sent", func() bool { return n.cmd.conn.asked.Load()-n.cmd.conn.answered.Load() >= 2*mostAtOnce })
	sent := n.cmd.conn.asked.Load()
	const callers = 500
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for k := range 4 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i+k)%20)*time.Millisecond)
				_, err := n.Get(ctx, fmt.Sprint("k", i), long)
				if kind := KindOf(err); kind != Timeout && kind != Canceled {
					t.Errorf("a hung server: %v", err)
				}
				cancel()
			}
		})
	}
	within(t, patience, "all callers leave", wg.Wait)
	if k := n.cmd.gathering.waiters(); k != 0 {
		t.Errorf("%d still wait", k)
	}
	if now := n.cmd.conn.asked.Load(); now > sent {
		t.Errorf("%d commands were sent beyond the %d that had places", now-sent, sent)
	}
	eventually(t, patience, "their goroutines end", func() bool { return runtime.NumGoroutine() <= before+10 })
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	wantNobodyWaits(t, n.cmd)
	_, err := n.Get(t.Context(), "k", long)
	wantKind(t, err, Nil)
}

// A line that has become long all at once, for all who call at that moment.
func TestOnALineThatBecomesLongNobodyWaitsTwice(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	n := dial(t, proxy.Addr(), nil)
	const latency, callers = 400 * time.Millisecond, 40
	proxy.SetLatency(faultnet.ToClient, latency)
	late := testbed.Lateness(t)
	var wg sync.WaitGroup
	var most atomic.Int64
	for i := range callers {
		wg.Go(func() {
			began := time.Now()
			if _, err := n.Get(t.Context(), fmt.Sprint("k", i), long); !IsNil(err) {
				t.Error(err)
			}
			for took := int64(time.Since(began)); ; {
				if old := most.Load(); took <= old || most.CompareAndSwap(old, took) {
					return
				}
			}
		})
	}
	wg.Wait()
	if took := time.Duration(most.Load()); took > latency+latency/2+4*late() {
		t.Errorf("the longest call took %v, and one answer %v", took, latency)
	}
}

func TestTenThousandCallersAtOnceAreAllAnswered(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "SET", "k", "v")
	var failed atomic.Int64
	var wg sync.WaitGroup
	for range 10_000 {
		wg.Go(func() {
			if v, err := n.Get(t.Context(), "k", patience); err != nil || string(v.Data) != "v" {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if k := failed.Load(); k != 0 {
		t.Errorf("%d failed", k)
	}
	wantNobodyWaits(t, n.cmd)
	wantClosed(t, n)
}

// The connection ends under all who wait, sent or not.
func TestWhenTheConnectionEndsAllWhoWaitAreTold(t *testing.T) {
	_, n := occupied(t)
	const callers = 200
	errs := make(chan error, callers)
	for i := range callers {
		go func() {
			_, err := n.Get(context.Background(), fmt.Sprint("k", i), patience)
			errs <- err
		}()
	}
	eventually(t, patience, "they wait", func() bool { return n.cmd.gathering.waiters() == callers })
	n.Abandon()
	within(t, patience, "all are told", func() {
		for range callers {
			wantKind(t, <-errs, Conn)
		}
	})
	wantNobodyWaits(t, n.cmd)
}

// Two writes of one key: the caller of the first has left while it is being sent. He may
// not be back before it is in the ring, for the second would overtake it.
func TestNobodyLeavesWhileHisWriteIsAboutToBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		g := &w.gathering
		g.underWay = leastAtOnce
		ctx, cancel := context.WithCancel(t.Context())
		one := waitings.New().(*waiting) // made in this bubble
		left := make(chan error, 1)
		go func() { left <- w.wait(ctx, one) }()
		synctest.Wait()
		pipeline := g.take(time.Now())
		if len(pipeline.callers) != 1 {
			t.Fatalf("%d go", len(pipeline.callers))
		}
		cancel()
		synctest.Wait()
		if len(left) != 0 {
			t.Fatal("he has left before his write was in the ring")
		}
		_ = pipeline.Done() // as rueidis asks once it is
		synctest.Wait()
		if len(left) != 1 || !errors.Is(<-left, context.Canceled) {
			t.Error("he has not left")
		}
	})
}

// This is what joint.Done relies on: when rueidis asks the context of a pipeline for its
// end, the pipeline has its place in the ring, and nothing is sent before it any more.
func TestThePipelineIsInTheRingWhenItsEndIsAskedFor(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	raw, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := config(p.Addr())
	c.shape = shape{ring: 1, read: 4 << 10, write: 4 << 10} // room for two
	client, err := rueidis.NewClient(options(c, &greeting{Conn: raw, bounds: c.bounds(), asking: guard{ours: true}}, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Resume() })
	send := func() (*joint, chan struct{}) {
		j, answered := &joint{Context: context.Background(), inRing: make(chan struct{})}, make(chan struct{})
		go func() {
			client.DoMulti(j, client.B().Ping().Build(), client.B().Ping().Build())
			close(answered)
		}()
		return j, answered
	}
	var all []*joint
	for range 4 {
		j, _ := send()
		all = append(all, j)
	}
	inRing := func() (k int) {
		for _, j := range all {
			select {
			case <-j.inRing:
				k++
			default:
			}
		}
		return k
	}
	eventually(t, patience, "the ring is full", func() bool { return inRing() == 2 })
	for range 20 { // the others have had their turn many times
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	if k := inRing(); k != 2 {
		t.Errorf("%d are said to be in a ring that has room for 2", k)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "all are in the ring", func() bool { return inRing() == 4 })
}

// Four callers at once gain nothing from each other. Once there are more, and some go
// together, the fewer pipelines are under way the more callers share one.
func TestFewGoAloneAndManyGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		g := &w.gathering
		for range leastAlone {
			if !g.alone() {
				t.Fatalf("with %d under way the next one waits", g.underWay)
			}
		}
		if g.alone() || !g.crowded() {
			t.Errorf("with %d under way another one goes alone", g.underWay)
		}
		g.pipelines = leastAtOnce // and two calls
		g.first = &waiting{}
		w.answered()
		if g.pipelines != leastAtOnce || g.underWay != leastAlone-1 {
			t.Errorf("%d pipelines of %d: another one began", g.pipelines, g.underWay)
		}
	})
}

func TestOnALongLineMoreAreUnderWay(t *testing.T) {
	for quickest, want := range map[time.Duration]int{
		0:                      leastAtOnce,
		60 * time.Microsecond:  leastAtOnce,
		600 * time.Microsecond: 4,
		3 * time.Millisecond:   20,
		time.Second:            mostAtOnce,
	} {
		if got := atOnceOf(quickest); got != want {
			t.Errorf("%v: %d, want %d", quickest, got, want)
		}
	}
}

// A process that was stopped finds those whose time was over meanwhile: nothing of theirs is
// sent, however late their timers are.
func TestWhoseTimeIsOverDoesNotGo(t *testing.T) {
	g := &gathering{underWay: 2}
	late, soon, never := &waiting{n: 1, until: time.Now().Add(-time.Millisecond)}, &waiting{n: 1, until: time.Now().Add(time.Hour)}, &waiting{n: 1}
	for _, one := range []*waiting{late, soon, never} {
		g.append(one)
	}
	if pipeline := g.take(time.Now()); len(pipeline.callers) != 2 || late.goes != nil || soon.goes != pipeline || never.goes != pipeline {
		t.Errorf("%d go", len(pipeline.callers))
	}
	if pipeline := g.take(time.Now()); pipeline != nil || g.underWay != 1 {
		t.Errorf("%d go, and %d places are taken", len(pipeline.callers), g.underWay)
	}
	if err := g.leave(t.Context(), late); err != nil || g.waiters() != 0 { // his context has no end in this test
		t.Errorf("%v, and %d wait", err, g.waiters())
	}
}

func TestHowManyGoTogether(t *testing.T) {
	gather := func(n, bytes int) *gathering {
		g := new(gathering)
		for range n {
			g.append(&waiting{n: 1, bytes: bytes})
		}
		return g
	}
	for _, tt := range []struct {
		name     string
		n, bytes int
		back     int // bytes that came back for each
		want     int
	}{
		{"few", 3, 10, 0, 3},
		{"many", 1000, 10, 0, mostGathered},
		{"long ones", 100, 10 << 10, 0, 6},
		{"one that is as long as it may be", 3, large - 1, 0, 1},
		{"long answers", 100, 10, 60 << 10, leastGathered},
		{"answers of 8 KiB", 100, 10, 8 << 10, 32},
	} {
		g := gather(tt.n, tt.bytes)
		if tt.back > 0 {
			g.learn(time.Millisecond, int64(10*tt.back), 10)
		}
		if got := len(g.take(time.Now()).callers); got != tt.want {
			t.Errorf("%s: %d go together, want %d", tt.name, got, tt.want)
		}
		if left := g.waiters(); left != tt.n-tt.want {
			t.Errorf("%s: %d wait, want %d", tt.name, left, tt.n-tt.want)
		}
	}
}
