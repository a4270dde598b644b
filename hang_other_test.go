package evercache

import (
	"context"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
)

// latentLink is a process whose way to Redis can be held up, and another whose way
// cannot.
type latentLink struct {
	*testing.T
	redis  *redisproc.Process
	link   *faultnet.Proxy
	client *Client
	a, b   *Cache[string]
}

func startSlowLink(t *testing.T) *latentLink {
	t.Helper()
	s := &latentLink{T: t, redis: startRedis(t, redisproc.Options{})}
	s.link = linkTo(t, s.redis)
	s.client = openAt(t, s.link.Addr())
	other := openAt(t, s.redis.Addr())
	s.a, s.b = cacheOf[string](t, s.client, "c", Policy{}), cacheOf[string](t, other, "c", Policy{})
	for _, c := range []*Cache[string]{s.a, s.b} {
		connect(t, c.client, 20*time.Second)
		s.landed(c, "warm", "v") // a barrier tells the server's time soon after
		waitUntil(t, 20*time.Second, func() bool { return c.client.Health().Recovery.Unconfirmed == 0 }, func() string { return "nothing is confirmed" })
	}
	s.loadScripts()
	return s
}

// loadScripts lets the server know the scripts: one that it does not know yet is
// answered at once, and sent again, which nobody does for what was given up.
func (s *latentLink) loadScripts() {
	s.Helper()
	_, err := s.a.Delete(s.Context(), "warm")
	wantErr(s.T, err, nil)
	_, err = s.a.Get(s.Context(), "loaded", constant("v"))
	wantErr(s.T, err, nil)
	waitInRedis(s.T, s.redis, "c:loaded", "v")
}

func linkTo(t *testing.T, p *redisproc.Process) *faultnet.Proxy {
	t.Helper()
	link, err := faultnet.New(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	return link
}

// landed writes until the master has it: a busy machine may look like an outage.
func (s *latentLink) landed(c *Cache[string], key, value string, o ...WriteOption) {
	s.Helper()
	waitUntil(s.T, 20*time.Second, func() bool {
		r, err := c.Set(s.Context(), key, value, o...)
		return err == nil && r.Durability >= Master
	}, func() string { return "the master does not take " + key })
}

// held is for how long the link holds back what the first process sends.
const held = 2500 * time.Millisecond

// hold lets what the first process sends arrive late. A network that delays
// delivers it though its sender has given up: the reset comes behind it.
func (s *latentLink) hold() {
	s.Helper()
	s.link.SetLatency(faultnet.ToTarget, held)
}

// overdue waits until what was given up is later than any script may be executed.
func overdue() { time.Sleep(time.Second) }

func (s *latentLink) letGo() {
	s.Helper()
	time.Sleep(held) // all that was held has arrived
	wantErr(s.T, s.link.Heal(), nil)
	connect(s.T, s.client, 20*time.Second)
	waitUntil(s.T, 20*time.Second, nothingWaits(s.client), func() string { return "not sent" })
	waitUntil(s.T, 20*time.Second, s.quiet, func() string { return "the link is not quiet" })
}

// quiet: what the link held has reached the server, which answers a question that
// was sent after it.
func (s *latentLink) quiet() bool {
	r, err := s.a.Set(s.Context(), "after", "v")
	return err == nil && r.Durability >= Master
}

// The deadline of a delete: it was given up, and another process has written the
// key since.
func TestADeleteThatWasGivenUpDoesNotRemoveWhatAnotherWroteSince(t *testing.T) {
	t.Parallel()
	s := startSlowLink(t)
	s.landed(s.b, "k", "old")
	s.hold()
	r, err := s.a.Delete(t.Context(), "k")
	wantErr(t, err, nil)
	if r.Durability != Memory {
		t.Fatalf("the delete was not given up: %v", r)
	}
	overdue()
	s.landed(s.b, "k", "newer")
	s.letGo()
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if got := redisDo(t, s.redis, "GET", "c:k"); got != "newer" {
			t.Fatalf("Redis holds %v, want what was written last", got)
		}
	}
}

// The deadline of a fill: what another process has overwritten since the load is
// over too, in ways that leave no trace at the key.
func TestALoadThatWasGivenUpIsNotStoredAfterWhatAnotherWroteSince(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]func(*latentLink){
		"written for a short time": func(s *latentLink) { s.landed(s.b, "k", "newer", TTL(100*time.Millisecond)) },
		"written and removed by another program": func(s *latentLink) {
			s.landed(s.b, "k", "newer")
			redisDo(s.T, s.redis, "DEL", "c:k")
		},
		"deleted, and the trace evicted": func(s *latentLink) {
			_, err := s.b.Delete(s.Context(), "k")
			wantErr(s.T, err, nil)
			redisDo(s.T, s.redis, "DEL", s.b.keys.Tomb("c:k"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSlowLink(t)
			loading, finish, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				_, _ = s.a.Get(t.Context(), "k", func(context.Context, string) (string, error) {
					close(loading)
					<-finish
					return "loaded", nil
				})
			}()
			<-loading
			s.hold()
			close(finish)
			<-done
			overdue()
			over(s)
			waitUntil(t, 20*time.Second, func() bool { return redisDo(t, s.redis, "EXISTS", "c:k") == int64(0) }, func() string { return "the key is there" })
			s.letGo()
			for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if got := redisDo(t, s.redis, "GET", "c:k"); got != nil {
					t.Fatalf("Redis holds %v, want nothing", got)
				}
			}
		})
	}
}

// The absolute end of a SET: it tells when a value was written, however late the
// server came to it. So the other process, which could not send its later write,
// can put it back over the earlier one.
func TestASetThatIsExecutedLateIsStillTheOlderOne(t *testing.T) {
	t.Parallel()
	s := startSlowLink(t)
	away := linkTo(t, s.redis)
	third := openAt(t, away.Addr())
	connect(t, third, 20*time.Second)
	b := cacheOf[string](t, third, "c", Policy{})
	s.landed(b, "k", "first")
	wantErr(t, away.Refuse(true), nil)
	away.ResetAll()
	waitUntil(t, 20*time.Second, func() bool { return third.State() == health.Degraded }, func() string { return "connected" })

	wantErr(t, s.redis.Pause(), nil)
	r, err := s.a.Set(t.Context(), "k", "older")
	wantErr(t, err, nil)
	if r.Durability != Memory {
		t.Fatalf("the write was not given up: %v", r)
	}
	time.Sleep(300 * time.Millisecond) // the two are to be further apart than clocks are wrong
	_, err = b.Set(t.Context(), "k", "newer")
	wantErr(t, err, nil)
	overdue()
	resume(t, s.redis)
	s.letGo()
	waitUntil(t, 20*time.Second, func() bool { v := redisDo(t, s.redis, "GET", "c:k"); return v == "older" || v == nil || v == "first" }, func() string { return "the older is nowhere" })
	wantErr(t, away.Heal(), nil)
	connect(t, third, 20*time.Second)
	waitUntil(t, 20*time.Second, nothingWaits(third), func() string { return "not sent" })
	wantInRedis(t, s.redis, "c:k", "newer")
}
