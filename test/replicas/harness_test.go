package replicas_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/stats"
)

const class = "r"

func TestMain(m *testing.M) { testbed.Main(m, 4) }

// open opens a client that reads from replicas, and its cache.
func open(t *testing.T, o evercache.Options, p evercache.Policy) (*evercache.Client, *evercache.Cache[string]) {
	t.Helper()
	o.ReplicaReads, p.ReplicaReads = true, true
	o.WriteTimeout = 8 * time.Second // a write that is kept shows nothing
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := evercache.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := client.WaitConnected(ctx); err != nil {
		t.Fatalf("%v: %+v", err, client.Health())
	}
	c, err := evercache.NewCache[string](client, class, p)
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

// sentinelOptions reach a set.
func sentinelOptions(set *redistest.Sentinel) evercache.Options {
	return evercache.Options{Sentinels: set.Addrs(), MasterName: set.MasterName()}
}

// answered is how many reads replicas have answered.
func answered(c *evercache.Client) uint64 { return c.Stats().Replicas.Answered }

func refused(c *evercache.Client, reason string) uint64 { return c.Stats().Replicas.Refused[reason] }

// untilAsked reads keys until a replica answers: it is dialled, and has a barrier.
func untilAsked(t *testing.T, client *evercache.Client, c *evercache.Cache[string], master *redistest.Server) {
	t.Helper()
	n := 0
	untilServed(t, client, func() {
		n++ // memory has the others
		key := "warm" + strconv.Itoa(n)
		master.Do("SET", class+":"+key, "up")
		time.Sleep(20 * time.Millisecond)
		if _, err := c.Lookup(t.Context(), key); err != nil && !errors.Is(err, evercache.ErrUnavailable) {
			t.Fatal(err)
		}
	})
}

// untilServed reads until a replica answers.
func untilServed(t *testing.T, client *evercache.Client, read func()) {
	t.Helper()
	before := answered(client)
	for end := time.Now().Add(45 * time.Second); answered(client) == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h := client.Health()
			t.Fatalf("no replica answers: %v; %v, %v, findings %v", reasons(client.Stats().Replicas), h.State, h.Cause, h.Findings)
		}
		read()
	}
}

func set(t *testing.T, c *evercache.Cache[string], key, value string) {
	t.Helper()
	r, err := c.Set(t.Context(), key, value)
	if err != nil || r.Durability < evercache.Master {
		t.Fatalf("set %s: %v, %v", key, r, err)
	}
}

// oracle knows which values were acknowledged, and when. A key's values are numbers that
// rise.
type oracle struct {
	mu   sync.Mutex // guards acks
	acks map[string][]ack
}

type ack struct {
	version int
	at      time.Time // it had been acknowledged by then
	by      *evercache.Cache[string]
}

func newOracle() *oracle { return &oracle{acks: map[string][]ack{}} }

// write writes the next version of a key.
func (o *oracle) write(t *testing.T, c *evercache.Cache[string], key string) {
	t.Helper()
	v := o.newest(key, time.Now(), nil) + 1
	r, err := c.Set(t.Context(), key, strconv.Itoa(v))
	if err != nil || r.Durability < evercache.Master {
		t.Errorf("set %s: %v, %v", key, r, err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acks[key] = append(o.acks[key], ack{v, time.Now(), c})
}

// newest is the newest version that was acknowledged before a moment, to one client where
// that is given.
func (o *oracle) newest(key string, before time.Time, by *evercache.Cache[string]) (v int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.acks[key] {
		if a.at.Before(before) && (by == nil || a.by == by) {
			v = max(v, a.version)
		}
	}
	return v
}

// answer is what a read has brought.
type answer struct {
	key   string
	began time.Time
	given time.Time // it was given after this
	entry evercache.Entry[string]
	err   error
}

func read(ctx context.Context, c *evercache.Cache[string], key string) answer {
	a := answer{key: key, began: time.Now()}
	a.given = a.began
	a.entry, a.err = c.Lookup(ctx, key)
	return a
}

// judge checks an answer against what was acknowledged: to whom it may be told of the
// reader's own writes, within the bound that it was given, and as coherent as it says.
func (o *oracle) judge(t *testing.T, c *evercache.Cache[string], a answer, bound time.Duration) {
	t.Helper()
	v := 0
	switch {
	case errors.Is(a.err, evercache.ErrNotFound):
	case errors.Is(a.err, evercache.ErrUnavailable):
		t.Logf("read %s: %v", a.key, a.err) // a busy machine gave the master up: that is no answer to judge
		return
	case a.err != nil:
		t.Errorf("read %s: %v", a.key, a.err)
		return
	default:
		v, _ = strconv.Atoi(a.entry.Value)
	}
	e := a.entry
	if want := o.newest(a.key, a.began, c); v < want {
		t.Errorf("%s from %v is %d, and %d was acknowledged to this client before: behind %v, coherent %v", a.key, e.Source, v, want, e.Behind, e.Coherent)
	}
	if e.Source == evercache.SourceReplica {
		if e.Behind > bound {
			t.Errorf("%s is %v behind, more than %v", a.key, e.Behind, bound)
		}
		if want := o.newest(a.key, a.given.Add(-min(e.Behind, bound)), nil); v < want {
			t.Errorf("%s is %d, and %d was acknowledged longer than %v before, it says %v", a.key, v, want, bound, e.Behind)
		}
	}
	if want := o.newest(a.key, a.given.Add(-time.Second), nil); e.Coherent && v < want {
		t.Errorf("%s from %v is %d and called coherent, and %d was acknowledged a second before", a.key, e.Source, v, want)
	}
}

// reasons are the counters that are not zero.
func reasons(s *stats.Replicas) map[string]uint64 {
	some := map[string]uint64{"answered": s.Answered}
	for k, n := range s.Refused {
		if n > 0 {
			some[k] = n
		}
	}
	return some
}

// keepWriting writes keys of its own until quit. What no master has taken counts too: it
// is acknowledged to this client.
func (o *oracle) keepWriting(t *testing.T, c *evercache.Cache[string], prefix string, quit <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-quit:
			return
		case <-time.After(3 * time.Millisecond):
		}
		key := prefix + strconv.Itoa(n%keysOfAWriter)
		v := o.newest(key, time.Now(), nil) + 1
		_, err := c.Set(t.Context(), key, strconv.Itoa(v))
		if err != nil {
			t.Errorf("set %s: %v", key, err)
			return
		}
		o.mu.Lock()
		o.acks[key] = append(o.acks[key], ack{v, time.Now(), c})
		o.mu.Unlock()
	}
}

const keysOfAWriter = 30

// keepReading reads the keys of all writers. In an outage nothing is promised but what was
// written here; what is called coherent must be.
func (o *oracle) keepReading(t *testing.T, c *evercache.Cache[string], quit <-chan struct{}) {
	for {
		for _, key := range o.keys() {
			select {
			case <-quit:
				return
			default:
			}
			a := read(t.Context(), c, key)
			if errors.Is(a.err, evercache.ErrUnavailable) || a.entry.Cause != nil {
				continue
			}
			o.judgeThrough(t, c, a)
		}
		time.Sleep(time.Millisecond)
	}
}

func (o *oracle) keys() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key := range o.acks {
		all = append(all, key)
	}
	return all
}

// judgeThrough is judge without the bound: after a failover what the last master had
// acknowledged is on its way to the next one.
func (o *oracle) judgeThrough(t *testing.T, c *evercache.Cache[string], a answer) {
	t.Helper()
	v, _ := strconv.Atoi(a.entry.Value)
	if want := o.newest(a.key, a.began, c); v < want {
		t.Errorf("%s from %v is %d, and %d was acknowledged to this client before: behind %v, coherent %v", a.key, a.entry.Source, v, want, a.entry.Behind, a.entry.Coherent)
	}
	if want := o.newest(a.key, a.began.Add(-time.Second), nil); a.entry.Coherent && v < want {
		t.Errorf("%s from %v is %d and called coherent, and %d was acknowledged a second before", a.key, a.entry.Source, v, want)
	}
}
