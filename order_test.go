package evercache

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
)

// slowCodec encodes the values that begin with "slow" only when it is let go on.
type slowCodec struct{ begun, goOn chan struct{} }

func (s slowCodec) Encode(v string) ([]byte, error) {
	if strings.HasPrefix(v, "slow") {
		close(s.begun)
		<-s.goOn
	}
	return json.Marshal(v)
}

func (s slowCodec) Decode(b []byte) (v string, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}

func emptied(t *testing.T, p *redisproc.Process, client *Client) {
	t.Helper()
	n := times(client)
	kill(t, p)
	restart(t, p, redisproc.Empty)
	returned(t, client, n)
}

// Of two writes of a key that overlap the one that was carried out last counts,
// whichever was begun first.
func TestTheWriteThatWasCarriedOutLastIsPutBack(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	codec := slowCodec{make(chan struct{}), make(chan struct{})}
	c := cacheOf(t, client, "c", Policy{}, WithCodec[string](codec))
	var first sync.WaitGroup
	first.Go(func() {
		_, err := c.Set(t.Context(), "a", "slow, and begun first")
		wantErr(t, err, nil)
	})
	<-codec.begun
	_, err := c.Set(t.Context(), "a", "begun last")
	wantErr(t, err, nil)
	close(codec.goOn)
	first.Wait()
	wantStored(t, p, "c:a", `"slow, and begun first"`)
	emptied(t, p, client)
	wantStored(t, p, "c:a", `"slow, and begun first"`)
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "slow, and begun first")
}

func TestOfManyOverlappingWritesTheLastIsPutBack(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	const keys = 300
	var writers sync.WaitGroup
	for i := range keys {
		for w := range 4 {
			writers.Go(func() {
				key := fmt.Sprint(i)
				switch {
				case w == 3 && i%2 == 0:
					_, _ = c.Delete(t.Context(), key)
				case w == 2 && i%3 == 0:
					_, _ = c.SetMany(t.Context(), map[string]string{key: fmt.Sprint("many", i)})
				default:
					_, _ = c.Set(t.Context(), key, fmt.Sprint(w))
				}
			})
		}
	}
	writers.Wait()
	waitUntil(t, 30*time.Second, nothingWaits(client), func() string { return "not sent" })
	before := map[string]any{}
	for i := range keys {
		key := fmt.Sprint("c:", i)
		before[key] = redisDo(t, p, "GET", key)
	}
	emptied(t, p, client)
	for key, want := range before {
		if got := redisDo(t, p, "GET", key); got != want {
			t.Errorf("%s was %v, and %v is put back", key, want, got)
		}
	}
}

// pair is two processes on one server, of which the first can be cut off.
type pair struct {
	server *redisproc.Process
	link   *faultnet.Proxy
	a, b   *Cache[string] // a is behind the link
}

func startPair(t *testing.T, pa, pb Policy) pair {
	t.Helper()
	p := startRedis(t, redisproc.Options{})
	link := startProxy(t, p.Addr())
	a, b := openAt(t, link.Addr()), openAt(t, p.Addr())
	connect(t, a, 20*time.Second)
	connect(t, b, 20*time.Second)
	return pair{p, link, cacheOf[string](t, a, "c", pa), cacheOf[string](t, b, "c", pb)}
}

func (p pair) cut(t *testing.T) {
	t.Helper()
	wantErr(t, p.link.Refuse(true), nil)
	p.link.ResetAll()
	waitUntil(t, 30*time.Second, func() bool { return p.a.client.State() == health.Degraded }, func() string { return "not cut off" })
}

func (p pair) heal(t *testing.T) {
	t.Helper()
	n := times(p.a.client)
	wantErr(t, p.link.Refuse(false), nil)
	returned(t, p.a.client, n)
}

// What a process that was cut off has kept does not take the place of what another
// wrote later, whatever times to live both gave, and whether or not the later value
// is one that the key had before.
func TestAValueThatWasWrittenLaterStaysWhateverItsLife(t *testing.T) {
	t.Parallel()
	long := Policy{TTL: time.Hour}
	for _, tt := range []struct {
		name         string
		pa, pb       Policy
		ta, tb       time.Duration // of the writes; 0: the class's
		nothing      bool          // the order need not be told
		earlierToo   bool          // a has written the later value before
		touchedLater time.Duration // b touches what it wrote, to live so long; 0: it does not
	}{
		{name: "the class's life", pa: long, pb: long},
		{name: "one that is not the class's", pa: long, pb: long, ta: 10 * time.Minute, tb: 10 * time.Minute, earlierToo: true},
		{name: "the later one is shorter", pa: long, pb: long, tb: time.Minute, earlierToo: true, nothing: true},
		{name: "the later one is longer", pa: long, pb: long, ta: time.Minute, earlierToo: true, nothing: true},
		{name: "processes differ on the class's", pa: long, pb: Policy{TTL: time.Minute}, earlierToo: true, nothing: true},
		{name: "equal bytes", pa: long, pb: long, earlierToo: true},
		{name: "prolonged", pa: long, pb: long, touchedLater: 2 * time.Hour, earlierToo: true, nothing: true},
		{name: "shortened", pa: long, pb: long, touchedLater: 20 * time.Minute, earlierToo: true, nothing: true},
		{name: "shortened, and briefly", pa: long, pb: long, touchedLater: time.Minute, earlierToo: true, nothing: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPair(t, tt.pa, tt.pb)
			life := func(d time.Duration) []WriteOption {
				if d == 0 {
					return nil
				}
				return []WriteOption{TTL(d)}
			}
			const n = 20
			for i := range n {
				if tt.earlierToo {
					_, err := p.a.Set(t.Context(), fmt.Sprint(i), "on", life(tt.ta)...)
					wantErr(t, err, nil)
				}
			}
			p.cut(t)
			for i := range n {
				wantWritten(t, Memory)(p.a.Set(t.Context(), fmt.Sprint(i), "off", life(tt.ta)...))
			}
			time.Sleep(20 * time.Millisecond) // more than the order needs
			for i := range n {
				written := wantMaster(t, func() (Receipt, error) { return p.b.Set(t.Context(), fmt.Sprint(i), "on", life(tt.tb)...) })
				if !written {
					return
				}
				if tt.touchedLater != 0 {
					_, err := p.b.Touch(t.Context(), fmt.Sprint(i), TTL(tt.touchedLater))
					wantErr(t, err, nil)
				}
			}
			p.heal(t)
			for i := range n {
				got := redisDo(t, p.server, "GET", fmt.Sprint("c:", i))
				if got != "on" && (!tt.nothing || got != nil) {
					t.Errorf("%d is %v in Redis", i, got)
				}
			}
		})
	}
}

// What a process has kept takes the place of what was there before, whatever lives
// both have, where it has read or written that itself.
func TestAValueThatIsKnownToBeOlderIsReplacedWhateverItsLife(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{TTL: time.Hour, ReadTimeout: 5 * time.Second}, Policy{TTL: time.Hour})
	for i, ttl := range []time.Duration{time.Minute, time.Hour, 3 * time.Hour} {
		_, err := p.b.Set(t.Context(), fmt.Sprint("read", i), "old", TTL(ttl))
		wantErr(t, err, nil)
		_, err = p.a.Lookup(t.Context(), fmt.Sprint("read", i))
		wantErr(t, err, nil)
		_, err = p.a.Set(t.Context(), fmt.Sprint("written", i), "old", TTL(ttl))
		wantErr(t, err, nil)
	}
	p.cut(t)
	for i := range 3 {
		wantWritten(t, Memory)(p.a.Set(t.Context(), fmt.Sprint("read", i), "new"))
		wantWritten(t, Memory)(p.a.Set(t.Context(), fmt.Sprint("written", i), "new"))
	}
	p.heal(t)
	for i := range 3 {
		wantStored(t, p.server, fmt.Sprint("c:written", i), "new")
		if got := redisDo(t, p.server, "GET", fmt.Sprint("c:read", i)); got != "new" && got != nil {
			t.Errorf("read%d is %v", i, got)
		}
	}
}

// A write that was given up on the way arrives after another process has written or
// deleted its key: what that one was told stands.
func TestAWriteThatArrivesLateUndoesNothingOfAnotherProcess(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 40_000, 900_000} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			p := startPair(t, Policy{WriteTimeout: 100 * time.Millisecond}, Policy{WriteTimeout: 2 * time.Second})
			for _, key := range []string{"deleted", "p-deleted", "overwritten"} {
				_, err := p.b.Set(t.Context(), key, "first")
				wantErr(t, err, nil)
				_, err = p.a.Lookup(t.Context(), key)
				wantErr(t, err, nil)
			}
			_, err := p.a.Set(t.Context(), "warm", "up") // its life is noted
			wantErr(t, err, nil)
			p.link.SetLatency(faultnet.ToTarget, 700*time.Millisecond)
			late := strings.Repeat("A", size)
			var given sync.WaitGroup
			for _, key := range []string{"deleted", "p-deleted", "overwritten"} {
				given.Go(func() { _, _ = p.a.Set(t.Context(), key, late) })
			}
			given.Wait()
			time.Sleep(20 * time.Millisecond)
			_, err = p.b.Delete(t.Context(), "deleted")
			wantErr(t, err, nil)
			_, _, err = p.b.DeletePrefix(t.Context(), "p-")
			wantErr(t, err, nil)
			wantMaster(t, func() (Receipt, error) { return p.b.Set(t.Context(), "overwritten", "last") })
			time.Sleep(time.Second) // what is on the way arrives
			p.link.SetLatency(faultnet.ToTarget, 0)
			for _, c := range []*Client{p.a.client, p.b.client} {
				waitUntil(t, 30*time.Second, func() bool { return c.State() == health.Connected && c.Health().OutboxEntries == 0 }, func() string { return "not sent" })
			}
			waitUntil(t, 30*time.Second, func() bool { // or nothing, on a machine too busy to tell the order
				got := redisDo(t, p.server, "GET", "c:overwritten")
				return got == "last" || got == nil
			}, func() string { return fmt.Sprintf("%.20v", redisDo(t, p.server, "GET", "c:overwritten")) })
			for _, key := range []string{"deleted", "p-deleted"} {
				if got := redisDo(t, p.server, "EXISTS", "c:"+key); got != int64(0) {
					t.Errorf("%s is there again", key)
				}
			}
		})
	}
}

// wantMaster writes until the master has taken it.
func wantMaster(t *testing.T, write func() (Receipt, error)) bool {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r, err := write()
		if err != nil {
			t.Error(err)
			return false
		}
		if r.Durability >= Master {
			return true
		}
	}
	t.Error("no master takes it")
	return false
}

// A large value is written by a script, which is announced to us too. That is over
// when the announcement has been handled.
func TestALargeWriteLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "a", strings.Repeat("x", 100_000)) })
	waitUntil(t, 20*time.Second, func() bool { return client.one().Scripts.Count.Load() == 0 }, func() string { return "the script counts as running" })
	begun := heartbeats(client)
	time.Sleep(300 * time.Millisecond)
	if n := heartbeats(client) - begun; n > 50 {
		t.Errorf("%d questions since", n)
	}
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, len(e.Value), err, 100_000)
}

// A value that waits to be sent answers reads. When it has been sent, Redis is asked
// again: what another process wrote later may have been announced meanwhile.
func TestAKeptValueIsNotBelievedWhenItHasBeenSent(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	var w write
	wantErr(t, c.setOf(t.Context(), &w, "a", "older", nil), nil)
	patience := deadline.New(t.Context(), time.Now(), 20*time.Second)
	defer patience.Release()
	held, err := client.one().Locks.Lock(&patience, w.Rec.Key) // it is being sent, for all that a replay knows
	wantErr(t, err, nil)
	defer client.one().Locks.Unlock(held)
	c.inTurn(&w)
	wantErr(t, client.one().Outbox.Put(w.Rec), nil)
	redisDo(t, p, "SET", "c:a", "newer", "PX", "3000000")
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "older")
	r, _ := client.one().Find("c:a")
	client.one().Outbox.Done("c:a", r.Seq)
	e, err = c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "newer")
}

// A write that is dated by a clock which is badly known may have been carried out
// before another one, although it can be dated later, or after it. Then nobody knows
// the order, and neither of the two may be called the newer one.
func TestAWriteOfABlurredClockIsNotCalledTheNewerOne(t *testing.T) {
	t.Parallel()
	ours := startPair(t, Policy{}, Policy{})
	const blur = 60
	base, _ := ours.b.client.one().Node.Load().ServerTime(time.Now())
	put := func(c *Cache[string], value string, lo, hi int64) remote.Result {
		t.Helper()
		node, clock := c.client.one().Node.Load(), c.client.one().Clock
		now := clock.Now()
		r := outbox.Record{
			Kind: outbox.Set, Key: "c:k", Class: "c:", Value: []byte(value), TTL: c.policy.TTL,
			Since: now, Ends: now + int64(c.policy.TTL), Lo: lo, Hi: hi,
		}
		wantErr(t, c.keys.NoteLife(t.Context(), c.client.one(), node, r.TTL, false, hi-lo), nil)
		outcomes, err := node.Replay(t.Context(), []remote.Replay{c.client.one().ReplayOf(r)}, 10*time.Second)
		wantErr(t, err, nil)
		return outcomes[0].Result
	}
	if got := put(ours.a, `"blurred"`, base-blur, base+blur); got != remote.Done {
		t.Fatalf("the first is %v", got)
	}
	time.Sleep(2 * blur * time.Millisecond) // until then it is dated by a time that has not come
	if got := put(ours.b, `"exact"`, base-5, base); got != remote.Unknown {
		t.Errorf("the one that lies between is %v, want unknown: %v", got, remote.Unknown)
	}
}

// What has yielded to a newer write is sent again as a delete when the server loses its
// data. It does not take the newer write with it, whoever sends his first.
func TestAWriteThatHasYieldedLeavesTheNewerOneAlone(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"either", "the newer one"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
			p.cut(t)
			wantWritten(t, Memory)(p.a.Set(t.Context(), "k", "ours"))
			time.Sleep(100 * time.Millisecond)
			wantMaster(t, func() (Receipt, error) { return p.b.Set(t.Context(), "k", "newer") })
			p.heal(t)
			if n := p.a.client.Health().Recovery.Superseded; n != 1 {
				t.Fatalf("%d writes have yielded, want 1", n)
			}
			a, b := times(p.a.client), times(p.b.client)
			if first == "the newer one" {
				p.cut(t)
				a = times(p.a.client)
			}
			kill(t, p.server)
			restart(t, p.server, redisproc.Empty)
			returned(t, p.b.client, b)
			if first == "the newer one" {
				wantErr(t, p.link.Refuse(false), nil)
			}
			returned(t, p.a.client, a)
			wantInRedis(t, p.server, "c:k", "newer")
		})
	}
}

// A kept write that yields to a tombstone of nobody is not put back. But it is newer than
// what another process wrote before it, and which that one puts back when the server
// loses its data, tombstones included. Nor may that stand then.
func TestAWriteThatHasYieldedStillKeepsOlderOnesOut(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"set", "delete"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, Policy{}, Policy{})
			wantWritten(t, Master)(p.b.Set(t.Context(), "k", "older"))
			time.Sleep(100 * time.Millisecond)
			p.cut(t)
			if kind == "set" {
				wantWritten(t, Memory)(p.a.Set(t.Context(), "k", "ours"))
			} else {
				wantWritten(t, Memory)(p.a.Delete(t.Context(), "k"))
			}
			_, now := p.b.client.one().Node.Load().ServerTime(time.Now())
			redisDo(t, p.server, "SET", remote.TombstoneKey("", "c:k"), fmt.Sprintf("%d:", now+1000), "EX", "600")
			p.heal(t)
			if n := p.a.client.Health().Recovery.Superseded; n != 1 {
				t.Fatalf("%d writes have yielded, want 1", n)
			}
			wantInRedis(t, p.server, "c:k", nil)
			a, b := times(p.a.client), times(p.b.client)
			restart(t, p.server, redisproc.Empty)
			returned(t, p.a.client, a)
			returned(t, p.b.client, b)
			wantInRedis(t, p.server, "c:k", nil)
		})
	}
}
