package evercache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// unknownReplies are error replies that say nothing that we know.
var unknownReplies = []string{
	"ERR upstream failure",
	"ERR proxy: no backend available",
	"TRYAGAIN Multiple keys request during rehashing of slot",
	"BUSYGROUP Consumer Group name already exists",
	"NOREPL not enough of them",
	"ERR internal",
	"ERR unknown command 'SET', with args beginning with: 'c:bad' 'secret'",
	"ERR",
}

// bewildered opens a client on a server that answers, while broken is set, with a
// text of its own whatever is about a key that holds "bad".
func bewildered(t *testing.T, text string) (client *Client, p *redisproc.Process, broken *atomic.Bool) {
	t.Helper()
	p, broken = startRedis(t, redisproc.Options{}), new(atomic.Bool)
	tr := startTranslator(t, func(words []string) []string {
		if broken.Load() && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "c:bad") }) {
			return saying(text)
		}
		return nil
	}, func(int) string { return p.Addr() })
	client = open(t, Options{Addr: tr.addr(), ReadTimeout: time.Second, WriteTimeout: 2 * time.Second})
	connect(t, client, 30*time.Second)
	return client, p, broken
}

func TestAnAcknowledgedWriteThatMeetsAnUnknownReplyWaitsAndHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	for _, text := range unknownReplies {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			client, p, broken := bewildered(t, text)
			c := cacheOf[string](t, client, "c", Policy{})
			ctx := t.Context()
			for _, key := range []string{"bad", "bad2", "bad3"} {
				redisDo(t, p, "SET", "c:"+key, "old", "EX", "3000")
			}
			broken.Store(true)
			r, err := c.Set(ctx, "bad", "v")
			wantValue(t, r.Durability, err, Memory)
			r, err = c.SetMany(ctx, map[string]string{"bad2": "v", "well": "v"})
			wantValue(t, r.Durability, err, Memory)
			r, err = c.Delete(ctx, "bad3")
			wantValue(t, r.Durability, err, Memory)
			for i := range 3 {
				_, _ = c.Set(ctx, fmt.Sprint("good", i), "v")
				waitInRedis(t, p, fmt.Sprint("c:good", i), "v")
			}
			waitInRedis(t, p, "c:well", "v")
			told := "redis-unknown-reply"
			if strings.Contains(text, "unknown command") {
				told = "redis-command-missing"
			}
			waitFinding(t, client, told)
			if h := fmt.Sprintf("%+v", client.Health()); strings.Contains(h, "secret") {
				t.Errorf("arguments of a command are told: %s", h)
			}
			if client.Stats().OutboxRejected != 0 || client.Health().OutboxEntries != 3 {
				t.Errorf("%d writes are rejected, %d wait", client.Stats().OutboxRejected, client.Health().OutboxEntries)
			}
			broken.Store(false)
			waitInRedis(t, p, "c:bad", "v")
			waitInRedis(t, p, "c:bad2", "v")
			waitInRedis(t, p, "c:bad3", "<nil>")
			connect(t, client, 30*time.Second)
		})
	}
}

func TestAnUnknownReplyToAReadIsNotAMiss(t *testing.T) {
	t.Parallel()
	client, p, broken := bewildered(t, "ERR upstream failure")
	c := cacheOf[string](t, client, "c", Policy{})
	redisDo(t, p, "SET", "c:bad", "v", "EX", "3000")
	broken.Store(true)
	_, err := c.Lookup(t.Context(), "bad")
	wantErr(t, err, ErrUnavailable)
	_, err = c.Get(t.Context(), "bad", func(context.Context, string) (string, error) { return "loaded", nil })
	wantErr(t, err, nil)
	_, _, err = c.Add(t.Context(), "bad4", "v")
	wantErr(t, err, ErrUnavailable)
	if got := redisDo(t, p, "GET", "c:bad"); got != "v" {
		t.Errorf("Redis holds %v", got)
	}
	if client.State() != health.Connected {
		t.Errorf("state %v", client.State())
	}
}

func TestADeleteOfAPrefixThatMeetsAnUnknownReplyIsKept(t *testing.T) {
	t.Parallel()
	client, p, broken := bewildered(t, "ERR upstream failure")
	c := cacheOf[string](t, client, "c", Policy{})
	redisDo(t, p, "SET", "c:bad1", "v", "EX", "3000")
	broken.Store(true)
	n, _, err := c.DeletePrefix(t.Context(), "bad")
	wantValue(t, n, err, -1)
	_, _ = c.Set(t.Context(), "good", "v")
	waitInRedis(t, p, "c:good", "v")
	broken.Store(false)
	waitInRedis(t, p, "c:bad1", "<nil>")
	connect(t, client, 30*time.Second)
}

func TestAServerThatAnswersAllWithAnUnknownErrorIsNotUsed(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	var broken atomic.Bool
	tr := startTranslator(t, func(words []string) []string {
		if broken.Load() && len(words) > 0 && words[0] != "EVAL" {
			return saying("ERR upstream failure")
		}
		return nil
	}, func(int) string { return p.Addr() })
	client := open(t, Options{Addr: tr.addr()})
	connect(t, client, 30*time.Second)
	broken.Store(true)
	waitUntil(t, 30*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	waitFinding(t, client, "redis-unknown-reply")
	c := cacheOf[string](t, client, "c", Policy{})
	_, err := c.Set(t.Context(), "a", "v")
	wantErr(t, err, nil)
	broken.Store(false)
	waitInRedis(t, p, "c:a", "v")
}
