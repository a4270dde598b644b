package evercache

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

func TestTheRoomOfTheLinesIsBounded(t *testing.T) {
	var r fillRoom
	for range mostQueued {
		if !r.enter(1) {
			t.Fatal("there is no room for as many as there may be")
		}
	}
	if r.enter(1) {
		t.Error("one too many has room")
	}
	r.leave(1)
	if !r.enter(1) {
		t.Error("the room of one that has left is not given again")
	}
	for range mostQueued {
		r.leave(1)
	}
	if !r.enter(mostQueuedBytes) || r.enter(1) {
		t.Error("the bytes are not bounded")
	}
	r.leave(mostQueuedBytes)
	if r.n.Load() != 0 || r.bytes.Load() != 0 {
		t.Errorf("%d, %d bytes are left", r.n.Load(), r.bytes.Load())
	}
}

// burstCache is a cache of a client that a busy machine does not part from its master.
func burstCache(t *testing.T, addr string) *Cache[string] {
	t.Helper()
	client := open(t, Options{Addr: addr, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second})
	c := cacheOf[string](t, client, "c", Policy{LoadTimeout: 30 * time.Second})
	connect(t, client, 20*time.Second)
	_, _ = c.Set(t.Context(), "first", "v")
	waitCovered(t, c)
	return c
}

// burst is loads of so many keys at once. Their loaders wait for each other, so that all
// is to be stored at the same time.
type burst struct {
	ready   chan struct{} // closed when all loaders run
	release chan struct{}
	loaded  []atomic.Int64
	done    sync.WaitGroup
}

func startBurst(t *testing.T, c *Cache[string], n int) *burst {
	t.Helper()
	b := &burst{ready: make(chan struct{}), release: make(chan struct{}), loaded: make([]atomic.Int64, n)}
	var run atomic.Int64
	for i := range n {
		if i%32 == 0 { // what is to come at once is what they store, not what they ask
			waitUntil(t, 20*time.Second, func() bool { return run.Load() == int64(i) }, func() string { return "the loaders do not run" })
		}
		b.done.Go(func() {
			v, err := c.Get(t.Context(), keyName(i), func(_ context.Context, key string) (string, error) {
				b.loaded[i].Add(1)
				if run.Add(1) == int64(n) {
					close(b.ready)
				}
				<-b.release
				return "loaded " + key, nil
			})
			if err != nil || v != "loaded "+keyName(i) {
				t.Errorf("%d: %q, %v", i, v, err)
			}
		})
	}
	select {
	case <-b.ready:
	case <-time.After(20 * time.Second):
		t.Fatal("the loaders do not run")
	}
	return b
}

func (b *burst) end() {
	close(b.release)
	b.done.Wait()
}

func keyName(i int) string { return fmt.Sprintf("%04d", i) }

// watchConnected tells, when it is called, whether a client was without its master meanwhile.
func watchConnected(c *Client) (lost func() bool) {
	var away atomic.Bool
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			s, changed := c.store.WatchState()
			if s != health.Connected {
				away.Store(true)
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	})
	return func() bool { cancel(); done.Wait(); return away.Load() }
}

func TestABurstOfLoadsIsStoredTogetherAndIsNoSlowRedis(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	c := burstCache(t, p.Addr())
	const n = 2000
	b := startBurst(t, c, n)
	lost, epoch := watchConnected(c.client), c.client.one().Feed.Cover()
	before := c.client.Stats().RedisRequests["fill"]["ok"]
	b.end()
	waitUntil(t, 20*time.Second, func() bool { _, fills := c.flights.Len(); return fills == 0 }, func() string { return "fills are left" })
	calls := c.client.Stats().RedisRequests["fill"]["ok"] - before
	covered := 0
	for i := range n {
		if got := redisDo(t, p, "GET", "c:"+keyName(i)); got != "loaded "+keyName(i) {
			t.Fatalf("%d is %v in Redis", i, got)
		}
		if b.loaded[i].Load() != 1 {
			t.Errorf("%d was loaded %d times", i, b.loaded[i].Load())
		}
		if it := c.peek(keyName(i)); it != nil && it.Cover != nil && valueOf[string](it) == "loaded "+keyName(i) {
			covered++
		}
	}
	t.Logf("%d calls, %d of %d are covered", calls, covered, n)
	if calls == 0 || calls > n/4 {
		t.Errorf("%d calls for %d keys", calls, n)
	}
	if c.client.one().Feed.Cover() != epoch {
		t.Log("the feed was not heard for a while")
	} else if covered < n*9/10 { // keys that share a place with others are asked for again a few times only
		t.Errorf("%d of %d are covered", covered, n)
	}
	if lost() {
		t.Error("the client was without its master")
	}
}

// What others delete while it is loaded is stored by nobody, however many are stored together.
func TestWhatIsDeletedDuringABurstIsNotStored(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c, other := burstCache(t, p.Addr()), cacheAt(t, p.Addr(), Policy{})
	const n = 300
	b := startBurst(t, c, n)
	time.Sleep(5 * time.Millisecond) // after the misses, by the server's clock in milliseconds
	gone := func(i int) bool { return i%3 == 0 || i/10 == 7 || i%7 == 1 }
	for i := range n {
		switch {
		case i%3 == 0:
			_, err := other.Delete(t.Context(), keyName(i))
			wantErr(t, err, nil)
		case i%7 == 1:
			_, err := c.Delete(t.Context(), keyName(i))
			wantErr(t, err, nil)
		}
	}
	_, _, err := other.DeletePrefix(t.Context(), "007")
	wantErr(t, err, nil)
	b.end()
	waitUntil(t, 20*time.Second, func() bool { _, fills := c.flights.Len(); return fills == 0 }, func() string { return "fills are left" })
	for i := range n {
		got, want := redisDo(t, p, "GET", "c:"+keyName(i)), any("loaded "+keyName(i))
		if gone(i) {
			want = nil
		}
		if got != want {
			t.Errorf("%d is %v in Redis, want %v", i, got, want)
		}
		if gone(i) && c.covers(keyName(i), "loaded "+keyName(i)) {
			t.Errorf("%d is coherent in memory, though it was deleted", i)
		}
		if _, err := c.Lookup(t.Context(), keyName(i)); gone(i) && err != ErrNotFound {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// Writes of this process and of others that come while a burst is on its way stay, and memory
// agrees with Redis.
func TestWritesBesideABurstStay(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c, other := burstCache(t, p.Addr()), cacheAt(t, p.Addr(), Policy{})
	const n = 400
	b := startBurst(t, c, n)
	close(b.release) // and at the same time
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := w; i < n; i += 8 {
				to, v := c, "own"
				if i%2 == 0 {
					to, v = other, "theirs"
				}
				switch i % 5 {
				case 0, 1:
					_, err := to.Set(t.Context(), keyName(i), v)
					wantErr(t, err, nil)
				case 2:
					_, err := to.Delete(t.Context(), keyName(i))
					wantErr(t, err, nil)
				}
			}
		})
	}
	writers.Wait()
	b.done.Wait()
	waitUntil(t, 20*time.Second, func() bool { _, fills := c.flights.Len(); return fills == 0 }, func() string { return "fills are left" })
	for i := range n {
		want := "loaded " + keyName(i)
		switch {
		case i%5 < 2 && i%2 == 0:
			want = "theirs"
		case i%5 < 2:
			want = "own"
		case i%5 == 2:
			want = "<nil>"
		}
		key := keyName(i)
		got := fmt.Sprint(redisDo(t, p, "GET", "c:"+key))
		if got != want {
			t.Errorf("%d is %q in Redis, want %q", i, got, want)
		}
		waitUntil(t, 5*time.Second, func() bool { e, _ := c.Lookup(t.Context(), key); return e.Value == strings.TrimPrefix(got, "<nil>") },
			func() string {
				e, err := c.Lookup(t.Context(), key)
				return fmt.Sprintf("%s is %+v, %v, in Redis %q", key, e, err, got)
			})
	}
}

// A Redis that hangs while a burst is stored holds up no caller, and nothing is left afterwards.
func TestABurstThatRedisDoesNotTakeEnds(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{LoadTimeout: 30 * time.Second})
	b := startBurst(t, c, 500)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b.end()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("callers waited %v", took)
	}
	waitUntil(t, 20*time.Second, func() bool { _, fills := c.flights.Len(); return fills == 0 }, func() string { return "fills are left" })
	if n := c.client.queued.n.Load(); n != 0 {
		t.Errorf("%d are still counted", n)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	connect(t, c.client, 20*time.Second)
	for i := range 500 {
		e, err := c.Lookup(t.Context(), keyName(i))
		if err == nil && e.Value != "loaded "+keyName(i) || err != nil && err != ErrNotFound {
			t.Fatalf("%s: %+v, %v", strconv.Itoa(i), e, err)
		}
	}
}

// What another process writes in the turn of the server's loop in which a value is stored is
// announced together with that. So memory must not vouch for the value unasked.
func TestWhatIsWrittenJustAfterAFillIsNotHiddenByIt(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := burstCache(t, p.Addr())
	other, err := net.Dial("tcp", p.Addr())
	wantErr(t, err, nil)
	defer other.Close()
	for round := range 20 {
		const n = 8
		name := func(i int) string { return fmt.Sprintf("%d-%d", round, i) }
		release, done := make(chan struct{}), sync.WaitGroup{}
		var run atomic.Int64
		for i := range n {
			done.Go(func() {
				_, err := c.Get(t.Context(), name(i), func(context.Context, string) (string, error) {
					run.Add(1)
					<-release
					return "loaded", nil
				})
				wantErr(t, err, nil)
			})
		}
		waitUntil(t, 20*time.Second, func() bool { return run.Load() == n }, func() string { return "the loaders do not run" })
		wantErr(t, p.Pause(), nil)
		close(release)
		done.Wait()
		time.Sleep(5 * time.Millisecond) // the first of them are in the server's socket
		for i := range n {
			_, err := fmt.Fprintf(other, "SET c:%s theirs\r\n", name(i))
			wantErr(t, err, nil)
		}
		wantErr(t, p.Resume(), nil)
		waitUntil(t, 20*time.Second, func() bool { _, fills := c.flights.Len(); return fills == 0 }, func() string { return "fills are left" })
		for i := range n {
			key := name(i)
			waitUntil(t, 20*time.Second, func() bool { return redisDo(t, p, "GET", "c:"+key) == "theirs" }, func() string { return "theirs is not there" })
			waitUntil(t, 5*time.Second, func() bool { e, _ := c.Lookup(t.Context(), key); return e.Value == "theirs" },
				func() string { e, err := c.Lookup(t.Context(), key); return fmt.Sprintf("%s is %+v, %v", key, e, err) })
		}
	}
}
