package evercache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestAValueThatIsTooLongHoldsUpNobody(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr(), MaxValueBytes: 100_000})
	connect(t, client, 20*time.Second)
	c := cacheOf[[]byte](t, client, "c", Policy{ReadTimeout: 5 * time.Second})
	for _, key := range []string{"c:huge", "c:loaded", "c:many"} {
		redisDo(t, p, "SETRANGE", key, "8000000", "x")
	}
	redisDo(t, p, "SET", "c:other", "v")
	attempts(t, func(*testing.T) error { return manyLookUp(t.Context(), c) })
	if m, err := c.GetMany(t.Context(), []string{"many", "other"}, nil); err != nil || len(m) != 1 {
		t.Errorf("of many: %d values, %v", len(m), err)
	}
	waitFinding(t, client, "redis-value-too-long")
	for _, f := range client.Health().Findings {
		wantWhole(t, f)
	}

	load := func(context.Context, string) ([]byte, error) { return []byte("good"), nil }
	waitUntil(t, 20*time.Second, func() bool {
		c.drop("loaded") // what a load brings is sent once, and a busy machine may be too late for it
		v, err := c.Get(t.Context(), "loaded", load)
		if err != nil || string(v) != "good" {
			t.Errorf("with a loader: %q, %v", v, err)
		}
		return redisDo(t, p, "GETRANGE", "c:loaded", "0", "9") == "good"
	}, func() string { return "what was loaded is not in Redis" })
}

// manyLookUp lets callers read a short value while another asks for one that is too long.
func manyLookUp(ctx context.Context, c *Cache[[]byte]) error {
	failed := make(chan error, 4)
	for range 4 {
		go func() {
			for range 50 {
				if v, err := c.Lookup(ctx, "other"); err != nil || string(v.Value) != "v" {
					failed <- fmt.Errorf("another key: %q, %v", v.Value, err)
					return
				}
				c.drop("other")
			}
			failed <- nil
		}()
	}
	var all error
	for i := 0; i < 50 && all == nil; i++ {
		if v, err := c.Lookup(ctx, "huge"); !errors.Is(err, ErrNotFound) {
			all = fmt.Errorf("the long one: %d bytes, %v", len(v.Value), err)
		}
	}
	for range 4 {
		all = errors.Join(all, <-failed)
	}
	return all
}

func TestAValueThatIsTooLongIsNotWritten(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr(), MaxValueBytes: 1000})
	connect(t, client, 20*time.Second)
	c := cacheOf[[]byte](t, client, "c", Policy{})
	long, most := bytes.Repeat([]byte("x"), 1001), strings.Repeat("x", 1000)
	_, err := c.Set(t.Context(), "k", long)
	wantErr(t, err, ErrValue)
	_, _, err = c.Add(t.Context(), "k", long)
	wantErr(t, err, ErrValue)
	_, err = c.SetMany(t.Context(), map[string][]byte{"k": long})
	wantErr(t, err, ErrValue)
	v, err := c.Get(t.Context(), "k", func(context.Context, string) ([]byte, error) { return long, nil })
	if err != nil || len(v) != len(long) {
		t.Errorf("a loader's: %d bytes, %v", len(v), err)
	}
	if _, err := c.Set(t.Context(), "k", []byte(most)); err != nil {
		t.Error(err)
	}
	waitInRedis(t, p, "c:k", most)
}
