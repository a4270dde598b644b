package evercache

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// Another process has written the same value, to live longer, or has prolonged it. What a
// process has kept after that is the later one: the key ends when it does. And it is put
// back once: what stands there then is not older than it.
func TestTheSameValueWithAShorterLifeIsPutBackOnce(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(c *Cache[string], key string) error{
		"written with a longer life": func(c *Cache[string], key string) error {
			_, err := c.Set(t.Context(), key, "same", TTL(4*time.Hour))
			return err
		},
		"prolonged": func(c *Cache[string], key string) error {
			if _, err := c.Set(t.Context(), key, "same"); err != nil {
				return err
			}
			_, err := c.Touch(t.Context(), key, TTL(4*time.Hour))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
			wantMaster(t, func() (Receipt, error) { return p.a.Set(t.Context(), "warm", "up") })
			p.cut(t)
			const n = 20
			for i := range n {
				wantErr(t, write(p.b, fmt.Sprint(i)), nil)
			}
			time.Sleep(200 * time.Millisecond) // more than the order needs on a busy machine
			for i := range n {
				wantWritten(t, Memory)(p.a.Set(t.Context(), fmt.Sprint(i), "same"))
			}
			p.heal(t)
			waitUntil(t, 20*time.Second, nothingWaits(p.a.client), func() string { return "not sent" })
			for i := range n {
				left := redisDo(t, p.server, "PTTL", fmt.Sprint("c:", i)).(int64)
				if got := redisDo(t, p.server, "GET", fmt.Sprint("c:", i)); got != "same" || left <= 0 || left > time.Hour.Milliseconds() {
					t.Errorf("%d: %v, which lives for %d ms more; want at most an hour", i, got, left)
				}
			}
			sent := p.a.client.Stats().OutboxReplayed
			time.Sleep(time.Second) // a question, and another one after it, take 100 ms
			if now := p.a.client.Stats().OutboxReplayed; now != sent {
				t.Errorf("%d writes were sent again", now-sent)
			}
		})
	}
}

// A value that looks older comes back each time that ours was put back: that ends.
func TestAWriteIsNotPutBackForEver(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
	wantMaster(t, func() (Receipt, error) { return p.a.Set(t.Context(), "warm", "up") })
	reply := redisDo(t, p.server, "TIME").([]any)
	seconds, err := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
	wantErr(t, err, nil)
	older := strconv.FormatInt((seconds-2+int64(time.Hour/time.Second))*1000, 10)
	wantMaster(t, func() (Receipt, error) { return p.a.Set(t.Context(), "k", "ours") })
	const bound = 16
	for i := range bound {
		redisDo(t, p.server, "SET", "c:k", "older", "PXAT", older)
		waitUntil(t, 20*time.Second, func() bool { return redisDo(t, p.server, "GET", "c:k") == "ours" },
			func() string { return fmt.Sprint("not put back after ", i) })
		waitUntil(t, 20*time.Second, nothingWaits(p.a.client), func() string { return "not sent" })
	}
	redisDo(t, p.server, "SET", "c:k", "older", "PXAT", older)
	time.Sleep(time.Second) // a question takes 50 ms
	if got := redisDo(t, p.server, "GET", "c:k"); got != "older" {
		t.Errorf("it is %v after so many times", got)
	}
}
