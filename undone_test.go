package evercache

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// The writer of a value that a network held back has ended when it arrives: nobody
// sends the write again. What others wrote and deleted meanwhile stands, whoever they
// are, and what was written later or with a life of its own stays.
func TestAWriteOfAnEndedProcessThatArrivesLateUndoesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	gone, client := openAt(t, server.Addr()), openAt(t, server.Addr())
	connect(t, gone, 20*time.Second)
	connect(t, client, 20*time.Second)
	const ttl = time.Hour
	old := cacheOf[string](t, gone, "c", Policy{TTL: ttl})
	c := cacheOf[string](t, client, "c", Policy{TTL: ttl})
	wantMaster(t, func() (Receipt, error) { return old.Set(t.Context(), "warm", "up") }) // notes the life
	now := func() int64 {
		reply := redisDo(t, server, "TIME").([]any)
		s, _ := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
		us, _ := strconv.ParseInt(fmt.Sprint(reply[1]), 10, 64)
		return s*1000 + us/1000
	}
	late := func(key string, written int64, life time.Duration) {
		redisDo(t, server, "SET", "c:"+key, "late", "PXAT", strconv.FormatInt(written+life.Milliseconds(), 10))
	}
	before := now()
	wantErr(t, gone.Close(), nil)
	time.Sleep(2 * time.Second) // how exact the clocks are known on a busy machine

	keys := []string{"deleted", "p-deleted", "overwritten", "newer", "longago", "shorter", "forever"}
	for _, key := range keys {
		wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), key, "first") })
	}
	_, err := c.Delete(t.Context(), "deleted")
	wantErr(t, err, nil)
	_, _, err = c.DeletePrefix(t.Context(), "p-")
	wantErr(t, err, nil)
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "overwritten", "last") })

	late("newer", now()+1, ttl)
	late("longago", before-shard.LateMost.Milliseconds()-1000, ttl)
	late("shorter", now()+1, 10*time.Minute)
	redisDo(t, server, "SET", "c:forever", "late")
	for _, key := range []string{"deleted", "p-deleted", "overwritten"} {
		late(key, before, ttl)
	}
	want := map[string]any{
		"deleted": nil, "p-deleted": nil, "overwritten": "last",
		"newer": "late", "longago": "late", "shorter": "late", "forever": "late",
	}
	got := map[string]any{}
	waitUntil(t, 20*time.Second, func() bool {
		for _, key := range keys {
			got[key] = redisDo(t, server, "GET", "c:"+key)
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	}, func() string { return fmt.Sprint(got) })
	waitUntil(t, 20*time.Second, nothingWaits(client), func() string { return "not sent" })
	for _, key := range keys {
		e, err := c.Lookup(t.Context(), key)
		if want[key] == nil {
			wantErr(t, err, ErrNotFound)
			continue
		}
		wantValue(t, e.Value, err, want[key].(string))
	}
}

// A key that two processes write in turn is not fought over: what is announced is
// newer, and nothing is sent again.
func TestWhatTwoProcessesWriteInTurnIsNotSentAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{}, Policy{})
	for i := range 40 {
		c := []*Cache[string]{p.a, p.b}[i%2]
		wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "k", fmt.Sprint(i)) })
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(4 * shard.UndoneEach)
	for _, c := range []*Client{p.a.client, p.b.client} {
		if n := c.Stats().OutboxReplayed; n > 0 {
			t.Errorf("%d writes were sent again", n)
		}
	}
	if got := redisDo(t, p.server, "GET", "c:k"); got != "39" {
		t.Errorf("k is %v", got)
	}
}

// Many writes of an ended process arrive at once.
func TestManyLateWritesOfAnEndedProcessUndoNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	client := openAt(t, server.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "warm", "up") })
	reply := redisDo(t, server, "TIME").([]any)
	s, _ := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
	before := strconv.FormatInt((s-1)*1000+time.Hour.Milliseconds(), 10)
	const keys = 1000
	for i := range keys {
		key := fmt.Sprint("k", i)
		if i%2 == 0 {
			wantMaster(t, func() (Receipt, error) { return c.Delete(t.Context(), key) })
		} else {
			wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), key, "last") })
		}
	}
	redisDo(t, server, "EVAL", `for i = 0, ARGV[1] - 1 do redis.call('SET', 'c:k' .. i, 'late', 'PXAT', ARGV[2]) end`, "0", strconv.Itoa(keys), before)
	wrong := 0
	waitUntil(t, 30*time.Second, func() bool {
		wrong = 0
		for i := range keys {
			if got := redisDo(t, server, "GET", fmt.Sprint("c:k", i)); i%2 == 0 && got != nil || i%2 == 1 && got != "last" {
				wrong++
			}
		}
		return wrong == 0
	}, func() string { return fmt.Sprintf("%d keys are wrong", wrong) })
}

// lateWrites is a client that has written keys, and the time before that: a write of
// another process from then arrives late.
func lateWrites(t *testing.T, client *Client, server *redisproc.Process, keys int) (c *Cache[string], late func()) {
	t.Helper()
	c = cacheOf[string](t, client, "c", Policy{TTL: time.Hour, WriteTimeout: 200 * time.Millisecond})
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "warm", "up") })
	reply := redisDo(t, server, "TIME").([]any)
	s, _ := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
	before := strconv.FormatInt((s-1)*1000+time.Hour.Milliseconds(), 10)
	for i := range keys {
		wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), fmt.Sprint("k", i), "last") })
	}
	// A record that a new connection uncovers would be sent again without being asked for.
	waitUntil(t, 20*time.Second, func() bool { return client.Health().Recovery.Unconfirmed == 0 }, func() string { return "not confirmed" })
	return c, func() {
		t.Helper()
		redisDo(t, server, "EVAL", `for i = 0, ARGV[1] - 1 do redis.call('SET', 'c:k' .. i, 'late', 'PXAT', ARGV[2]) end`, "0", strconv.Itoa(keys), before)
	}
}

func waitLast(t *testing.T, server *redisproc.Process, keys int) {
	t.Helper()
	for i := range keys {
		waitInRedis(t, server, fmt.Sprint("c:k", i), "last")
	}
}

// What arrives late while this process has no connection is announced to nobody.
func TestWhatArrivesLateWhileNobodyListensUndoesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	link := startProxy(t, server.Addr())
	client := openAt(t, link.Addr())
	connect(t, client, 20*time.Second)
	_, late := lateWrites(t, client, server, 5)
	wantErr(t, link.Refuse(true), nil)
	link.ResetAll()
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	late()
	wantErr(t, link.Heal(), nil)
	waitLast(t, server, 5)
}

// What was announced is asked for although the server hangs right after that.
func TestWhatArrivesLateBeforeTheServerHangsUndoesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	client := openAt(t, server.Addr())
	connect(t, client, 20*time.Second)
	_, late := lateWrites(t, client, server, 5)
	late()
	wantErr(t, server.Pause(), nil)
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	wantErr(t, server.Resume(), nil)
	waitLast(t, server, 5)
}

// A server that answers that it reads its data, or that it is a replica, is asked again.
func TestAServerThatCannotAnswerYetIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, says := range []string{"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica.", "OOM command not allowed"} {
		t.Run(says[:7], func(t *testing.T) {
			t.Parallel()
			attempts(t, func(t *testing.T) error { // a busy machine may end the connection meanwhile: then another way leads there
				server := startRedis(t, redisproc.Options{})
				var asked atomic.Int64
				link := startTranslator(t, func(words []string) []string {
					if len(words) != 10 || words[2] != "4" || asked.Add(1) > 3 { // it is not the question, or it was asked often enough
						return nil
					}
					return []string{"EVAL", "return redis.error_reply(ARGV[1])", "0", says}
				}, func(int) string { return server.Addr() })
				client := openAt(t, link.addr())
				connect(t, client, 20*time.Second)
				_, late := lateWrites(t, client, server, 1)
				late()
				waitLast(t, server, 1)
				if asked.Load() < 4 {
					return fmt.Errorf("asked %d times", asked.Load())
				}
				return nil
			})
		})
	}
}

// What is put back once is not sent again and again: a stall leaves nothing running.
func TestAfterAStallNothingGoesOnBeingSentAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{WriteTimeout: 100 * time.Millisecond}, Policy{})
	wantMaster(t, func() (Receipt, error) { return p.a.Set(t.Context(), "warm", "up") })
	wantErr(t, p.server.Pause(), nil)
	for i := range 20 {
		_, err := p.a.Set(t.Context(), fmt.Sprint(i), "v")
		wantErr(t, err, nil)
	}
	wantErr(t, p.server.Resume(), nil)
	waitUntil(t, 30*time.Second, func() bool { return p.a.client.State() == health.Connected && p.a.client.Health().OutboxEntries == 0 }, func() string { return "not sent" })
	sent := p.a.client.Stats().OutboxReplayed + p.b.client.Stats().OutboxReplayed
	redisDo(t, p.server, "SET", "c:3", "of another program", "EX", "60")
	time.Sleep(6 * time.Second) // longer than any trace of a replay lives but tombstones
	if now := p.a.client.Stats().OutboxReplayed + p.b.client.Stats().OutboxReplayed; now != sent {
		t.Errorf("%d writes were sent again", now-sent)
	}
	if got := redisDo(t, p.server, "GET", "c:3"); got != "of another program" {
		t.Errorf("it is %v", got)
	}
}
